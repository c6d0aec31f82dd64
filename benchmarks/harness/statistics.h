// Order statistics of the times of a row.
//
// Pure functions; any thread.
#pragma once

#include <vector>

namespace longhaul::bench {

struct Statistics {
  double mean = 0;
  double min = 0;
  double p25 = 0;
  double median = 0;
  double p75 = 0;
  double p95 = 0;
  double p99 = 0;
  double max = 0;
  double deviation = 0;  ///< of the population
};

/// Quartiles and the median between neighbours where they fall between two;
/// p95 and p99 by nearest rank. All zero for no times.
Statistics Summarise(std::vector<double> times);

}  // namespace longhaul::bench
