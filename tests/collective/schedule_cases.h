// Topologies and schedules the tests of the schedule builders share.
//
// Thread-compatible.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "collective/coded_hierarchical.h"
#include "collective/coded_sharded.h"
#include "collective/hierarchical.h"
#include "collective/ring.h"
#include "collective/schedule.h"
#include "collective/sharded.h"
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

/// A topology, and what to call it.
struct Case {
  std::string name;
  Topology topology;
};

/// `size` ranks in `sites` sites: as even as can be, and as uneven.
inline std::vector<std::vector<int>> Splits(int size, int sites) {
  std::vector<int> even(static_cast<size_t>(sites), size / sites);
  for (int i = 0; i < size % sites; ++i) ++even[static_cast<size_t>(i)];
  std::vector<int> uneven(static_cast<size_t>(sites), 1);
  uneven[static_cast<size_t>(size % sites)] += size - sites;
  return {even, uneven};
}

/// The topologies to prove for `size` ranks in `sites` sites.
inline std::vector<Case> Cases(int size, int sites) {
  std::vector<Case> cases;
  for (const std::vector<int>& sizes : Splits(size, sites)) {
    const std::string name = ::testing::PrintToString(sizes);
    cases.push_back({name, MakeSites(sizes)});
    cases.push_back({name + " in turns, every third has no WAN",
                     MakeSites(
                         sizes, [](int i, int) { return i % 3 != 1; }, true)});
    cases.push_back({name + " only the last, and every fourth, has WAN",
                     MakeSites(sizes, [](int i, int n) {
                       return i + 1 == n || i % 4 == 1;
                     })});
  }
  return cases;
}

/// Shares of `sites` sites, a third of them none.
inline SiteShares RandomShares(int sites, std::mt19937& random) {
  std::vector<uint64_t> weights(static_cast<size_t>(sites));
  for (uint64_t& weight : weights) {
    weight = random() % 3 == 0 ? 0 : random() % 1000;
  }
  return SiteShares::OfWeights(weights);
}

/// Every rank's sharded schedule.
inline std::vector<Schedule> BuildAllSharded(uint64_t count,
                                             const Topology& topology,
                                             const SiteShares& shares) {
  std::vector<Schedule> all;
  for (Rank rank = 0; rank < topology.size(); ++rank) {
    all.push_back(BuildShardedAllReduce(count, topology, shares, rank));
  }
  return all;
}

/// Every rank's schedule with codes between sites; not kRing.
inline std::vector<Schedule> BuildAllCoded(Algorithm algorithm, uint64_t count,
                                           const Topology& topology,
                                           const SiteShares& shares) {
  std::vector<Schedule> all;
  for (Rank rank = 0; rank < topology.size(); ++rank) {
    all.push_back(
        algorithm == Algorithm::kSharded
            ? BuildCodedShardedAllReduce(count, topology, shares, rank)
            : BuildCodedHierarchicalAllReduce(count, topology, rank));
  }
  return all;
}

/// Every rank's schedule; with the topology's shares.
inline std::vector<Schedule> BuildAll(Algorithm algorithm, uint64_t count,
                                      const Topology& topology) {
  if (algorithm == Algorithm::kSharded) {
    return BuildAllSharded(count, topology, SharesOf(topology));
  }
  std::vector<Schedule> all;
  for (Rank rank = 0; rank < topology.size(); ++rank) {
    all.push_back(algorithm == Algorithm::kRing
                      ? BuildRingAllReduce(count, topology, rank)
                      : BuildHierarchicalAllReduce(count, topology, rank));
  }
  return all;
}

}  // namespace longhaul::testing
