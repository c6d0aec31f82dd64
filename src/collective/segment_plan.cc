#include "collective/segment_plan.h"

#include <algorithm>
#include <cinttypes>
#include <cstddef>

#include "base/check.h"
#include "base/text.h"
#include "collective/carriers.h"
#include "collective/coded_hierarchical.h"
#include "collective/coded_sharded.h"
#include "collective/cost.h"
#include "collective/hierarchical.h"
#include "collective/ring.h"
#include "collective/sharded.h"

namespace longhaul {
namespace {

constexpr uint64_t kLeastPart = uint64_t{64} << 10;  // bytes
constexpr uint64_t kLargestPart = uint64_t{512} << 10;
constexpr uint64_t kShardedDepth = 32;  // two delays are there to be hidden
constexpr uint64_t kAligned = 64;       // elements; at least a cache line

constexpr uint64_t CeilDivide(uint64_t a, uint64_t b) {
  return a / b + (a % b != 0 ? 1 : 0);
}

template <uint64_t (*scratch)(uint64_t elements, const Topology& topology)>
uint64_t WithoutShares(uint64_t elements, const Topology& topology,
                       const SiteShares& /*shares*/) {
  return scratch(elements, topology);
}

class Planner {
 public:
  Planner(uint64_t count, uint64_t element_size, const Topology& topology,
          const SegmentNeeds& needs, const SegmentOptions& options)
      : count_(count),
        element_size_(element_size),
        topology_(topology),
        needs_(needs),
        options_(options),
        grain_(kAligned * needs.most_parts) {}

  Result<SegmentPlan> Run() const {
    if (count_ > kMaxCount) {
      return Status(
          StatusCode::kInvalidArgument,
          Text("a vector of %" PRIu64 " elements is too long", count_));
    }
    uint64_t elements = Fit(options_.segment_size ? Stated() : Chosen());
    elements = std::max(elements, CeilDivide(count_, kMaxSegments));
    if (!options_.segment_size) elements = Even(elements);
    elements = std::min(elements, count_);

    SegmentPlan plan = {.count = count_,
                        .segment_elements = elements,
                        .shares = needs_.shares,
                        .code_share = needs_.code_share};
    if (elements > 0) plan.segments = CeilDivide(count_, elements);
    const uint64_t fit = FitAtATime(elements);
    plan.in_flight = std::min({plan.segments, fit, kMaxSegmentsInFlight});
    if (elements > UINT32_MAX || fit < AtATime(elements, 2)) {
      return Status(
          StatusCode::kExhausted,
          Text("%" PRIu64 " elements of %" PRIu64 " bytes in %" PRIu64
               " segments need more than %" PRIu64 " bytes of scratch",
               count_, element_size_, plan.segments, options_.scratch_size));
    }
    return plan;
  }

 private:
  uint64_t Stated() const {
    return std::max<uint64_t>(1, *options_.segment_size / element_size_);
  }
  uint64_t Chosen() const {
    const uint64_t bytes =
        std::max(kLeastPart * needs_.most_parts,
                 std::min(kLargestPart * needs_.least_parts,
                          count_ * element_size_ / needs_.depth));
    return bytes / element_size_;
  }
  // As few segments as with `elements`, but all about as long, and parts that
  // begin at whole cache lines. Less than twice as long: of four that fit the
  // scratch at a time, two still do.
  uint64_t Even(uint64_t elements) const {
    if (elements < grain_ || elements >= count_) return elements;
    const uint64_t segments = CeilDivide(count_, elements);
    return CeilDivide(CeilDivide(count_, segments), grain_) * grain_;
  }

  uint64_t FitAtATime(uint64_t elements) const {
    const uint64_t bytes =
        needs_.scratch(elements, topology_, needs_.shares) * element_size_;
    return bytes == 0 ? UINT64_MAX : options_.scratch_size / bytes;
  }
  // `several`, or 1 if the vector is one segment.
  uint64_t AtATime(uint64_t elements, uint64_t several) const {
    return elements >= count_ ? 1 : several;
  }
  // At most `elements`, and short enough for the scratch if that can be.
  uint64_t Fit(uint64_t elements) const {
    const uint64_t several = options_.segment_size ? 2 : 4;
    elements = std::min(elements, std::max<uint64_t>(count_, 1));
    while (elements > 1 && FitAtATime(elements) < AtATime(elements, several)) {
      elements /= 2;
    }
    return elements;
  }

  uint64_t count_;
  uint64_t element_size_;
  const Topology& topology_;
  const SegmentNeeds& needs_;
  const SegmentOptions& options_;
  uint64_t grain_;
};

// Rates are known if shares differ by them.
bool IsWindowKnown(const Topology& topology, const SiteShares& shares) {
  bool even = true;
  bool delays = true;
  for (SiteIndex a = 0; a < shares.sites(); ++a) {
    for (SiteIndex b = 0; b < a; ++b) {
      even = even && shares.IsLike(a, b);
      delays = delays && topology.HasDelay(a, b);
    }
  }
  return delays && !even;
}

}  // namespace

bool CanBeCoded(Algorithm algorithm, uint64_t count, const Topology& topology) {
  return algorithm != Algorithm::kRing && count > 0 &&
         topology.site_count() > 1;
}

SegmentNeeds NeedsOf(Algorithm algorithm, const Topology& topology,
                     const SiteShares& shares, double code_share) {
  if (algorithm == Algorithm::kRing) {
    const auto all = static_cast<uint64_t>(topology.size());
    return {all, all, WithoutShares<RingScratch>};
  }
  const OwnerCounts owners = CountOwners(topology);
  const bool coded = code_share < 1;
  if (algorithm == Algorithm::kSharded) {
    return {owners.least,
            owners.most,
            coded ? CodedShardedScratch : ShardedScratch,
            shares,
            kShardedDepth,
            code_share};
  }
  SegmentNeeds needs = {owners.least, owners.most};
  needs.scratch = coded ? WithoutShares<CodedHierarchicalScratch>
                        : WithoutShares<HierarchicalScratch>;
  needs.code_share = code_share;
  return needs;
}

Result<SegmentPlan> PlanSegments(uint64_t count, size_t element_size,
                                 const Topology& topology,
                                 const SegmentNeeds& needs,
                                 const SegmentOptions& options) {
  LH_CHECK(element_size > 0);
  return Planner(count, element_size, topology, needs, options).Run();
}

Result<SegmentPlan> PlanSegments(uint64_t count, size_t element_size,
                                 const Topology& topology, Algorithm algorithm,
                                 const SiteShares& shares,
                                 const SegmentOptions& options) {
  Result<SegmentPlan> plan = PlanSegments(
      count, element_size, topology,
      NeedsOf(algorithm, topology, shares,
              CanBeCoded(algorithm, count, topology) ? options.code_share : 1),
      options);
  if (plan.ok() && algorithm == Algorithm::kSharded &&
      plan->segment_elements > 0 && IsWindowKnown(topology, shares)) {
    plan->in_flight = std::min(plan->in_flight,
                               UsefulInFlight(*plan, element_size, topology));
  }
  return plan;
}

}  // namespace longhaul
