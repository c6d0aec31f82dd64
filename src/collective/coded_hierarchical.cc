#include "collective/coded_hierarchical.h"

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

class CodedHierarchicalBuilder {
 public:
  CodedHierarchicalBuilder(uint64_t count, const Topology& topology, Rank self)
      : rail_(count, topology, self),
        cells_(rail_.owner() ? rail_.Cells() : std::vector<Cell>()),
        codes_(cells_.size()),
        builder_(count, rail_.owner() ? rail_.scratch() : 0, PlaceCodes()) {}

  // The runner starts what is ready in this order: receives first, since they
  // cost nothing and must be there in time; then what the WAN waits for.
  Schedule Build() {
    if (rail_.owner()) {
      PostCodes();
      rail_.PostContributions(builder_);
    }
    rail_.SendContributions(builder_);
    if (rail_.owner()) {
      rail_.AddContributions(builder_);
      SendCodes();
    }
    rail_.PostGather(builder_);
    if (rail_.owner()) {
      AddSites();
      rail_.SendGather(builder_, totals_);
    }
    return builder_.Take();
  }

 private:
  uint64_t PlaceCodes() {
    CodeSpace space;
    for (size_t i = 0; i < cells_.size(); ++i) {
      for (SiteIndex site = 0; site < rail_.sites(); ++site) {
        codes_[i].push_back(space.Take(cells_[i].elements.count()));
      }
    }
    return space.taken();
  }
  const Extent& CodeOf(size_t cell, SiteIndex site) const {
    return codes_[cell][static_cast<size_t>(site)];
  }

  void PostCodes() {
    after_.resize(cells_.size());
    for (size_t i = 0; i < cells_.size(); ++i) {
      rail_.ForEachPartner(cells_[i], [&](SiteIndex site, Rank rank) {
        after_[i].push_back(
            builder_.Recv(rank, cells_[i].number, CodeOf(i, site), {}));
      });
    }
  }

  void SendCodes() {
    for (size_t i = 0; i < cells_.size(); ++i) {
      const Extent& own = CodeOf(i, rail_.site());
      const Interval& elements = cells_[i].elements;
      const Index encoded =
          builder_.Encode(own, rail_.SiteSum(elements), elements.begin, false,
                          std::array{rail_.summed()});
      after_[i].push_back(encoded);
      rail_.ForEachPartner(cells_[i], [&](SiteIndex, Rank rank) {
        builder_.Send(rank, cells_[i].number, own, std::array{encoded});
      });
    }
  }

  // A site of one rank encodes its input itself: in place, the total replaces
  // it only after that.
  void AddSites() {
    for (size_t i = 0; i < cells_.size(); ++i) {
      const Interval& elements = cells_[i].elements;
      totals_.push_back(
          builder_.Decode({Space::kOutput, elements.begin, elements.count()},
                          codes_[i], true, after_[i]));
    }
  }

  SplitRail rail_;
  std::vector<Cell> cells_;
  std::vector<std::vector<Extent>> codes_;  // by cell, by site
  ScheduleBuilder builder_;

  std::vector<std::vector<Index>> after_;  // by cell: what its total waits for
  std::vector<Index> totals_;
};

}  // namespace

Schedule BuildCodedHierarchicalAllReduce(uint64_t count,
                                         const Topology& topology, Rank self) {
  LH_CHECK(topology.site_count() > 1);
  return CodedHierarchicalBuilder(count, topology, self).Build();
}

uint64_t CodedHierarchicalScratch(uint64_t count, const Topology& topology) {
  uint64_t most = 0;
  const auto sites = static_cast<uint64_t>(topology.site_count());
  for (SiteIndex site = 0; site < topology.site_count(); ++site) {
    const uint64_t part = LongestPart(count, OwnersOf(topology, site).size());
    const uint64_t codes =
        sites * (part + MostCells(topology, site) * kCodeGrain);
    most = std::max(most, (topology.RanksOf(site).size() - 1) * part + codes);
  }
  return most;
}

}  // namespace longhaul
