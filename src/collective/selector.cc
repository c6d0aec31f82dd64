#include "collective/selector.h"

#include <cstddef>

#include "base/text.h"

namespace longhaul {

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
  Algorithm best = Algorithm::kAuto;
  double least = 0;
  Status fault;
  for (const Algorithm candidate :
       {Algorithm::kHierarchical, Algorithm::kRing}) {
    Status s = CheckBuildable(topology, candidate);
    if (s.ok()) {
      const Result<SegmentPlan> plan =
          PlanSegments(count, element_size, topology, candidate, options);
      s = plan.status();
      if (s.ok()) {
        const double seconds = EstimateSeconds(candidate, *plan, element_size,
                                               topology, parameters);
        if (best == Algorithm::kAuto || seconds < least) {
          best = candidate;
          least = seconds;
        }
      }
    }
    if (fault.ok()) fault = s;
  }
  if (best == Algorithm::kAuto) return fault;
  return best;
}

}  // namespace longhaul
