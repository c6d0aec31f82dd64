#include "harness/program.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <utility>
#include <vector>

#include "base/address.h"
#include "base/text.h"
#include "harness/launcher.h"
#include "harness/measure.h"
#include "harness/path_table.h"
#include "harness/report.h"
#include "harness/table.h"

namespace longhaul::bench {
namespace {

std::string Timestamp() {
  const time_t now = time(nullptr);
  tm local{};
  localtime_r(&now, &local);
  char text[64];
  std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &local);
  return text;
}

// --timeout: a rank that does not come to the next row in time ends.
class Watchdog {
 public:
  explicit Watchdog(int seconds) : seconds_(seconds) {
    struct sigaction action {};
    action.sa_handler = [](int) {
      constexpr char kText[] = "a row took longer than --timeout allows\n";
      (void)!write(STDERR_FILENO, kText, sizeof kText - 1);
      _exit(kExitFault);
    };
    if (seconds_ > 0) sigaction(SIGALRM, &action, nullptr);
  }
  ~Watchdog() { Rest(); }
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;

  void Restart() const {
    if (seconds_ > 0) alarm(static_cast<unsigned>(seconds_));
  }
  void Rest() const {
    if (seconds_ > 0) alarm(0);
  }

 private:
  int seconds_;
};

// A line on the terminal, while a row runs.
class Progress {
 public:
  explicit Progress(bool wanted)
      : shown_(wanted && isatty(STDERR_FILENO) != 0) {}
  void operator()(uint64_t bytes, int done, int of) const {
    if (!shown_) return;
    std::fprintf(stderr, "\r%llu B: iteration %d of %d\x1b[K",
                 static_cast<unsigned long long>(bytes), done, of);
  }
  void Clear() const {
    if (shown_) std::fputs("\r\x1b[K", stderr);
  }

 private:
  bool shown_;
};

// Every rank's line, on all ranks: texts are gathered as sums of bytes of
// which only one rank's are not zero.
constexpr size_t kTextRoom = 128;

Result<std::vector<RankInfo>> GatherRanks(Subject& subject) {
  const auto n = static_cast<size_t>(subject.size());
  const auto own = static_cast<size_t>(subject.rank());
  std::vector<uint8_t> texts(n * kTextRoom, 0);
  const std::string line = Text("%d\t%s\t%s", static_cast<int>(getpid()),
                                HostName().c_str(), subject.Describe().c_str());
  std::memcpy(&texts[own * kTextRoom], line.data(),
              std::min(line.size(), kTextRoom - 1));
  const Status status = subject.Combine(texts.data(), texts.size(),
                                        DataType::kUint8, ReduceOp::kSum);
  if (!status.ok()) return status;
  std::vector<RankInfo> ranks;
  for (size_t i = 0; i < n; ++i) {
    const std::string text(
        reinterpret_cast<const char*>(&texts[i * kTextRoom]));
    const size_t first = text.find('\t');
    const size_t second = text.find('\t', first + 1);
    RankInfo info;
    info.rank = static_cast<int>(i);
    info.pid = std::atoi(text.c_str());
    if (first != std::string::npos && second != std::string::npos) {
      info.host = text.substr(first + 1, second - first - 1);
      info.what = text.substr(second + 1);
    }
    ranks.push_back(std::move(info));
  }
  return ranks;
}

std::vector<ExtraColumn> ExtraColumns(const Settings& s) {
  std::vector<ExtraColumn> columns;
  if (s.bound) {
    columns.push_back({"oop/LB", "(x)", 6});
    columns.push_back({"ip/LB", "(x)", 6});
  }
  if (s.wan) {
    columns.push_back({"wan_tx", "(B)", 12});
    columns.push_back({"resent", "(B)", 10});
    columns.push_back({"retx", "(pkts)", 7});
    columns.push_back({"flows", "", 5});
    columns.push_back({"cwaits", "", 7});
  }
  return columns;
}

std::vector<std::string> ExtraTexts(const Settings& s, const RowResult& row,
                                    int sites) {
  std::vector<std::string> texts;
  if (s.bound) {
    const std::optional<double> bound = LowerBound(*s.bound, sites, row.bytes);
    for (const Measurement* half : {&row.out_of_place, &row.in_place}) {
      texts.push_back(bound ? Text("%.3f", half->time_us / 1e6 / *bound)
                            : "N/A");
    }
  }
  if (s.wan) {
    const WanPerOperation wan = row.wan.value_or(WanPerOperation{});
    texts.push_back(Text("%.0f", wan.sent));
    texts.push_back(Text("%.0f", wan.resent));
    texts.push_back(Text("%.1f", wan.retransmits));
    texts.push_back(Text("%.0f", wan.flows));
    texts.push_back(Text("%.1f", wan.credit_waits));
  }
  return texts;
}

HalfRow ToHalf(const Settings& s, const Measurement& measured, uint64_t bytes,
               int ranks) {
  HalfRow half;
  half.time_us = measured.time_us;
  half.algorithm_bandwidth = AlgorithmBandwidth(bytes, measured.time_us / 1e6);
  half.bus_bandwidth = half.algorithm_bandwidth * BusFactor(ranks);
  if (s.checks > 0 && s.collective == Collective::kAllReduce) {
    half.wrong = measured.wrong;
  }
  if (s.per_iteration) {
    half.per_iteration = Summarise(std::vector<double>(
        measured.times_us.begin() + s.skip, measured.times_us.end()));
  }
  return half;
}

// One rank, from the first row to the last.
class Session {
 public:
  Session(const Program& program, const std::string& headline,
          const Settings& settings, Subject& subject)
      : settings_(settings),
        subject_(subject),
        headline_(headline),
        prints_(subject.rank() == 0),
        progress_(prints_),
        watchdog_(settings.timeout_seconds),
        meter_(settings, subject, progress_),
        columns_(ExtraColumns(settings)) {
    report_.program = program.name;
    report_.subject = headline;
    report_.settings = &settings;
    report_.start_time = Timestamp();
    report_.sites = subject.site_count();
  }

