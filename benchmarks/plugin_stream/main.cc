// plugin_stream: one connection of the NCCL plugin's network, without NCCL.
#include <getopt.h>

#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/parse.h"
#include "harness/launcher.h"
#include "harness/program.h"
#include "harness/statistics.h"
#include "plugin_stream/stream.h"

namespace {

using longhaul::bench::StreamResult;
using longhaul::bench::StreamSettings;
using longhaul::bench::Summarise;

constexpr const char* kHelp =
    R"(Usage: plugin_stream [OPTIONS]

Streams messages over one connection of ncclNetPlugin_vN of
libnccl-net-longhaul.so from rank 0 to rank 1, as NCCL's proxies do: 8 slots,
test() of the oldest only, the same call again after a null request. Then sends
small messages to and fro. Rank 0 prints one JSON object.

  --plugin FILE      the library (the one built with this program)
  --table N          version of the interface, 8 to 12 (12)
  --slot SIZE        bytes of a message (512K)
  --total SIZE       bytes of an iteration (64M)
  -n, --iterations N (5)
  -w, --warm-up N    iterations not counted (1)
  --pings N          messages to and fro (100)
  --ping-bytes SIZE  of each (64)
  --local            start both ranks here
  --sites N          with --local: in how many sites, 1 or 2 (2)
  -h, --help

Without --local: LONGHAUL_RANK and LONGHAUL_WORLD_SIZE (or RANK, WORLD_SIZE),
LONGHAUL_RENDEZVOUS (or MASTER_ADDR and MASTER_PORT) and LONGHAUL_SITE are set,
as torchrun and `lab spread` do.

"seconds" is from the common start to the last byte's arrival, "mb_per_s" the
bytes (1e6) over its median; "steady_mb_per_s" counts from the first message's
arrival to the last's, so without the delay of the line; "latency_us" is half of
there and back. All are medians.

Exit code: 0 all is well; 1 a fault; 2 wrong usage.

Example:
  lab run --hosts 1 --path rate=1gbit,delay=50ms -- \
      lab spread --env LONGHAUL_INTERFACES=lan -- plugin_stream --total 256M
)";

struct CommandLine {
  StreamSettings settings;
  bool local = false;
  int sites = 2;
};

using Setter = std::function<bool(CommandLine*, const char*)>;

template <typename T>
Setter Size(T StreamSettings::*field) {
  return [field](CommandLine* line, const char* text) {
    const std::optional<uint64_t> size = longhaul::ParseSize(text);
    if (size) line->settings.*field = *size;
    return size && *size > 0;
  };
}

Setter Count(int StreamSettings::*field, int64_t least) {
  return [field, least](CommandLine* line, const char* text) {
    const std::optional<int64_t> count = longhaul::ParseInteger(text);
    if (count) line->settings.*field = static_cast<int>(*count);
    return count && *count >= least;
  };
}

// By the number getopt_long gives.
const std::map<int, Setter>& Setters() {
  static const auto* const setters = new std::map<int, Setter>{
      {'p',
       [](CommandLine* line, const char* text) {
         line->settings.plugin = text;
         return true;
       }},
      {'t', Count(&StreamSettings::version, 8)},
      {'s', Size(&StreamSettings::slot_bytes)},
      {'b', Size(&StreamSettings::total_bytes)},
      {'n', Count(&StreamSettings::iterations, 1)},
      {'w', Count(&StreamSettings::warm_up, 0)},
      {'i', Count(&StreamSettings::pings, 0)},
      {'y', Size(&StreamSettings::ping_bytes)},
      {'l',
       [](CommandLine* line, const char*) {
         line->local = true;
         return true;
       }},
      {'k',
       [](CommandLine* line, const char* text) {
         const std::optional<int64_t> sites = longhaul::ParseInteger(text);
         line->sites = static_cast<int>(sites.value_or(0));
         return line->sites == 1 || line->sites == 2;
       }},
  };
  return *setters;
}

// Nothing if the program is to end with *code.
std::optional<CommandLine> Read(int argc, char** argv, int* code) {
  constexpr option kOptions[] = {
      {"plugin", required_argument, nullptr, 'p'},
      {"table", required_argument, nullptr, 't'},
      {"slot", required_argument, nullptr, 's'},
      {"total", required_argument, nullptr, 'b'},
      {"iterations", required_argument, nullptr, 'n'},
      {"warm-up", required_argument, nullptr, 'w'},
      {"pings", required_argument, nullptr, 'i'},
      {"ping-bytes", required_argument, nullptr, 'y'},
      {"local", no_argument, nullptr, 'l'},
      {"sites", required_argument, nullptr, 'k'},
      {"help", no_argument, nullptr, 'h'},
      {nullptr, 0, nullptr, 0}};
  CommandLine line;
  int which = 0;
  while ((which = getopt_long(argc, argv, "n:w:h", kOptions, nullptr)) != -1) {
    if (which == 'h') {
      std::fputs(kHelp, stdout);
      *code = 0;
      return std::nullopt;
    }
    const auto setter = Setters().find(which);
    if (setter == Setters().end() || !setter->second(&line, optarg)) {
      if (setter != Setters().end()) {
        std::fprintf(stderr, "plugin_stream: not a value here: %s\n", optarg);
      }
      *code = longhaul::bench::kExitUsage;
      return std::nullopt;
    }
  }
  if (optind < argc) {
    std::fprintf(stderr, "plugin_stream: what is %s?\n", argv[optind]);
    *code = longhaul::bench::kExitUsage;
    return std::nullopt;
  }
  return line;
}

void PrintList(const char* name, const std::vector<double>& values) {
  std::printf("  \"%s\": [", name);
  const char* separator = "";
  for (const double value : values) {
    std::printf("%s%.6f", separator, value);
    separator = ", ";
  }
  std::printf("],\n");
}

void Print(const StreamSettings& settings, const StreamResult& result) {
  const auto bytes = static_cast<double>(settings.total_bytes);
  const double seconds = Summarise(result.seconds).median;
  std::printf("{\n  \"program\": \"plugin_stream\",\n");
  std::printf("  \"table\": %d,\n", settings.version);
  std::printf("  \"slot_bytes\": %llu,\n",
              static_cast<unsigned long long>(settings.slot_bytes));
  std::printf("  \"total_bytes\": %llu,\n",
              static_cast<unsigned long long>(settings.total_bytes));
  PrintList("seconds", result.seconds);
  std::printf("  \"mb_per_s\": %.3f,\n", bytes / seconds / 1e6);
  std::printf("  \"steady_mb_per_s\": %.3f,\n",
              Summarise(result.steady).median / 1e6);
  std::printf("  \"ping_bytes\": %llu,\n",
              static_cast<unsigned long long>(settings.ping_bytes));
  std::printf("  \"latency_us\": %.3f\n}\n",
              Summarise(result.half_round_trips).median * 1e6);
}

int RunRank(const StreamSettings& settings) {
  int rank = -1;
  const longhaul::Result<StreamResult> result =
      longhaul::bench::MeasureStream(settings, &rank);
  if (!result.ok()) {
    std::fprintf(stderr, "plugin_stream: rank %d: %s\n", rank,
                 result.status().ToString().c_str());
    return longhaul::bench::kExitFault;
  }
  if (rank == 0) Print(settings, *result);
  std::fflush(stdout);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  int code = 0;
  const std::optional<CommandLine> line = Read(argc, argv, &code);
  if (!line) return code;
  if (!line->local) return RunRank(line->settings);
  return longhaul::bench::RunRanks(2, line->sites,
                                   [&line] { return RunRank(line->settings); });
}
