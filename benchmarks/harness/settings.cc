#include "harness/settings.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cctype>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <functional>
#include <string_view>

#include "base/option_table.h"
#include "base/parse.h"
#include "base/text.h"

namespace longhaul::bench {
namespace {

constexpr uint64_t kLargest = uint64_t{1} << 40;

struct TypeName {
  const char* table;
  DataType type;
};
// In nccl-tests' order.
constexpr TypeName kTypes[] = {
    {"int8", DataType::kInt8},      {"uint8", DataType::kUint8},
    {"int32", DataType::kInt32},    {"uint32", DataType::kUint32},
    {"int64", DataType::kInt64},    {"uint64", DataType::kUint64},
    {"half", DataType::kFloat16},   {"float", DataType::kFloat32},
    {"double", DataType::kFloat64}, {"bfloat16", DataType::kBfloat16}};
constexpr ReduceOp kOps[] = {ReduceOp::kSum, ReduceOp::kProd, ReduceOp::kMax,
                             ReduceOp::kMin, ReduceOp::kAvg};

bool ReadTypes(std::string_view text, std::vector<DataType>* out) {
  std::vector<DataType> found;
  for (std::string_view word : Split(text, ',')) {
    const size_t before = found.size();
    for (const TypeName& name : kTypes) {
      if (EqualIgnoringCase(word, "all") ||
          EqualIgnoringCase(word, name.table) ||
          EqualIgnoringCase(word, longhaul::NameOf(name.type))) {
        found.push_back(name.type);
      }
    }
    if (found.size() == before) return false;
  }
  *out = found;
  return !found.empty();
}

bool ReadOps(std::string_view text, std::vector<ReduceOp>* out) {
  std::vector<ReduceOp> found;
  for (std::string_view word : Split(text, ',')) {
    const size_t before = found.size();
    for (ReduceOp op : kOps) {
      if (EqualIgnoringCase(word, "all") ||
          EqualIgnoringCase(word, longhaul::NameOf(op))) {
        found.push_back(op);
      }
    }
    if (found.size() == before) return false;
  }
  *out = found;
  return !found.empty();
}

// Also the range they span, which memory is made for.
bool ReadSizes(std::string_view text, Settings* s) {
  s->sizes.clear();
  for (std::string_view word : Split(text, ',')) {
    const std::optional<uint64_t> size = ParseSize(word);
    if (!size || *size > kLargest) return false;
    s->sizes.push_back(*size);
  }
  if (s->sizes.empty()) return false;
  const auto [least, most] =
      std::minmax_element(s->sizes.begin(), s->sizes.end());
  s->min_bytes = *least;
  s->max_bytes = *most;
  return true;
}

// Collects the flags; each reads its own text, so that every refusal names the
// flag, what was given and what is accepted.
class Flags {
 public:
  using Reader = std::function<bool(const std::string&)>;

  explicit Flags(CLI::App& app) : app_(app) {}

  void Group(std::string name) { group_ = std::move(name); }

  void Add(const std::string& flag, const std::string& value_name,
           const std::string& help, const std::string& accepted, Reader read) {
    auto* option = app_.add_option(flag, kept_.emplace_back(), help);
    option->type_name(value_name);
    option->group(group_);
    option->check([read = std::move(read), accepted](const std::string& text) {
      return read(text) ? std::string()
                        : "'" + text + "' is not accepted: give " + accepted;
    });
  }

  void Size(const std::string& flag, const std::string& help, uint64_t* value,
            uint64_t least) {
    Add(flag, "SIZE", help,
        Text("a size such as 8, 64K, 32M or 1G, at least %llu",
             static_cast<unsigned long long>(least)),
        [=](const std::string& text) {
          const std::optional<uint64_t> size = ParseSize(text);
          if (!size || *size < least || *size > kLargest) {
            return false;
          }
          *value = *size;
          return true;
        });
  }

  template <typename T>
  void Count(const std::string& flag, const std::string& help, T* value,
             int64_t least, int64_t most) {
    Add(flag, "N", help,
        Text("an integer from %lld to %lld", static_cast<long long>(least),
             static_cast<long long>(most)),
        [=](const std::string& text) {
          const std::optional<int64_t> number = ParseInteger(text);
          if (!number || *number < least || *number > most) return false;
          *value = static_cast<T>(*number);
          return true;
        });
  }

