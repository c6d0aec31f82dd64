// How a long vector is cut into segments, each of which runs the schedule by
// itself, several at a time, so that the in-site phases of some hide behind the
// long-haul phase of others.
//
// Pure functions of what all ranks know alike, so every rank plans the same;
// any thread.
#pragma once

#include <longhaul/options.h>
#include <longhaul/status.h>

#include <cstdint>
#include <optional>

#include "collective/site_shares.h"
#include "topology/topology.h"

namespace longhaul {

/// No vector has more segments.
inline constexpr uint64_t kMaxSegments = 65535;
/// No vector has more elements.
inline constexpr uint64_t kMaxCount = uint64_t{1} << 53;
/// No more segments run at a time, whatever the scratch allows.
inline constexpr uint64_t kMaxSegmentsInFlight = 256;

struct SegmentOptions {
  std::optional<uint64_t> segment_size;            ///< bytes
  uint64_t scratch_size = Options().scratch_size;  ///< bytes, per collective
  /// Of a vector's bytes, what crosses between sites: less than 1 where a codec
  /// encodes it.
  double code_share = 1;
};

struct SegmentPlan {
  uint64_t count = 0;             ///< elements in the vector
  uint64_t segment_elements = 0;  ///< in every segment but the last
  uint64_t segments = 1;
  uint64_t in_flight = 1;
  SiteShares shares{};    ///< by which kSharded cuts a segment; else none
  double code_share = 1;  ///< as in SegmentOptions; 1: nothing is encoded

  bool coded() const { return code_share < 1; }
  uint64_t Offset(uint64_t segment) const { return segment * segment_elements; }
  /// Elements in a segment; the last one may have fewer.
  uint64_t CountOf(uint64_t segment) const {
    return segment + 1 < segments ? segment_elements
                                  : count - segment * segment_elements;
  }
  friend bool operator==(const SegmentPlan&, const SegmentPlan&) = default;
};

/// What a schedule's segments are cut into and need.
struct SegmentNeeds {
  uint64_t least_parts = 1;  ///< parts of a segment, least and most of a site
  uint64_t most_parts = 1;
  /// Elements of scratch a segment of `elements` may need on some rank.
  uint64_t (*scratch)(uint64_t elements, const Topology& topology,
                      const SiteShares& shares) = nullptr;
  SiteShares shares{};
  /// Segments of a vector whose parts are neither too short nor too long.
  uint64_t depth = 16;
  double code_share = 1;  ///< as in SegmentOptions
};

/// Whether an all-reduce can encode what crosses between sites: there are
/// some, there is something, and the ring encodes nothing.
bool CanBeCoded(Algorithm algorithm, uint64_t count, const Topology& topology);

/// Those of an all-reduce. kSharded needs shares for the topology's sites;
/// others have no use for them. Encoded, if `code_share` is below 1.
SegmentNeeds NeedsOf(Algorithm algorithm, const Topology& topology,
                     const SiteShares& shares, double code_share = 1);

/// The plan for `count` elements of `element_size` bytes.
///
/// Without a stated size, an owner's part of a segment is about 64 KiB (so that
/// it is worth a message) to 512 KiB (so that it is still in cache when it is
/// added), and between these a vector has `needs.depth` segments; a vector too
/// short for two is one. Segments shrink until at least two (four, without a
/// stated size) fit the scratch at a time. kInvalidArgument if the vector is
/// too long to count (2^53 elements), kExhausted if even kMaxSegments segments
/// are too long for the scratch, or for the 32 bits in which they travel.
Result<SegmentPlan> PlanSegments(uint64_t count, size_t element_size,
                                 const Topology& topology,
                                 const SegmentNeeds& needs,
                                 const SegmentOptions& options = {});

/// Likewise, of an all-reduce. Of kSharded with shares that differ, no more
/// segments are in flight than are of use (UsefulInFlight in cost.h), if all
/// delays are stated.
Result<SegmentPlan> PlanSegments(uint64_t count, size_t element_size,
                                 const Topology& topology, Algorithm algorithm,
                                 const SiteShares& shares,
                                 const SegmentOptions& options = {});

}  // namespace longhaul