  Status Run() {
    watchdog_.Restart();
    Status status = Begin();
    for (int cycle = 0; status.ok(); ++cycle) {
      if (settings_.cycles > 0 && cycle == settings_.cycles) break;
      status = Cycle();
    }
    if (status.ok() && settings_.wan) status = TakePaths();
    watchdog_.Rest();
    progress_.Clear();
    return status;
  }

  // What is left to say; the exit code.
  int Conclude(const Status& status, std::vector<std::string> arguments) {
    if (halves_ > 0) report_.average_bus_bandwidth = bus_sum_ / halves_;
    report_.arguments = std::move(arguments);
    report_.end_time = Timestamp();
    report_.shares_clock = meter_.gate().shares_clock();
    report_.late_starts = meter_.gate().late();
    if (!status.ok()) {
      std::fprintf(stderr, "rank %d: %s\n", subject_.rank(),
                   status.ToString().c_str());
      report_.errors.push_back(status.ToString());
    }
    bool reported = true;
    if (prints_) {
      if (status.ok()) PrintFooter();
      reported = SaveReport();
    }
    if (!status.ok() || !reported) return kExitFault;
    if (report_.failures > 0) return kExitWrong;
    return MeetsMinimum(settings_, report_.average_bus_bandwidth)
               ? 0
               : kExitTooSlow;
  }

 private:
  Status Begin() {
    Result<std::vector<RankInfo>> ranks = GatherRanks(subject_);
    if (!ranks.ok()) return ranks.status();
    report_.ranks = std::move(ranks).value();
    Status status = meter_.SetUp();
    if (!prints_ || !status.ok()) return status;
    std::fputs(Preamble(settings_, headline_).c_str(), stdout);
    for (const RankInfo& rank : report_.ranks) {
      std::fputs(DeviceLine(rank.rank, rank.pid, rank.host, rank.what).c_str(),
                 stdout);
    }
    std::fputs(Header(settings_, columns_).c_str(), stdout);
    std::fflush(stdout);
    return {};
  }

  Status TakePaths() {
    Result<std::vector<PathFacts>> paths = GatherPaths(subject_);
    if (!paths.ok()) return paths.status();
    report_.paths = std::move(paths).value();
    report_.codecs = subject_.Codecs();
    return {};
  }

