// All-gather by site: one schedule hands a stretch of one rank's block, the
// root's, to all ranks. An operation runs one per root and stretch
// (operation_plan.h), many at a time, and a barrier beside them: that is what
// carries word of every rank to every other one.
//
//   in the root's site   the root sends the stretch to every mate
//   exchange of sites    each carrier sends its part of it to the carriers of
//                        those elements in every other site (carriers.h)
//   in the other sites   each carrier sends what has come to every mate
//
// One long-haul delay. Every element crosses to every other site once, whatever
// the numbers of ranks, owners and blocks in the window. What arrives lands in
// the output: there is no scratch.
//
// Pure functions; any thread.
#pragma once

#include <cstdint>

#include "collective/carriers.h"
#include "collective/schedule.h"
#include "topology/topology.h"

namespace longhaul {

/// One rank's part. `count` elements of `root`'s block: input of the root
/// alone, output of every rank. No steps if there are no elements. The
/// rails are RailsFor the count.
Schedule BuildAllGather(uint64_t count, const Topology& topology, Rank root,
                        Rank self, Rails rails);

}  // namespace longhaul
