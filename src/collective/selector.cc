#include "collective/selector.h"

#include <cstddef>

#include "base/text.h"

namespace longhaul {
namespace {

// What a form with more delays must be estimated to take of another's time to
// be preferred: fewer delays are the safer choice on lines that are not as
// steady as those of the estimate, and estimates err: most for the ring, which
// has most delays.
constexpr double kClearly = 0.85;
constexpr double kAtAll = 0.97;

}  // namespace

Status CheckBuildable(const Topology& topology, Algorithm algorithm) {
  if (algorithm == Algorithm::kAuto) {
    return {StatusCode::kInvalidArgument, "no algorithm is chosen yet"};
  }
  if (topology.site_count() == 1) return {};
  if (algorithm == Algorithm::kSharded &&
      topology.site_count() > SiteShares::kMostSites) {
    return {StatusCode::kUnsupported,
            Text("algorithm sharded serves at most %d sites, not %d",
                 SiteShares::kMostSites, topology.site_count())};
  }
  for (SiteIndex site = 0; site < topology.site_count(); ++site) {
    const size_t ranks = topology.RanksOf(site).size();
    const size_t wan = topology.WanRanksOf(site).size();
    const size_t needed =
        algorithm == Algorithm::kRing && ranks > 1 ? size_t{2} : size_t{1};
    if (wan >= needed) continue;
    return {
        StatusCode::kUnsupported,
        Text("algorithm %s needs %zu ranks with WAN access in site %s, "
             "which has %zu",
             NameOf(algorithm), needed, topology.NameOf(site).c_str(), wan)};
  }
  return {};
}

Result<Algorithm> SelectAlgorithm(Algorithm wanted, uint64_t count,
                                  size_t element_size, const Topology& topology,
                                  const SiteShares& shares,
                                  const SegmentOptions& options,
                                  const CostParameters& parameters) {
  if (wanted != Algorithm::kAuto) {
    Status s = CheckBuildable(topology, wanted);
    if (!s.ok()) return s;
    return wanted;
  }
  const auto estimate = [&](Algorithm candidate) -> Result<double> {
    Status s = CheckBuildable(topology, candidate);
    if (!s.ok()) return s;
    const Result<SegmentPlan> plan =
        PlanSegments(count, element_size, topology, candidate, shares, options);
    if (!plan.ok()) return plan.status();
    return EstimateSeconds(candidate, *plan, element_size, topology,
                           parameters);
  };
  Algorithm chosen = Algorithm::kHierarchical;
  Result<double> best = estimate(chosen);
  const auto consider = [&](Algorithm candidate, double of_its_time) {
    const Result<double> seconds = estimate(candidate);
    if (!seconds.ok()) return;
    if (best.ok() && *seconds >= of_its_time * *best) return;
    chosen = candidate;
    best = seconds;
  };
  consider(Algorithm::kSharded, kAtAll);
  consider(Algorithm::kRing, kClearly);
  if (!best.ok()) return best.status();
  return chosen;
}

}  // namespace longhaul