  Status Cycle() {
    if (settings_.collective == Collective::kBarrier) {
      return OneRow(0, DataType::kInt8, ReduceOp::kSum);
    }
    for (DataType type : settings_.types) {
      for (ReduceOp op : settings_.ops) {
        for (uint64_t bytes : Sizes(settings_)) {
          Status status = OneRow(bytes, type, op);
          if (!status.ok()) return status;
        }
      }
    }
    return {};
  }

  Status OneRow(uint64_t bytes, DataType type, ReduceOp op) {
    watchdog_.Restart();
    Result<RowResult> measured = meter_.Run(bytes, type, op);
    if (!measured.ok()) return measured.status();
    const bool moves = settings_.collective == Collective::kAllReduce;
    const int ranks = subject_.size();
    Row row;
    row.bytes = measured->bytes;
    row.count = measured->count;
    row.type = moves ? TableName(type) : "none";
    row.op = moves ? longhaul::NameOf(op) : "none";
    row.out_of_place =
        ToHalf(settings_, measured->out_of_place, row.bytes, ranks);
    row.in_place = ToHalf(settings_, measured->in_place, row.bytes, ranks);
    if (settings_.timestamps) row.timestamp = Timestamp();
    row.extra = ExtraTexts(settings_, *measured, report_.sites);
    for (const HalfRow* half : {&row.out_of_place, &row.in_place}) {
      bus_sum_ += half->bus_bandwidth;
      ++halves_;
      if (half->wrong.value_or(0) > 0) ++report_.failures;
    }
    if (prints_) {
      progress_.Clear();
      std::printf("%s\n", RowText(row, columns_).c_str());
      std::fflush(stdout);
      // For ever would be a long report.
      if (settings_.cycles > 0 && !settings_.report_file.empty()) {
        report_.lines.push_back({std::move(row), std::move(measured).value()});
      }
    }
    return {};
  }

  void PrintFooter() const {
    std::fputs(PathTable(report_.paths).c_str(), stdout);
    for (const CodecFacts& codec : report_.codecs) {
      std::fputs(CodecLine(codec).c_str(), stdout);
    }
    std::string text =
        Footer(settings_, report_.failures, report_.average_bus_bandwidth);
    if (settings_.memory) {
      rusage usage{};
      getrusage(RUSAGE_SELF, &usage);
      std::printf("# %-20s : buffers %.1f MB | peak resident %.1f MB\n",
                  "Memory of rank 0",
                  static_cast<double>(meter_.memory()) / 1e6,
                  static_cast<double>(usage.ru_maxrss) / 1e3);
    }
    std::fputs(text.c_str(), stdout);
    std::fflush(stdout);
  }

  bool SaveReport() const {
    if (settings_.report_file.empty()) return true;
    const Status status = WriteReport(report_, settings_.report_file);
    if (!status.ok()) std::fprintf(stderr, "%s\n", status.text().c_str());
    return status.ok();
  }

  const Settings& settings_;
  Subject& subject_;
  std::string headline_;
  bool prints_;
  Progress progress_;
  Watchdog watchdog_;
  Meter meter_;
  std::vector<ExtraColumn> columns_;
  Report report_;
  double bus_sum_ = 0;
  int halves_ = 0;
};

}  // namespace

int RunProgram(const Program& program, const std::string& headline, int argc,
               const char* const* argv, const MakeSubject& make,
               const std::vector<TextOption>& extra) {
  const CommandLine line = ReadCommandLine(program, argc, argv, extra);
  if (line.exit_code) return *line.exit_code;
  const Settings& settings = line.settings;
  const auto rank_main = [&]() -> int {
    Result<std::unique_ptr<Subject>> subject = make(settings);
    if (!subject.ok()) {
      std::fprintf(stderr, "%s: %s\n", program.name.c_str(),
                   subject.status().ToString().c_str());
      return kExitFault;
    }
    Session session(program, headline, settings, **subject);
    const Status status = session.Run();
    return session.Conclude(status,
                            std::vector<std::string>(argv, argv + argc));
  };
  return settings.ranks > 0
             ? RunRanks(settings.ranks, settings.sites, rank_main)
             : rank_main();
}

}  // namespace longhaul::bench
