#include "collective/selector.h"

#include <cstddef>

#include "base/text.h"

namespace longhaul {
namespace {

// What the ring must be estimated to take of the hierarchical form's time to be
// preferred: estimates are within 15 %, and fewer delays are the safer choice
// on lines that are not as steady as those of the estimate.
constexpr double kClearly = 0.85;

}  // namespace

Status CheckBuildable(const Topology& topology, Algorithm algorithm) {
  if (algorithm == Algorithm::kAuto) {
    return {StatusCode::kInvalidArgument, "no algorithm is chosen yet"};
  }
  if (topology.site_count() == 1) return {};
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
        PlanSegments(count, element_size, topology, candidate, options);
    if (!plan.ok()) return plan.status();
    return EstimateSeconds(candidate, *plan, element_size, topology,
                           parameters);
  };
  const Result<double> hierarchical = estimate(Algorithm::kHierarchical);
  const Result<double> ring = estimate(Algorithm::kRing);
  if (!hierarchical.ok() && !ring.ok()) return hierarchical.status();
  const bool take_ring =
      !hierarchical.ok() || (ring.ok() && *ring < kClearly * *hierarchical);
  return take_ring ? Algorithm::kRing : Algorithm::kHierarchical;
}

}  // namespace longhaul