  // A flag of nccl-tests' that host memory gives no meaning.
  void Fixed(const std::string& flag, const char* only) {
    Add(flag, "N", Text("accepted for scripts' sake; must be %s", only),
        Text("%s: ranks are processes, memory is the host's", only),
        [only = std::string(only)](const std::string& text) {
          return text == only;
        });
  }

 private:
  CLI::App& app_;
  std::string group_;
  std::deque<std::string> kept_;  // CLI11 wants somewhere to store
};

void AddSizes(Flags& flags, Settings* s) {
  flags.Group("Sizes");
  flags.Size("-b,--minbytes", "smallest size (32M)", &s->min_bytes, 0);
  flags.Size("-e,--maxbytes", "largest size (32M)", &s->max_bytes, 0);
  flags.Size("-i,--stepbytes", "step between sizes (1M)", &s->step_bytes, 1);
  flags.Count("-f,--stepfactor", "factor between sizes (none: steps)",
              &s->step_factor, 1, 1 << 20);
  flags.Add("--sizes", "SIZE,SIZE", "these sizes instead",
            "sizes such as 8,1K,16M",
            [=](const std::string& text) { return ReadSizes(text, s); });
}

void AddOperation(Flags& flags, Settings* s) {
  flags.Group("Operation");
  flags.Add("-o,--op", "OP[,OP]", "sum, prod, max, min, avg or all (sum)",
            "sum, prod, max, min, avg or all",
            [=](const std::string& text) { return ReadOps(text, &s->ops); });
  flags.Add(
      "-d,--datatype", "TYPE[,TYPE]",
      "int8, uint8, int32, uint32, int64, uint64, half, float, double, "
      "bfloat16 (or i8, f32, ...) or all (float)",
      "int8, uint8, int32, uint32, int64, uint64, half, float, double, "
      "bfloat16 or all",
      [=](const std::string& text) { return ReadTypes(text, &s->types); });
  flags.Count("-c,--check",
              "rounds of verification per size, every element of every rank; "
              "0: none, #wrong is N/A (1)",
              &s->checks, 0, 1000);
  flags.Count("-u,--unalign", "start of the buffers, in elements (0)",
              &s->unalign, 0, 4096);
}

void AddTiming(Flags& flags, Settings* s) {
  flags.Group("Timing");
  flags.Count("-n,--iters", "timed iterations per size (20)", &s->iterations, 1,
              1'000'000);
  flags.Count("-w,--warmup_iters", "iterations before them, not timed (1)",
              &s->warm_up, 0, 1'000'000);
  flags.Count("-m,--agg_iters",
              "operations per iteration, one after another (1)", &s->aggregate,
              1, 1'000'000);
  flags.Count("-N,--run_cycles", "times all sizes are run; 0: for ever (1)",
              &s->cycles, 0, 1'000'000);
  flags.Add("-z,--blocking", "0|1|2|3",
            "3: each iteration starts on all ranks together and is waited for; "
            "1: barrier after each operation, timed; 0, 2: no barrier (3)",
            "0, 1, 2 or 3", [=](const std::string& text) {
              const std::optional<int64_t> mode = ParseInteger(text);
              if (!mode || *mode < 0 || *mode > 3) return false;
              s->blocking = static_cast<Blocking>(*mode);
              return true;
            });
  flags.Add("-a,--average", "0|1|2|3",
            "an iteration's time over the ranks: 0 rank 0, 1 mean, 2 min, 3 "
            "max (3)",
            "0, 1, 2 or 3", [=](const std::string& text) {
              const std::optional<int64_t> rule = ParseInteger(text);
              if (!rule || *rule < 0 || *rule > 3) return false;
              s->across = static_cast<Across>(*rule);
              return true;
            });
  flags.Count("-C,--report_cputime",
              "1: time to issue an operation, not to complete it (0)",
              &s->issue_time, 0, 1);
  flags.Count("-T,--timeout", "seconds a row may take; 0: no limit (0)",
              &s->timeout_seconds, 0, 86400);
}

void AddOutput(Flags& flags, Settings* s) {
  flags.Group("Output");
  flags.Count("-I,--per_iter_timing",
              "1: columns i_min, i_max, i_p99 and i_cv% (0)", &s->per_iteration,
              0, 1);
  flags.Count("-K,--per_iter_skip", "leading iterations left out of them (0)",
              &s->skip, 0, 1'000'000);
  flags.Count("-S,--report_timestamps", "1: when each row was measured (0)",
              &s->timestamps, 0, 1);
  flags.Count("-M,--memory", "1: memory used, below the table (0)", &s->memory,
              0, 1);
  flags.Add("-J,--output_file,--json", "FILE",
            "all times, quartiles and settings as JSON; replaces FILE",
            "a file name", [=](const std::string& text) {
              s->report_file = text;
              return !text.empty();
            });
  flags.Add("--bound", "RATE,DELAY",
            "columns time / T_LB for sites joined by such links, 500mbit,25ms: "
            "T_LB = DELAY + 2 (k-1)/k x S x 8 / (RATE x 1448/1500), k sites",
            "a rate and a one-way delay, such as 500mbit,25ms",
            [=](const std::string& text) {
              s->bound = ParseLink(text);
              return s->bound.has_value();
            });
}

// "auto, ring or hierarchical": what LONGHAUL_ALGO may be.
std::string Algorithms() {
  const OptionInfo& info =
      Options::Table()[static_cast<size_t>(FindOption("algo"))];
  const std::vector<std::string_view> names = Split(info.range, '|');
  std::string text;
  for (size_t i = 0; i < names.size(); ++i) {
    if (i > 0) text += i + 1 == names.size() ? " or " : ", ";
    text += names[i];
  }
  return text;
}

void AddOwn(Flags& flags, const Program& program, Settings* s) {
  flags.Group("longhaul");
  flags.Add("--collective", "NAME", "all_reduce or barrier (all_reduce)",
            "all_reduce or barrier", [=](const std::string& text) {
              const bool barrier = text == "barrier";
              s->collective =
                  barrier ? Collective::kBarrier : Collective::kAllReduce;
              return barrier || text == "all_reduce";
            });
  flags.Add("--rest", "TIME",
            "how long lines are idle before each iteration, at least (0)",
            "a time such as 100ms", [=](const std::string& text) {
              const std::optional<Duration> rest = ParseTime(text);
              if (!rest || *rest < 0) return false;
              s->rest = *rest;
              return true;
            });
  if (program.starts_ranks) {
    flags.Count("--ranks", "start this many ranks on this machine", &s->ranks,
                1, 1024);
    flags.Count("--sites", "spread them over this many sites (1)", &s->sites, 1,
                1024);
  }
  if (!program.has_algorithms) return;
  const std::string algorithms = Algorithms();
  flags.Add("--algo", "NAME", algorithms + " (LONGHAUL_ALGO, else auto)",
            algorithms, [=](const std::string& text) {
              Options options;
              if (!options.Set("algo", text).ok()) return false;
              s->algorithm = options.algo;
              return true;
            });
  flags.Add("--compress", "CODEC",
            "codec between sites: none, lossless, bf16, f16, int8, int4, e4m3 "
            "or e5m2, the last four with parameters, int8:block=128, or "
            "auto:0.01 (LONGHAUL_COMPRESS, else none). "
            "Elements are then right if they are near, and the same on all "
            "ranks",
            "a codec such as bf16 or int8:block=128",
            [=](const std::string& text) {
              const Result<CodecSpec> spec = CodecSpec::Parse(text);
              if (!spec.ok()) return false;
              s->compress = *spec;
              return true;
            });
}

void AddFixed(Flags& flags) {
  flags.Group("nccl-tests' flags for GPUs");
  for (const char* flag : {"-t,--nthreads", "-g,--ngpus"}) {
    flags.Fixed(flag, "1");
  }
  for (const char* flag : {"-r,--root", "-p,--parallel_init", "-G,--cudagraph",
                           "-R,--local_register", "-D,--device_implementation",
                           "-y,--stream_null"}) {
    flags.Fixed(flag, "0");
  }
}

// What single flags cannot see.
std::string Conflict(const Settings& s) {
  if (s.min_bytes > s.max_bytes) {
    return Text("--minbytes %s is above --maxbytes %s: give both",
                SizeText(s.min_bytes).c_str(), SizeText(s.max_bytes).c_str());
  }
  if (s.ranks > 0 && s.sites > s.ranks) {
    return Text("--sites %d: no more than --ranks %d", s.sites, s.ranks);
  }
  if (s.ranks == 0 && s.sites > 1) {
    return "--sites goes with --ranks; ranks started from outside have "
           "LONGHAUL_SITE";
  }
  if (s.skip >= s.iterations) {
    return Text("--per_iter_skip %d: less than --iters %d", s.skip,
                s.iterations);
  }
  return "";
}

bool ReadMinimum(Settings* s) {
  const char* text = std::getenv("NCCL_TESTS_MIN_BW");
  if (text == nullptr || *text == '\0') return true;
  const std::optional<double> number = ParseNumber(text);
  if (!number || *number < 0) return false;
  s->min_bandwidth = *number;
  return true;
}

}  // namespace

const char* NameOf(Collective collective) {
  return collective == Collective::kBarrier ? "barrier" : "all_reduce";
}

const char* TableName(DataType type) {
  for (const TypeName& name : kTypes) {
    if (name.type == type) return name.table;
  }
  return "?";
}

std::vector<uint64_t> Sizes(const Settings& s) {
  if (s.collective == Collective::kBarrier) return {0};
  if (!s.sizes.empty()) return s.sizes;
  std::vector<uint64_t> sizes;
  uint64_t size = s.min_bytes;
  while (size <= s.max_bytes) {
    sizes.push_back(size);
    size = s.step_factor > 1 ? size * s.step_factor : size + s.step_bytes;
    if (size == 0) break;  // zero times anything
  }
  return sizes;
}

CommandLine ReadCommandLine(const Program& program, int argc,
                            const char* const* argv,
                            const std::vector<TextOption>& extra) {
  CommandLine line;
  CLI::App app(program.description, program.name);
  app.footer(program.epilogue);
  app.set_help_flag("-h,--help", "this text");
  app.get_formatter()->column_width(32);
  Flags flags(app);
  AddSizes(flags, &line.settings);
  if (program.verifies) AddOperation(flags, &line.settings);
  AddTiming(flags, &line.settings);
  AddOutput(flags, &line.settings);
  AddOwn(flags, program, &line.settings);
  for (const TextOption& option : extra) {
    flags.Add(option.flag, option.value_name, option.help, "a text",
              [value = option.value](const std::string& text) {
                *value = text;
                return !text.empty();
              });
  }
  if (program.has_algorithms) {
    app.add_flag("--wan", line.settings.wan,
                 "columns of what crossed between sites, per operation: bytes "
                 "sent, bytes sent again, packets retransmitted, flows per "
                 "connection, waits for credit; and below the table a line "
                 "per path between two processes: its state, its share of "
                 "what was sent, what other paths took over from it, its "
                 "goodput, round-trip time and failures")
        ->group("longhaul");
  }
  if (program.verifies) {
    app.add_flag("--each", line.settings.each,
                 "lines '# each N began T' and '# each N ended T wrong W' "
                 "around every timed iteration: seconds of the monotonic "
                 "clock, from the common start to the last rank's end, and "
                 "wrong elements on all ranks; every iteration has numbers "
                 "of its own and is verified, unless --check is 0")
        ->group("longhaul");
    AddFixed(flags);
  } else {
    line.settings.checks = 0;
  }
  try {  // CLI11 reports by exceptions; they end here
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    line.exit_code = app.exit(error) == 0 ? 0 : 2;
    return line;
  }
  std::string conflict = Conflict(line.settings);
  if (conflict.empty() && !ReadMinimum(&line.settings)) {
    conflict = "NCCL_TESTS_MIN_BW: give GB/s, such as 0.05";
  }
  if (!conflict.empty()) {
    std::fprintf(stderr, "%s: %s\n", program.name.c_str(), conflict.c_str());
    line.exit_code = 2;
  }
  return line;
}

}  // namespace longhaul::bench
