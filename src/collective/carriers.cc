#include "collective/carriers.h"

#include <algorithm>
#include <cstddef>
#include <span>

#include "collective/split_rail.h"

namespace longhaul {
namespace {

// The index, among the owners of the root's site, of who carries the root's
// short stretches. A root without WAN access has a mate for it; roots take
// different ones.
uint64_t GateAtHome(const Topology& topology, Rank root) {
  const std::span<const Rank> owners =
      OwnersOf(topology, topology.SiteOf(root));
  const auto at = std::lower_bound(owners.begin(), owners.end(), root);
  if (at != owners.end() && *at == root) {
    return static_cast<uint64_t>(at - owners.begin());
  }
  return static_cast<uint64_t>(topology.IndexInSite(root)) % owners.size();
}

// The same in any site: away from home, one of those that exchange parts with
// the gate at home.
Rank GateIn(const Topology& topology, Rank root, SiteIndex site) {
  const SiteIndex home = topology.SiteOf(root);
  const std::span<const Rank> owners = OwnersOf(topology, site);
  const uint64_t gate = GateAtHome(topology, root);
  if (site == home) return owners[gate];
  const Interval meeting =
      PartsMeeting(gate, OwnersOf(topology, home).size(), owners.size());
  const auto turn = static_cast<uint64_t>(topology.IndexInSite(root));
  return owners[meeting.begin + turn % meeting.count()];
}

}  // namespace

OwnerCounts CountOwners(const Topology& topology) {
  OwnerCounts counts = {static_cast<uint64_t>(topology.size()), 1};
  for (SiteIndex site = 0; site < topology.site_count(); ++site) {
    const uint64_t owners = OwnersOf(topology, site).size();
    counts.least = std::min(counts.least, owners);
    counts.most = std::max(counts.most, owners);
  }
  return counts;
}

Rails RailsFor(uint64_t count, const Topology& topology) {
  const bool all = topology.site_count() > 1 &&
                   count / kLeastShare >= CountOwners(topology).most;
  return all ? Rails::kAll : Rails::kOne;
}

std::vector<Carrier> CarriersOf(uint64_t count, const Topology& topology,
                                Rank root, SiteIndex site, Rails rails) {
  if (topology.site_count() == 1) return {{root, {0, count}}};
  if (rails == Rails::kOne) {
    return {{GateIn(topology, root, site), {0, count}}};
  }
  std::vector<Carrier> carriers;
  const std::span<const Rank> owners = OwnersOf(topology, site);
  for (size_t j = 0; j < owners.size(); ++j) {
    const Interval part = PartOf(count, j, owners.size());
    if (part.count() > 0) carriers.push_back({owners[j], part});
  }
  return carriers;
}

Interval PartCarriedBy(const std::vector<Carrier>& carriers, Rank rank) {
  const auto at =
      std::find_if(carriers.begin(), carriers.end(),
                   [rank](const Carrier& c) { return c.rank == rank; });
  return at == carriers.end() ? Interval{} : at->part;
}

}  // namespace longhaul
