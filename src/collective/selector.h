// Which algorithm an all-reduce uses: the one asked for, else the cheapest.
//
// Pure functions, with equal answers on every rank; any thread.
#pragma once

#include <longhaul/options.h>
#include <longhaul/status.h>

#include <cstdint>

#include "collective/cost.h"
#include "collective/segment_plan.h"
#include "topology/topology.h"

namespace longhaul {

/// Whether the algorithm's builder can serve this topology.
///  - kHierarchical: with several sites, each has a rank with WAN access.
///  - kRing: with several sites, the ring enters and leaves each by a rank with
///    WAN access: two of them, or one if it is the site's only rank.
/// kUnsupported names the site; kInvalidArgument for kAuto, which is none.
Status CheckBuildable(const Topology& topology, Algorithm algorithm);

/// `wanted` if it can be built, else why not. For kAuto kHierarchical, unless
/// it cannot be built and planned or the ring is estimated to be clearly faster
/// (cost.h): only for long vectors over three sites or more.
Result<Algorithm> SelectAlgorithm(Algorithm wanted, uint64_t count,
                                  size_t element_size, const Topology& topology,
                                  const SegmentOptions& options = {},
                                  const CostParameters& parameters = {});

}  // namespace longhaul
