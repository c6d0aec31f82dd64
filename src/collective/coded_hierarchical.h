// The hierarchical all-reduce (hierarchical.h) with codes on the lines between
// sites.
//
//   exchange   each owner encodes its site's sum, cell by cell, and sends the
//              code to the cell's owner in every other site; each owner adds
//              what all sites' codes decode to, its own's among them, in site
//              order: every rank has the same bits (ADR 12)
//
// One encoding, however many sites there are; inside a site nothing is encoded.
//
// Pure functions; any thread.
#pragma once

#include <cstdint>

#include "collective/schedule.h"
#include "topology/topology.h"

namespace longhaul {

/// The schedule of rank `self`: several sites, each of which has a rank with
/// WAN access.
Schedule BuildCodedHierarchicalAllReduce(uint64_t count,
                                         const Topology& topology, Rank self);

/// Elements of scratch and codes together that any rank needs, at most.
uint64_t CodedHierarchicalScratch(uint64_t count, const Topology& topology);

}  // namespace longhaul
