// nccl-tests' text: header, rows and footer, byte for byte, so that programs
// that read its output read ours. Columns of our own stand behind its last.
//
// Pure functions; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "harness/settings.h"
#include "harness/statistics.h"

namespace longhaul::bench {

/// A column behind nccl-tests' own: its two heading lines, and how wide.
struct ExtraColumn {
  std::string name;
  std::string unit;
  int width = 7;
};

/// Half of a row: out of place, or in place.
struct HalfRow {
  double time_us = 0;
  double algorithm_bandwidth = 0;           ///< GB/s
  double bus_bandwidth = 0;                 ///< GB/s
  std::optional<uint64_t> wrong;            ///< elements; nullopt: not checked
  std::optional<Statistics> per_iteration;  ///< us
};

struct Row {
  uint64_t bytes = 0;
  uint64_t count = 0;
  std::string type;  ///< "float"; "none"
  std::string op;    ///< "sum"; "none"
  HalfRow out_of_place;
  HalfRow in_place;
  std::string timestamp;           ///< printed if not empty
  std::vector<std::string> extra;  ///< one per ExtraColumn
};

/// The settings, as nccl-tests prints them before the ranks.
std::string Preamble(const Settings& settings, const std::string& subject);
/// One line per rank under "# Using devices".
std::string DeviceLine(int rank, int pid, const std::string& host,
                       const std::string& what);
std::string Header(const Settings& settings,
                   const std::vector<ExtraColumn>& extra);
/// Without the line's end.
std::string RowText(const Row& row, const std::vector<ExtraColumn>& extra);
/// `failures`: halves of rows with wrong elements.
std::string Footer(const Settings& settings, int failures,
                   double average_bus_bandwidth);

/// Two decimals in `width` characters, or as many as fit, or an exponent.
std::string Number(double value, int width);

/// Size / time, and what of it a ring would move through each rank's port.
double AlgorithmBandwidth(uint64_t bytes, double seconds);
double BusFactor(int ranks);

/// Whether the average is what NCCL_TESTS_MIN_BW asks for, a tenth forgiven.
bool MeetsMinimum(const Settings& settings, double average_bus_bandwidth);

}  // namespace longhaul::bench
