#include "collective/sharded.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <vector>

#include "base/check.h"
#include "collective/hierarchical.h"
#include "collective/schedule_builder.h"
#include "collective/split_rail.h"

namespace longhaul {
namespace {

using Index = ScheduleBuilder::Index;
using Cell = SplitRail::Cell;

class ShardedBuilder {
 public:
  ShardedBuilder(uint64_t count, const Topology& topology,
                 const SiteShares& shares, Rank self)
      : topology_(topology),
        shares_(shares),
        rail_(count, topology, self),
        cells_(rail_.owner() ? rail_.Cells() : std::vector<Cell>()),
        owned_(Owned()),
        builder_(count, Scratch()) {}

  // The runner starts what is ready in this order: receives first, since they
  // cost nothing and must be there in time; then what the WAN waits for.
  Schedule Build() {
    if (rail_.owner()) {
      PostSums();
      rail_.PostContributions(builder_);
    }
    rail_.SendContributions(builder_);
    if (rail_.owner()) {
      rail_.AddContributions(builder_);
      SendSums();
      PostTotals();
    }
    rail_.PostGather(builder_);
    if (rail_.owner()) {
      AddSites();
      SendTotals();
      rail_.SendGather(builder_, complete_);
    }
    return builder_.Take();
  }

 private:
  // What this rank adds up for all sites, of each cell.
  std::vector<Interval> Owned() const {
    std::vector<Interval> owned;
    for (const Cell& cell : cells_) {
      owned.push_back(shares_.Cut(cell.elements, rail_.site()));
    }
    return owned;
  }
  uint64_t OwnedCount() const {
    uint64_t count = 0;
    for (const Interval& owned : owned_) count += owned.count();
    return count;
  }
  // The contributions, then one image of what is owned per other site.
  uint64_t Scratch() const {
    return rail_.scratch() +
           OwnedCount() * static_cast<uint64_t>(rail_.sites() - 1);
  }

  Extent InImage(SiteIndex other, size_t cell) const {
    const SiteIndex place = other < rail_.site() ? other : other - 1;
    uint64_t offset =
        rail_.scratch() + static_cast<uint64_t>(place) * OwnedCount();
    for (size_t i = 0; i < cell; ++i) offset += owned_[i].count();
    return {Space::kScratch, offset, owned_[cell].count()};
  }
  static Extent Output(Interval elements) {
    return {Space::kOutput, elements.begin, elements.count()};
  }
  uint32_t SumOf(const Cell& cell) const { return cell.number; }
  uint32_t TotalOf(const Cell& cell) const {
    return rail_.cell_count() + cell.number;
  }

  // Calls `f(place, site, cell index, owner of the cell in the site)` for every
  // cell and other site; `place` counts the calls. Starts with the site after
  // this one, so that not all turn to the same site first.
  template <typename F>
  void ForEachPartner(F f) const {
    size_t place = 0;
    for (SiteIndex step = 1; step < rail_.sites(); ++step) {
      const SiteIndex other = (rail_.site() + step) % rail_.sites();
      const std::span<const Rank> owners = OwnersOf(topology_, other);
      for (size_t i = 0; i < cells_.size(); ++i) {
        f(place++, other, i, owners[rail_.OwnerOf(cells_[i], other)]);
      }
    }
  }

  void PostSums() {
    received_.resize(cells_.size());
    ForEachPartner([&](size_t, SiteIndex site, size_t i, Rank rank) {
      received_[i].push_back(
          builder_.Recv(rank, SumOf(cells_[i]), InImage(site, i), {}));
    });
  }

  void SendSums() {
    ForEachPartner([&](size_t, SiteIndex site, size_t i, Rank rank) {
      const Interval shard = shares_.Cut(cells_[i].elements, site);
      sent_.push_back(builder_.Send(rank, SumOf(cells_[i]),
                                    rail_.SiteSum(shard),
                                    std::array{rail_.summed()}));
    });
  }

  // In place, another site's shard of the output is still this rank's input
  // until that has been added; or sent, where it is the site's sum itself.
  void PostTotals() {
    ForEachPartner([&](size_t place, SiteIndex site, size_t i, Rank rank) {
      const Index read = rail_.alone() ? sent_[place] : rail_.summed();
      complete_.push_back(builder_.Recv(
          rank, TotalOf(cells_[i]),
          Output(shares_.Cut(cells_[i].elements, site)), std::array{read}));
    });
  }

  void AddSites() {
    for (size_t i = 0; i < cells_.size(); ++i) {
      std::vector<Extent> sources;
      sources.reserve(static_cast<size_t>(rail_.sites()));
      for (SiteIndex site = 0; site < rail_.sites(); ++site) {
        sources.push_back(site == rail_.site() ? rail_.SiteSum(owned_[i])
                                               : InImage(site, i));
      }
      received_[i].push_back(rail_.summed());
      totals_.push_back(
          builder_.Reduce(Output(owned_[i]), sources, true, received_[i]));
    }
  }

  void SendTotals() {
    ForEachPartner([&](size_t, SiteIndex, size_t i, Rank rank) {
      builder_.Send(rank, TotalOf(cells_[i]), Output(owned_[i]),
                    std::array{totals_[i]});
    });
    complete_.insert(complete_.end(), totals_.begin(), totals_.end());
  }

  const Topology& topology_;
  const SiteShares& shares_;
  SplitRail rail_;
  std::vector<Cell> cells_;
  std::vector<Interval> owned_;  // by cell
  ScheduleBuilder builder_;

  std::vector<std::vector<Index>> received_;  // sums, by cell
  std::vector<Index> sent_;                   // sums, by place
  std::vector<Index> totals_;                 // by cell
  std::vector<Index> complete_;               // all totals of the part
};

}  // namespace

Schedule BuildShardedAllReduce(uint64_t count, const Topology& topology,
                               const SiteShares& shares, Rank self) {
  if (topology.site_count() == 1) {
    return BuildHierarchicalAllReduce(count, topology, self);
  }
  LH_CHECK(shares.sites() == topology.site_count());
  return ShardedBuilder(count, topology, shares, self).Build();
}

uint64_t ShardedScratch(uint64_t count, const Topology& topology,
                        const SiteShares& shares) {
  const SiteIndex sites = topology.site_count();
  if (sites == 1) return HierarchicalScratch(count, topology);
  uint64_t most = 0;
  for (SiteIndex site = 0; site < sites; ++site) {
    const uint64_t part = LongestPart(count, OwnersOf(topology, site).size());
    // The share of each of its cells is rounded up by less than one.
    const uint64_t owned =
        std::min(part, Boundary(part, shares.Of(site), SiteShares::kWhole) +
                           MostCells(topology, site));
    most = std::max(most, (topology.RanksOf(site).size() - 1) * part +
                              static_cast<uint64_t>(sites - 1) * owned);
  }
  return most;
}

}  // namespace longhaul
