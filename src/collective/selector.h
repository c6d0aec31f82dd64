// Which algorithm an all-reduce uses: the one asked for, else the cheapest.
//
// Pure functions, with equal answers on every rank; any thread.
#pragma once

#include <longhaul/options.h>
#include <longhaul/status.h>

#include <cstdint>

#include "collective/cost.h"
#include "collective/segment_plan.h"
#include "collective/site_shares.h"
#include "topology/topology.h"

namespace longhaul {

/// Whether the algorithm's builder can serve this topology.
///  - kHierarchical: with several sites, each has a rank with WAN access.
///  - kSharded: likewise, and there are at most SiteShares::kMostSites.
///  - kRing: with several sites, the ring enters and leaves each by a rank with
///    WAN access: two of them, or one if it is the site's only rank.
/// kUnsupported names the site; kInvalidArgument for kAuto, which is none.
Status CheckBuildable(const Topology& topology, Algorithm algorithm);

/// `wanted` if it can be built, else why not. For kAuto, of what can be built
/// and planned (segment_plan.h), by estimated time (cost.h): kHierarchical or,
/// if that is faster, kSharded: only for long vectors over three sites or more;
/// but kRing if it is clearly faster than these. `shares` are those that
/// kSharded would use.
Result<Algorithm> SelectAlgorithm(Algorithm wanted, uint64_t count,
                                  size_t element_size, const Topology& topology,
                                  const SiteShares& shares,
                                  const SegmentOptions& options = {},
                                  const CostParameters& parameters = {});

}  // namespace longhaul
