// The sharded all-reduce (sharded.h) with codes on the lines between sites.
//
//   exchange of sums     every owner encodes its site's sum of each shard and
//                        sends the code to the shard's site, where what all
//                        sites' codes decode to is added, in site order
//   exchange of totals   the total is encoded and sent to the other sites;
//                        all, the shard's own site too, have what that code
//                        decodes to: every rank has the same bits (ADR 12)
//
// Two encodings, whatever the number of sites; inside a site nothing is
// encoded.
//
// Pure functions; any thread.
#pragma once

#include <cstdint>

#include "collective/schedule.h"
#include "collective/site_shares.h"
#include "topology/topology.h"

namespace longhaul {

/// The schedule of rank `self`: several sites, each of which has a rank with
/// WAN access, and shares for them.
Schedule BuildCodedShardedAllReduce(uint64_t count, const Topology& topology,
                                    const SiteShares& shares, Rank self);

/// Elements of scratch and codes together that any rank needs, at most.
uint64_t CodedShardedScratch(uint64_t count, const Topology& topology,
                             const SiteShares& shares);

}  // namespace longhaul
