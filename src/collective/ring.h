// The flat ring all-reduce: reduce-scatter, then all-gather, once around each,
// in 2 (N - 1) steps of 1/N of the vector. Each rank talks to two others only.
//
// Best where every hop is alike; over several sites every hop's delay is paid,
// so the hierarchical form (hierarchical.h) is then the better one.
//
// Pure functions; any thread.
#pragma once

#include <cstdint>
#include <vector>

#include "collective/schedule.h"
#include "topology/topology.h"

namespace longhaul {

/// All ranks in ring order: site after site, within a site ascending except
/// that a rank with WAN access comes first and another one last.
std::vector<Rank> RingOrder(const Topology& topology);

/// One rank's part. Piece q (of N) is summed along the ring from the rank at
/// position q on, left to right, and passed on unchanged once complete: equal
/// bits on every rank. Sums are rounded to the element type at every rank.
/// Needs CheckBuildable(topology, kRing) (selector.h).
Schedule BuildRingAllReduce(uint64_t count, const Topology& topology,
                            Rank self);

/// The most scratch, in elements, any rank's schedule of `count` elements asks
/// for.
uint64_t RingScratch(uint64_t count, const Topology& topology);

}  // namespace longhaul
