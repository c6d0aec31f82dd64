// Reduce-scatter by site: one schedule adds up a stretch of one rank's block,
// the root's, over all ranks, and leaves it there. An operation runs one per
// root and stretch (operation_plan.h), many at a time, and a barrier beside
// them: that is what carries word of every rank to every other one.
//
//   in every site        every rank sends each carrier (carriers.h) its part of
//                        the stretch; the carrier adds all contributions in
//                        rank order, once
//   exchange of sites    each carrier sends its site's sum to the carriers of
//                        those elements in the root's site; these add all
//                        sites' sums in site order, once
//   in the root's site   each carrier sends its total to the root
//
// One long-haul delay; one sum of every element leaves every other site. Each
// element is summed by the same expression as in a hierarchical all-reduce
// (hierarchical.h), so the two give equal bits.
//
// Pure functions; any thread.
#pragma once

#include <cstdint>

#include "collective/carriers.h"
#include "collective/schedule.h"
#include "topology/topology.h"

namespace longhaul {

/// One rank's part. `count` elements of `root`'s block: input of every rank,
/// output of the root alone. No steps if there are no elements. The
/// rails are RailsFor the count.
Schedule BuildReduceScatter(uint64_t count, const Topology& topology, Rank root,
                            Rank self, Rails rails);

/// The most scratch, in elements, a schedule of `count` elements of any root
/// asks for on any rank.
uint64_t ReduceScatterScratch(uint64_t count, const Topology& topology);

}  // namespace longhaul
