// Topologies and schedules the tests of the schedule builders share.
//
// Thread-compatible.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "collective/hierarchical.h"
#include "collective/ring.h"
#include "collective/schedule.h"
#include "topology/topology.h"

namespace longhaul::testing {

/// Who of a site has WAN access: by index in the site, and the site's size.
using WanRule = bool (*)(int index, int size);
inline bool Everyone(int /*index*/, int /*size*/) { return true; }

/// sizes[i] ranks in site i. Ranks are numbered site by site, or in turns.
inline Topology MakeSites(const std::vector<int>& sizes, WanRule wan = Everyone,
                          bool in_turns = false) {
  std::vector<SiteSpec> sites;
  std::vector<RankSpec> ranks;
  std::vector<std::pair<int, SiteIndex>> order;
  for (size_t i = 0; i < sizes.size(); ++i) {
    sites.push_back({"site" + std::to_string(i), {}, {}});
    for (int index = 0; index < sizes[i]; ++index) {
      order.emplace_back(index, static_cast<SiteIndex>(i));
    }
  }
  if (in_turns) std::stable_sort(order.begin(), order.end());
  for (const auto& [index, site] : order) {
    const int size = sizes[static_cast<size_t>(site)];
    ranks.push_back(
        {site, static_cast<int32_t>(ranks.size()), wan(index, size), "host"});
  }
  return Topology::Make(std::move(sites), std::move(ranks)).value();
}

/// Every rank's schedule.
inline std::vector<Schedule> BuildAll(Algorithm algorithm, uint64_t count,
                                      const Topology& topology) {
  std::vector<Schedule> all;
  for (Rank rank = 0; rank < topology.size(); ++rank) {
    all.push_back(algorithm == Algorithm::kRing
                      ? BuildRingAllReduce(count, topology, rank)
                      : BuildHierarchicalAllReduce(count, topology, rank));
  }
  return all;
}

}  // namespace longhaul::testing
