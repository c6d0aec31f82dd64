#include "collective/coded_sharded.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <vector>

#include "base/check.h"
#include "collective/codes.h"
#include "collective/schedule_builder.h"
#include "collective/split_rail.h"

namespace longhaul {
namespace {

using Index = ScheduleBuilder::Index;
using Cell = SplitRail::Cell;

class CodedShardedBuilder {
 public:
  CodedShardedBuilder(uint64_t count, const Topology& topology,
                      const SiteShares& shares, Rank self)
      : topology_(topology),
        shares_(shares),
        rail_(count, topology, self),
        cells_(rail_.owner() ? rail_.Cells() : std::vector<Cell>()),
        codes_(cells_.size()),
        builder_(count, rail_.owner() ? rail_.scratch() : 0, PlaceCodes()) {}

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
      SpreadTotals();
      rail_.SendGather(builder_, complete_);
    }
    return builder_.Take();
  }

 private:
  // Of one cell; by site, where there are several.
  struct Codes {
    std::vector<Extent> came;   // sums of this site's shard, its own's too
    std::vector<Extent> sent;   // this site's sums of the sites' shards
    std::vector<Extent> total;  // of the sites' shards
  };

  uint64_t PlaceCodes() {
    CodeSpace space;
    for (size_t i = 0; i < cells_.size(); ++i) {
      for (SiteIndex site = 0; site < rail_.sites(); ++site) {
        const uint64_t shard = Shard(i, site).count();
        const bool own = site == rail_.site();
        codes_[i].came.push_back(space.Take(Shard(i, rail_.site()).count()));
        codes_[i].sent.push_back(own ? codes_[i].came.back()
                                     : space.Take(shard));
        codes_[i].total.push_back(space.Take(shard));
      }
    }
    return space.taken();
  }

  Interval Shard(size_t cell, SiteIndex site) const {
    return shares_.Cut(cells_[cell].elements, site);
  }
  static Extent Output(Interval elements) {
    return {Space::kOutput, elements.begin, elements.count()};
  }
  uint32_t SumOf(size_t cell) const { return cells_[cell].number; }
  uint32_t TotalOf(size_t cell) const {
    return rail_.cell_count() + cells_[cell].number;
  }
  static size_t At(SiteIndex site) { return static_cast<size_t>(site); }

  // Calls `f(cell, site, the cell's owner in it)` for every cell and other
  // site. Starts with the site after this one, so that not all turn to the same
  // site first.
  template <typename F>
  void ForEachPartner(F f) const {
    for (SiteIndex step = 1; step < rail_.sites(); ++step) {
      const SiteIndex other = (rail_.site() + step) % rail_.sites();
      const std::span<const Rank> owners = OwnersOf(topology_, other);
      for (size_t i = 0; i < cells_.size(); ++i) {
        f(i, other, owners[rail_.OwnerOf(cells_[i], other)]);
      }
    }
  }

  void PostSums() {
    summands_.resize(cells_.size());
    ForEachPartner([&](size_t i, SiteIndex site, Rank rank) {
      summands_[i].push_back(
          builder_.Recv(rank, SumOf(i), codes_[i].came[At(site)], {}));
    });
  }

  Index EncodeSum(const Extent& code, Interval elements) {
    return builder_.Encode(code, rail_.SiteSum(elements), elements.begin, false,
                           std::array{rail_.summed()});
  }

  void SendSums() {
    encoded_.resize(cells_.size());
    ForEachPartner([&](size_t i, SiteIndex site, Rank rank) {
      const Extent& code = codes_[i].sent[At(site)];
      const Index encoded = EncodeSum(code, Shard(i, site));
      encoded_[i].push_back(encoded);
      builder_.Send(rank, SumOf(i), code, std::array{encoded});
    });
    for (size_t i = 0; i < cells_.size(); ++i) {
      summands_[i].push_back(
          EncodeSum(codes_[i].came[At(rail_.site())], Shard(i, rail_.site())));
    }
  }

  // In place, another site's shard of the output is still this rank's input
  // until that has been added, or encoded where it is the site's sum itself.
  void PostTotals() {
    std::vector<size_t> partner(cells_.size(), 0);
    ForEachPartner([&](size_t i, SiteIndex site, Rank rank) {
      const Extent& code = codes_[i].total[At(site)];
      const Index came = builder_.Recv(rank, TotalOf(i), code, {});
      const std::array after = {
          came, rail_.alone() ? encoded_[i][partner[i]++] : rail_.summed()};
      complete_.push_back(builder_.Decode(Output(Shard(i, site)),
                                          std::span(&code, 1), false, after));
    });
  }

  void AddSites() {
    for (size_t i = 0; i < cells_.size(); ++i) {
      totals_.push_back(builder_.Decode(Output(Shard(i, rail_.site())),
                                        codes_[i].came, true, summands_[i]));
    }
  }

  void SpreadTotals() {
    for (size_t i = 0; i < cells_.size(); ++i) {
      const Extent own = Output(Shard(i, rail_.site()));
      const Extent& code = codes_[i].total[At(rail_.site())];
      Index& total = totals_[i];
      total = builder_.Encode(code, own, own.offset, true, std::array{total});
      complete_.push_back(
          builder_.Decode(own, std::span(&code, 1), false, std::array{total}));
    }
    ForEachPartner([&](size_t i, SiteIndex, Rank rank) {
      builder_.Send(rank, TotalOf(i), codes_[i].total[At(rail_.site())],
                    std::array{totals_[i]});
    });
  }

  const Topology& topology_;
  const SiteShares& shares_;
  SplitRail rail_;
  std::vector<Cell> cells_;
  std::vector<Codes> codes_;  // by cell
  ScheduleBuilder builder_;

  std::vector<std::vector<Index>> summands_;  // of this site's shard, by cell
  std::vector<std::vector<Index>> encoded_;   // sums sent, by cell, by partner
  std::vector<Index> totals_;                 // by cell: made, then encoded
  std::vector<Index> complete_;               // all totals of the part
};

}  // namespace

Schedule BuildCodedShardedAllReduce(uint64_t count, const Topology& topology,
                                    const SiteShares& shares, Rank self) {
  LH_CHECK(topology.site_count() > 1 &&
           shares.sites() == topology.site_count());
  return CodedShardedBuilder(count, topology, shares, self).Build();
}

uint64_t CodedShardedScratch(uint64_t count, const Topology& topology,
                             const SiteShares& shares) {
  uint64_t most = 0;
  const auto sites = static_cast<uint64_t>(topology.site_count());
  for (SiteIndex site = 0; site < topology.site_count(); ++site) {
    const uint64_t part = LongestPart(count, OwnersOf(topology, site).size());
    const uint64_t cells = MostCells(topology, site);
    // The share of each of its cells is rounded up by less than one.
    const uint64_t owned = std::min(
        part, Boundary(part, shares.Of(site), SiteShares::kWhole) + cells);
    // What is owned: a sum of each site and the total. What is not: a sum and
    // a total. Each in a place that is rounded up.
    const uint64_t codes = (sites + 1) * owned + 2 * (part - owned) +
                           3 * sites * cells * kCodeGrain;
    most = std::max(most, (topology.RanksOf(site).size() - 1) * part + codes);
  }
  return most;
}

}  // namespace longhaul
