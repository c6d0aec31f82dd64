#include "harness/statistics.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>

namespace longhaul::bench {
namespace {

double Between(const std::vector<double>& sorted, double share) {
  const double at = share * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<size_t>(at);
  const size_t above = std::min(below + 1, sorted.size() - 1);
  const double weight = at - static_cast<double>(below);
  return sorted[below] * (1 - weight) + sorted[above] * weight;
}

double NearestRank(const std::vector<double>& sorted, size_t percent) {
  const size_t rank = (sorted.size() * percent + 99) / 100;
  return sorted[std::max<size_t>(rank, 1) - 1];
}

}  // namespace

Statistics Summarise(std::vector<double> times) {
  Statistics all;
  if (times.empty()) return all;
  std::sort(times.begin(), times.end());
  const auto n = static_cast<double>(times.size());
  all.mean = std::accumulate(times.begin(), times.end(), 0.0) / n;
  all.min = times.front();
  all.max = times.back();
  all.p25 = Between(times, 0.25);
  all.median = Between(times, 0.5);
  all.p75 = Between(times, 0.75);
  all.p95 = NearestRank(times, 95);
  all.p99 = NearestRank(times, 99);
  double squares = 0;
  for (double time : times) squares += (time - all.mean) * (time - all.mean);
  all.deviation = std::sqrt(squares / n);
  return all;
}

}  // namespace longhaul::bench
