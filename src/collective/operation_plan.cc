#include "collective/operation_plan.h"

#include <algorithm>
#include <cinttypes>

#include "base/check.h"
#include "base/text.h"
#include "collective/carriers.h"
#include "collective/reduce_scatter.h"

namespace longhaul {
namespace {

uint64_t NoScratch(uint64_t /*elements*/, const Topology& /*topology*/,
                   const SiteShares& /*shares*/) {
  return 0;
}

uint64_t ScatterScratch(uint64_t elements, const Topology& topology,
                        const SiteShares& /*shares*/) {
  return ReduceScatterScratch(elements, topology);
}

SegmentNeeds BlockNeeds(Collective collective, const Topology& topology) {
  SegmentNeeds needs;
  needs.scratch =
      collective == Collective::kAllGather ? NoScratch : ScatterScratch;
  if (topology.site_count() == 1) return needs;  // nothing is cut
  const OwnerCounts owners = CountOwners(topology);
  needs.least_parts = owners.least;
  needs.most_parts = owners.most;
  return needs;
}

Status CheckWindow(uint64_t block, Interval window, uint64_t ranks) {
  if (block > kMaxCount / ranks) {
    return {StatusCode::kInvalidArgument,
            Text("a vector of %" PRIu64 " blocks of %" PRIu64
                 " elements is too long",
                 ranks, block)};
  }
  if (window.begin > window.end || window.end > block * ranks) {
    return {StatusCode::kInvalidArgument,
            Text("elements %" PRIu64 " to %" PRIu64 " are no window of %" PRIu64
                 " blocks of %" PRIu64,
                 window.begin, window.end, ranks, block)};
  }
  return {};
}

}  // namespace

Result<OperationPlan> OperationPlan::ForVector(Algorithm algorithm,
                                               const SiteShares& shares,
                                               uint64_t count,
                                               size_t element_size,
                                               const Topology& topology,
                                               const SegmentOptions& options) {
  const Result<SegmentPlan> cut =
      PlanSegments(count, element_size, topology, algorithm, shares, options);
  if (!cut.ok()) return cut.status();
  OperationPlan plan;
  plan.algorithm_ = algorithm;
  plan.cut_ = *cut;
  plan.segments_ = cut->segments;
  plan.in_flight_ = cut->in_flight;
  return plan;
}

Result<OperationPlan> OperationPlan::ForBlocks(Collective collective,
                                               uint64_t block, Interval window,
                                               size_t element_size,
                                               const Topology& topology,
                                               const SegmentOptions& options) {
  LH_CHECK(collective == Collective::kAllGather ||
           collective == Collective::kReduceScatter);
  const Status sound =
      CheckWindow(block, window, static_cast<uint64_t>(topology.size()));
  if (!sound.ok()) return sound;
  OperationPlan plan;
  plan.collective_ = collective;
  plan.block_ = block;
  plan.window_ = window;
  uint64_t longest = 0;
  if (window.count() > 0) {
    plan.first_ = window.begin / block;
    plan.ranks_ = (window.end - 1) / block - plan.first_ + 1;
    // The first, the second and the last: all others are whole.
    for (const uint64_t i : {uint64_t{0}, uint64_t{1}, plan.ranks_ - 1}) {
      longest = std::max(longest,
                         BlockInWindow(block, plan.first_ + i, window).count());
    }
  }
  const SegmentNeeds needs = BlockNeeds(collective, topology);
  const Result<SegmentPlan> cut =
      PlanSegments(longest, element_size, topology, needs, options);
  if (!cut.ok()) return cut.status();
  plan.cut_ = *cut;
  plan.segments_ = 1 + plan.ranks_ * cut->segments;
  const uint64_t scratch =
      needs.scratch(cut->segment_elements, topology, needs.shares) *
      element_size;
  plan.in_flight_ = std::min(plan.segments_, kMaxSegmentsInFlight);
  if (scratch > 0) {
    // And the barrier, which needs none.
    plan.in_flight_ =
        std::min(plan.in_flight_,
                 1 + std::max<uint64_t>(1, options.scratch_size / scratch));
  }
  return plan;
}

PlannedSegment OperationPlan::OfVector(uint64_t segment) const {
  const uint64_t begin = cut_.Offset(segment);
  return {{Collective::kAllReduce, algorithm_, 0, cut_.CountOf(segment),
           cut_.shares, cut_.coded()},
          begin,
          begin};
}

PlannedSegment OperationPlan::OfBlocks(uint64_t segment) const {
  if (segment == 0) return {};  // the barrier
  const uint64_t root = first_ + (segment - 1) % ranks_;
  const uint64_t offset = cut_.Offset((segment - 1) / ranks_);
  const Interval own = BlockInWindow(block_, root, window_);
  // A block that the window cuts may be over before the longest one is.
  const uint64_t begin = std::min(offset, own.count());
  const uint64_t count = std::min(cut_.segment_elements, own.count() - begin);
  PlannedSegment planned;
  planned.shape = {collective_, algorithm_, static_cast<Rank>(root),
                   count,       {},         false};
  planned.input = planned.output = own.begin + begin;
  // The root's own side of the call holds its block alone.
  (collective_ == Collective::kAllGather ? planned.input : planned.output) =
      begin;
  return planned;
}

}  // namespace longhaul
