#include "harness/table.h"

#include "base/text.h"

namespace longhaul::bench {
namespace {

constexpr const char* kTimestampFormat = "%Y-%m-%d %H:%M:%S";

std::string HalfText(const HalfRow& half) {
  std::string text = Text("  %s  %s  %s", Number(half.time_us, 7).c_str(),
                          Number(half.algorithm_bandwidth, 6).c_str(),
                          Number(half.bus_bandwidth, 6).c_str());
  text += half.wrong ? Text("  %6g", static_cast<double>(*half.wrong))
                     : Text("  %6s", "N/A");
  if (half.per_iteration) {
    const Statistics& each = *half.per_iteration;
    const double variation =
        each.mean > 0 ? each.deviation / each.mean * 100 : 0;
    text += Text("  %s  %s  %s  %s", Number(each.min, 7).c_str(),
                 Number(each.max, 7).c_str(), Number(each.p99, 7).c_str(),
                 Number(variation, 7).c_str());
  }
  return text;
}

// The columns left of the times.
std::string Left(const char* a, const char* b, const char* c, const char* d,
                 const char* e) {
  return Text("# %10s  %12s  %8s  %6s  %6s", a, b, c, d, e);
}

std::string HalfHeading(bool per_iteration, const char* time, const char* algbw,
                        const char* busbw, const char* wrong,
                        const char* const (&each)[4]) {
  std::string text = Text("  %7s  %6s  %6s  %6s", time, algbw, busbw, wrong);
  if (per_iteration) {
    for (const char* name : each) text += Text("  %7s", name);
  }
  return text;
}

}  // namespace

std::string Number(double value, int width) {
  for (int decimals = 2; decimals >= 0; --decimals) {
    std::string text = Text("%*.*f", width, decimals, value);
    if (text.size() <= static_cast<size_t>(width)) return text;
  }
  return Text("%*.*e", width, width >= 7 ? 1 : 0, value);
}

double AlgorithmBandwidth(uint64_t bytes, double seconds) {
  return seconds > 0 ? static_cast<double>(bytes) / 1e9 / seconds : 0;
}

double BusFactor(int ranks) {
  return ranks > 0 ? 2.0 * (ranks - 1) / ranks : 0;
}

bool MeetsMinimum(const Settings& settings, double average_bus_bandwidth) {
  return settings.min_bandwidth < 0 ||
         average_bus_bandwidth >= settings.min_bandwidth * 0.9;
}

std::string Preamble(const Settings& s, const std::string& subject) {
  const bool factor = s.step_factor > 1;
  std::string text = Text("# %s\n# Collective test starting: %s_perf\n",
                          subject.c_str(), NameOf(s.collective));
  text += Text(
      "# nThread 1 nGpus 1 minBytes %ld maxBytes %ld step: %ld(%s) warmup "
      "iters: %d iters: %d agg iters: %d validation: %d graph: 0 unalign: %d\n",
      static_cast<long>(s.min_bytes), static_cast<long>(s.max_bytes),
      static_cast<long>(factor ? s.step_factor : s.step_bytes),
      factor ? "factor" : "bytes", s.warm_up, s.iterations, s.aggregate,
      s.checks, static_cast<int>(s.unalign));
  switch (s.blocking) {
    case Blocking::kNone:
      break;
    case Blocking::kInnerBarrier:
      text +=
          "# Blocking Enabled: wait and barrier after each inner iteration "
          "(-m) \n";
      break;
    case Blocking::kInner:
      text +=
          "# Blocking Enabled: wait after each inner iteration (-m), no "
          "barrier \n";
      break;
    case Blocking::kOuterBarrier:
      text +=
          "# Blocking Enabled: wait and barrier after each outer iteration "
          "(-n); time excludes barrier \n";
      break;
  }
  return text + "#\n# Using devices\n";
}

std::string DeviceLine(int rank, int pid, const std::string& host,
                       const std::string& what) {
  return Text(
      "#  Rank %2d Group  0 Pid %6d on %10s device  0 [0000:00:00] %s\n", rank,
      pid, host.c_str(), what.c_str());
}

std::string Header(const Settings& s, const std::vector<ExtraColumn>& extra) {
  const bool each = s.per_iteration;
  std::string text = "#\n" + Left("", "", "", "", "");
  text += each ? "              out-of-place (+ per-iteration)"
                 "                                in-place (+ per-iteration)\n"
               : "           out-of-place                       in-place"
                 "          \n";
  const char* const time = s.issue_time ? "cputime" : "time";
  constexpr const char* kNames[4] = {"i_min", "i_max", "i_p99", "i_cv%"};
  constexpr const char* kUnits[4] = {"(us)", "(us)", "(us)", "(%)"};
  const std::string names =
      HalfHeading(each, time, "algbw", "busbw", "#wrong", kNames);
  const std::string units =
      HalfHeading(each, "(us)", "(GB/s)", "(GB/s)", "", kUnits);
  const int pad = s.timestamps ? 19 : 0;
  text += Left("size", "count", "type", "redop", "root") + names + names +
          Text(" %*s", pad, s.timestamps ? "timestamp" : "");
  for (const ExtraColumn& column : extra) {
    text += Text("  %*s", column.width, column.name.c_str());
  }
  text += "\n" + Left("(B)", "(elements)", "", "", "") + units + units +
          Text(" %*s", pad, s.timestamps ? kTimestampFormat : "");
  for (const ExtraColumn& column : extra) {
    text += Text("  %*s", column.width, column.unit.c_str());
  }
  return text + "\n";
}

std::string RowText(const Row& row, const std::vector<ExtraColumn>& extra) {
  std::string text =
      Text("%12ld  %12ld  %8s  %6s  %6d", static_cast<long>(row.bytes),
           static_cast<long>(row.count), row.type.c_str(), row.op.c_str(), -1);
  text += HalfText(row.out_of_place) + HalfText(row.in_place);
  if (!row.timestamp.empty()) text += Text("%21s", row.timestamp.c_str());
  // The blank the headings have before our columns.
  if (!extra.empty() && row.timestamp.empty()) text += ' ';
  for (size_t i = 0; i < extra.size(); ++i) {
    text += Text("  %*s", extra[i].width, row.extra[i].c_str());
  }
  return text;
}

std::string Footer(const Settings& settings, int failures, double average) {
  const char* verdict = "";
  if (settings.min_bandwidth >= 0) {
    verdict = MeetsMinimum(settings, average) ? "OK" : "FAILED";
  }
  return Text("# %-20s : %d %s\n", "Out of bounds values", failures,
              failures > 0 ? "FAILED" : "OK") +
         Text("# %-20s : %g %s\n", "Avg bus bandwidth", average, verdict) +
         Text("#\n# Collective test concluded: %s_perf\n#\n\n",
              NameOf(settings.collective));
}

}  // namespace longhaul::bench
