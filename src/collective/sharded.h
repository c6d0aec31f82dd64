// The sharded all-reduce, split rail: as the hierarchical one, but between
// sites each element is added up in one of them, which sends the total to the
// others. Each site so adds a shard of the vector, the greater, the faster its
// lines are (site_shares.h).
//
//   in-site reduce-scatter   split_rail.h
//   exchange of sums         every owner sends its site's sum of each shard to
//                            the owners of those elements in the shard's site,
//                            who add all sites' sums in site order, once
//   exchange of totals       they send the total to the owners of those
//                            elements in every other site
//   in-site all-gather       split_rail.h
//
// Two long-haul delays, but of the bytes as few as there can be: site i with
// share x_i of k sites moves S (1 + (k - 2) x_i) each way, where the
// hierarchical form moves S (k - 1). The two exchanges of different segments
// use the lines at the same time. The same bits as the hierarchical form.
//
// Pure functions; any thread.
#pragma once

#include <cstdint>

#include "collective/schedule.h"
#include "collective/site_shares.h"
#include "topology/topology.h"

namespace longhaul {

/// One rank's part. Needs CheckBuildable(topology, kSharded) (selector.h), and
/// shares for the topology's sites. With one site it is the hierarchical one.
///
/// Every message is there whatever the shares, some of them empty: who talks to
/// whom, and that each rank has word of all others, depends on the topology
/// alone.
Schedule BuildShardedAllReduce(uint64_t count, const Topology& topology,
                               const SiteShares& shares, Rank self);

/// No rank's schedule of `count` elements asks for more scratch, in elements.
/// Greater than the most that is asked for by less than the cells of a part,
/// times the sites.
uint64_t ShardedScratch(uint64_t count, const Topology& topology,
                        const SiteShares& shares);

}  // namespace longhaul
