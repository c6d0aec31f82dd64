// The hierarchical all-reduce, split rail: each rank with WAN access owns a
// part of the vector in its site, sums it directly, exchanges it with the
// owners of the same elements in every other site, and hands the result round.
//
//   in-site reduce-scatter   every rank sends each owner its part; the owner
//                            adds all contributions in rank order, once
//   exchange of sites        every owner sends its site's sum to the owners of
//                            those elements everywhere, and adds all sites'
//                            sums in site order, once
//   in-site all-gather       every owner sends its final part to its site
//
// One long-haul delay, whatever the number of sites. Equal bits on every rank:
// each element is summed over sites in the same order from the same sums.
// 16-bit site sums are rounded to the element type once, to cross the WAN, and
// the total once; with one site the total only.
//
// Pure functions; any thread.
#pragma once

#include <cstdint>

#include "collective/schedule.h"
#include "topology/topology.h"

namespace longhaul {

/// One rank's part. Needs CheckBuildable(topology, kHierarchical) (selector.h).
///
/// A site's owners are its ranks with WAN access, or all ranks if there is one
/// site. Owner j of w holds part j of w (pattern.h). Sites may have different
/// numbers of owners: owners exchange what their parts share.
Schedule BuildHierarchicalAllReduce(uint64_t count, const Topology& topology,
                                    Rank self);

/// The most scratch, in elements, any rank's schedule of `count` elements asks
/// for.
uint64_t HierarchicalScratch(uint64_t count, const Topology& topology);

}  // namespace longhaul
