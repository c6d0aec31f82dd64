#include "collective/hierarchical.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <vector>

#include "base/check.h"
#include "collective/pattern.h"
#include "collective/schedule_builder.h"
#include "collective/split_rail.h"

namespace longhaul {
namespace {

using Index = ScheduleBuilder::Index;
using Ranks = std::span<const Rank>;

// The number of the one message from an owner to another site's.
constexpr uint32_t kExchange = 0;

// The scratch of an owner: the contributions of the site's other ranks
// (split_rail.h), then one image of the part per other site, in site order.
uint64_t ScratchParts(size_t ranks_in_site, SiteIndex sites) {
  return ranks_in_site - 1 + static_cast<uint64_t>(sites) - 1;
}

// A message that crosses the WAN: the elements, and the step that moves it.
struct Crossing {
  SiteIndex site;  // the other site
  uint64_t owner;  // index of the other owner in it
  Interval elements;
  Index step;
};

class HierarchicalBuilder {
 public:
  HierarchicalBuilder(uint64_t count, const Topology& topology, Rank self)
      : topology_(topology),
        count_(count),
        rail_(count, topology, self),
        mine_(rail_.mine()),
        builder_(count, rail_.owner() ? ScratchParts(rail_.ranks().size(),
                                                     rail_.sites()) *
                                            mine_.count()
                                      : 0) {}

  // The runner starts what is ready in this order: receives first, since they
  // cost nothing and must be there in time; then what the WAN waits for.
  Schedule Build() {
    if (rail_.owner()) {
      PostExchange();
      rail_.PostContributions(builder_);
    }
    rail_.SendContributions(builder_);
    if (rail_.owner()) {
      rail_.AddContributions(builder_);
      SendExchange();
    }
    rail_.PostGather(builder_);
    if (rail_.owner()) {
      AddSites();
      rail_.SendGather(builder_, totals_);
    }
    return builder_.Take();
  }

 private:
  // `elements` of the image of another site.
  Extent InImage(SiteIndex other, Interval elements) const {
    const SiteIndex place = other < rail_.site() ? other : other - 1;
    return {Space::kScratch,
            rail_.scratch() + static_cast<uint64_t>(place) * mine_.count() +
                elements.begin - mine_.begin,
            elements.count()};
  }

  // Calls `f(other owner's site, index, rank, shared elements)` for every
  // exchange partner. Starts behind this rank's own place, so that not every
  // owner turns to the same partner first.
  template <typename F>
  void ForEachPartner(F f) const {
    for (SiteIndex step = 1; step < rail_.sites(); ++step) {
      const SiteIndex other = (rail_.site() + step) % rail_.sites();
      const Ranks owners = OwnersOf(topology_, other);
      const Interval meeting =
          PartsMeeting(rail_.part(), rail_.owners().size(), owners.size());
      for (uint64_t i = 0; i < meeting.count(); ++i) {
        const uint64_t j = meeting.begin + (rail_.part() + i) % meeting.count();
        f(other, j, owners[j],
          Overlap(mine_, PartOf(count_, j, owners.size())));
      }
    }
  }

  void PostExchange() {
    ForEachPartner([&](SiteIndex site, uint64_t j, Rank rank, Interval shared) {
      const Index step =
          builder_.Recv(rank, kExchange, InImage(site, shared), {});
      received_.push_back({site, j, shared, step});
    });
  }

  void SendExchange() {
    ForEachPartner([&](SiteIndex site, uint64_t j, Rank rank, Interval shared) {
      const Index step = builder_.Send(rank, kExchange, rail_.SiteSum(shared),
                                       std::array{rail_.summed()});
      sent_.push_back({site, j, shared, step});
    });
  }

  void AddSites() {
    if (rail_.sites() == 1) {
      totals_.push_back(rail_.summed());
      return;
    }
    for (const SplitRail::Cell& cell : rail_.Cells()) AddSitesOf(cell);
  }

  void AddSitesOf(const SplitRail::Cell& cell) {
    std::vector<Extent> sources;
    std::vector<Index> after = {rail_.summed()};
    for (SiteIndex site = 0; site < rail_.sites(); ++site) {
      if (site == rail_.site()) {
        sources.push_back(rail_.SiteSum(cell.elements));
        continue;
      }
      const uint64_t j = rail_.OwnerOf(cell, site);
      const auto from =
          std::find_if(received_.begin(), received_.end(),
                       [&](auto& c) { return c.site == site && c.owner == j; });
      LH_CHECK(from != received_.end());
      sources.push_back(InImage(site, cell.elements));
      after.push_back(from->step);
    }
    if (rail_.alone()) AwaitSends(cell.elements, after);
    totals_.push_back(builder_.Reduce(
        {Space::kOutput, cell.elements.begin, cell.elements.count()}, sources,
        true, after));
  }

  // A site of one rank sends its input itself: in place, the total may replace
  // it only when it is gone.
  void AwaitSends(Interval elements, std::vector<Index>& after) const {
    for (const Crossing& c : sent_) {
      if (Overlap(c.elements, elements).count() > 0) after.push_back(c.step);
    }
  }

  const Topology& topology_;
  uint64_t count_;
  SplitRail rail_;
  Interval mine_;
  ScheduleBuilder builder_;

  std::vector<Crossing> received_;
  std::vector<Crossing> sent_;
  std::vector<Index> totals_;
};

}  // namespace

Schedule BuildHierarchicalAllReduce(uint64_t count, const Topology& topology,
                                    Rank self) {
  return HierarchicalBuilder(count, topology, self).Build();
}

uint64_t HierarchicalScratch(uint64_t count, const Topology& topology) {
  uint64_t most = 0;
  for (SiteIndex site = 0; site < topology.site_count(); ++site) {
    const uint64_t parts =
        ScratchParts(topology.RanksOf(site).size(), topology.site_count());
    most = std::max(
        most, parts * LongestPart(count, OwnersOf(topology, site).size()));
  }
  return most;
}

}  // namespace longhaul
