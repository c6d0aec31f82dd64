// The JSON file: nccl-tests' keys, and beside them what a table has no room
// for: every time, quartiles, the machine.
//
// Thread-compatible.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "harness/measure.h"
#include "harness/path_table.h"
#include "harness/settings.h"
#include "harness/table.h"

namespace longhaul::bench {

/// One rank, as under "# Using devices".
struct RankInfo {
  int rank = 0;
  int pid = 0;
  std::string host;
  std::string what;
};

struct Report {
  std::string program;
  std::string subject;
  std::vector<std::string> arguments;
  std::string start_time;
  std::string end_time;
  const Settings* settings = nullptr;
  std::vector<RankInfo> ranks;
  int sites = 1;
  bool shares_clock = false;
  int late_starts = 0;
  struct Line {
    Row row;
    RowResult result;
  };
  std::vector<Line> lines;
  std::vector<PathFacts> paths;
  std::vector<CodecFacts> codecs;  ///< of rank 0
  int failures = 0;
  double average_bus_bandwidth = 0;
  std::vector<std::string> errors;
};

/// The report as JSON, indented.
std::string ToJson(const Report& report);

/// Writes it. An existing file is replaced.
Status WriteReport(const Report& report, const std::string& path);

}  // namespace longhaul::bench
