// Proof that the schedules of all ranks make the collective they are meant to:
// they are played with expressions in place of numbers.
//
// Pure functions; any thread.
#pragma once

#include <longhaul/status.h>

#include <span>

#include "collective/schedule.h"
#include "topology/topology.h"

namespace longhaul {

/// `ranks[r]` is rank r's schedule. Plays them out of place and in place with
/// sends that wait for their receive (the strictest transport there is), and
/// proves:
///  - each schedule is valid (validator.h), so the order of steps that are
///    ready at once does not matter;
///  - nothing waits for ever, every message is received, sizes agree, and only
///    ranks with WAN access exchange messages between sites;
///  - every element of every output is one contribution of each rank's element
///    of that index, made final once, by the same expression on every rank:
///    equal operands in an equal order, hence equal bits; what was encoded on
///    the way is another operand than what was not;
///  - whatever the count, no rank is done before every rank has started.
///
/// kInvalidArgument says what does not hold, where. Time and memory grow with
/// ranks x count: for small counts, which have every case.
Status CheckAllReduce(std::span<const Schedule> ranks,
                      const Topology& topology);

/// Likewise for a stretch of `root`'s block (all_gather.h): in place of what is
/// said of elements, that every element of every output is the root's element
/// of that index, and that nobody reads another rank's input. Word of every
/// rank is the barrier's to carry (operation_plan.h) and is not asked for.
Status CheckAllGather(std::span<const Schedule> ranks, const Topology& topology,
                      Rank root);

/// Likewise for a stretch of `root`'s block (reduce_scatter.h): every element
/// of the root's output is the sum over the sites, in site order, of the sums
/// over each site's ranks, in rank order, made final once; no other output is
/// written.
Status CheckReduceScatter(std::span<const Schedule> ranks,
                          const Topology& topology, Rank root);

}  // namespace longhaul
