// How an operation is cut into segments, and what each of them runs.
//
// An all-reduce: segments of its vector, one after the other (segment_plan.h).
//
// All-gather and reduce-scatter: segment 0 is a barrier, an all-reduce of no
// elements: its messages carry the fingerprint to every rank and the dependence
// on every rank, however small the window and whoever's block it lies in. Every
// other segment is a stretch of one rank's block, the root's. They take turns
// by root, so that all ranks send, and the lines carry both directions, from
// the start to the end. A stretch is a shape of its own: windows that differ in
// their place run the same schedules.
//
// Values, equal on every rank; thread-compatible.
#pragma once

#include <longhaul/options.h>
#include <longhaul/status.h>
#include <longhaul/types.h>

#include <cstdint>

#include "collective/pattern.h"
#include "collective/schedule.h"
#include "collective/segment_plan.h"
#include "collective/site_shares.h"
#include "topology/topology.h"

namespace longhaul {

/// What a schedule depends on, besides the topology and the rank.
struct Shape {
  Collective collective = Collective::kAllReduce;  ///< never a barrier
  Algorithm algorithm = Algorithm::kHierarchical;  ///< one that is buildable
  Rank root = 0;  ///< whose block it is, where that matters
  uint64_t count = 0;
  SiteShares shares{};  ///< of kSharded; else none
  bool coded = false;   ///< between sites
  friend bool operator==(const Shape&, const Shape&) = default;
};

/// A segment of an operation: what it runs, and which elements of the caller's
/// buffers its own element 0 stands for.
struct PlannedSegment {
  Shape shape;
  uint64_t input = 0;
  uint64_t output = 0;
};

class OperationPlan {
 public:
  /// Nothing to do.
  OperationPlan() = default;

  /// An all-reduce of `count` elements; of none: a barrier. `shares` as in
  /// NeedsOf. Faults: as PlanSegments.
  static Result<OperationPlan> ForVector(Algorithm algorithm,
                                         const SiteShares& shares,
                                         uint64_t count, size_t element_size,
                                         const Topology& topology,
                                         const SegmentOptions& options = {});

  /// An all-gather or reduce-scatter of a window of a vector of one block of
  /// `block` elements per rank. kInvalidArgument if the window is not in the
  /// vector or that is too long to count; else faults as PlanSegments.
  static Result<OperationPlan> ForBlocks(Collective collective, uint64_t block,
                                         Interval window, size_t element_size,
                                         const Topology& topology,
                                         const SegmentOptions& options = {});

  uint64_t segments() const { return segments_; }
  /// At a time.
  uint64_t in_flight() const { return in_flight_; }
  Algorithm algorithm() const { return algorithm_; }
  /// By which kSharded cuts segments; else none.
  const SiteShares& shares() const { return cut_.shares; }
  /// Is what crosses between sites encoded?
  bool coded() const { return cut_.coded(); }
  /// In the longest segment.
  uint64_t segment_elements() const { return cut_.segment_elements; }

  PlannedSegment At(uint64_t segment) const {
    return collective_ == Collective::kAllReduce ? OfVector(segment)
                                                 : OfBlocks(segment);
  }

 private:
  PlannedSegment OfVector(uint64_t segment) const;
  PlannedSegment OfBlocks(uint64_t segment) const;

  Collective collective_ = Collective::kAllReduce;
  Algorithm algorithm_ = Algorithm::kHierarchical;
  SegmentPlan
      cut_;  ///< of the vector, or of the longest of the window's blocks
  uint64_t segments_ = 0;
  uint64_t in_flight_ = 0;
  uint64_t block_ = 0;
  Interval window_;
  uint64_t first_ = 0;  ///< of the ranks whose blocks meet the window
  uint64_t ranks_ = 0;  ///< how many do
};

}  // namespace longhaul
