// Who carries a stretch of one rank's block between sites: the messages of
// all-gather (all_gather.h) run from the root's site to the others, those of
// reduce-scatter (reduce_scatter.h) the other way, over the same ranks.
//
// In every site the stretch is cut among some owners, the carriers: among all
// of them if it is long enough for each to have a share worth a message, so
// that every rail carries the block of every rank; else one carries it whole,
// the root itself if it can. Carriers of two sites exchange what their parts
// share: never more than those that exchange parts in an all-reduce, so nothing
// is said over a connection that was not opened and warmed up at the start.
//
// Pure functions; any thread.
#pragma once

#include <cstdint>
#include <vector>

#include "collective/pattern.h"
#include "topology/topology.h"

namespace longhaul {

/// Elements. A shorter share is not worth a message of its own.
inline constexpr uint64_t kLeastShare = 4096;

/// What a rank carries of a stretch: at least one element.
struct Carrier {
  Rank rank = 0;
  Interval part;
};

/// How many owners of each site carry a stretch.
enum class Rails : uint8_t { kOne, kAll };

/// What is worth it for a stretch of `count` elements. One site has no use for
/// several.
Rails RailsFor(uint64_t count, const Topology& topology);

/// The carriers in `site` of `count` > 0 elements of `root`'s block, by the
/// order of their parts, which cover the stretch. With one site the root alone.
std::vector<Carrier> CarriersOf(uint64_t count, const Topology& topology,
                                Rank root, SiteIndex site, Rails rails);

/// The part of `rank`; empty if it carries nothing.
Interval PartCarriedBy(const std::vector<Carrier>& carriers, Rank rank);

/// The least and most owners of a site.
struct OwnerCounts {
  uint64_t least = 1;
  uint64_t most = 1;
};
OwnerCounts CountOwners(const Topology& topology);

}  // namespace longhaul
