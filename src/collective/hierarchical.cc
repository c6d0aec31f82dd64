#include "collective/hierarchical.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <vector>

#include "base/check.h"
#include "collective/pattern.h"
#include "collective/schedule_builder.h"

namespace longhaul {
namespace {

using Index = ScheduleBuilder::Index;
using Ranks = std::span<const Rank>;

// Message numbers, per ordered pair of ranks. A pair is either of one site or
// of two, so the exchange can share a number.
constexpr uint32_t kScatter = 0;
constexpr uint32_t kGather = 1;
constexpr uint32_t kExchange = 0;

// The scratch of an owner: the contributions of the site's other ranks in rank
// order, then one image of the part per other site, in site order. The site's
// sum replaces the first contribution.
//
// The sum lives in scratch rather than in the output because, in place, the
// output is where the total goes: it could then be written only once every
// long-haul send of the sum has drained. So the total waits for arrivals only.
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
        self_(self),
        site_(topology.SiteOf(self)),
        sites_(topology.site_count()),
        ranks_(topology.RanksOf(site_)),
        owners_(OwnersOf(topology, site_)),
        part_(static_cast<size_t>(
            std::find(owners_.begin(), owners_.end(), self) - owners_.begin())),
        owner_(part_ < owners_.size()),
        mine_(owner_ ? PartOf(count, part_, owners_.size()) : Interval{}),
        builder_(
            count,
            owner_ ? ScratchParts(ranks_.size(), sites_) * mine_.count() : 0) {}

  // The runner starts what is ready in this order: receives first, since they
  // cost nothing and must be there in time; then what the WAN waits for.
  Schedule Build() {
    if (owner_) {
      PostExchange();
      PostContributions();
    }
    SendContributions();
    if (owner_) {
      AddContributions();
      SendExchange();
    }
    PostGather();
    if (owner_) {
      AddSites();
      SendGather();
    }
    return builder_.Take();
  }

 private:
  Extent Part(Space space, size_t part) const {
    const Interval i = PartOf(count_, part, owners_.size());
    return {space, i.begin, i.count()};
  }
  // `elements` of the image at place `image` of the scratch.
  Extent InScratch(uint64_t image, Interval elements) const {
    return {Space::kScratch,
            image * mine_.count() + elements.begin - mine_.begin,
            elements.count()};
  }
  uint64_t ImageOf(SiteIndex other) const {
    const SiteIndex place = other < site_ ? other : other - 1;
    return ranks_.size() - 1 + static_cast<uint64_t>(place);
  }
  // Where this site's sum of `elements` is. A site of one rank has its input
  // for a sum; a copy would be one more pass over memory.
  Extent SiteSum(Interval elements) const {
    if (ranks_.size() > 1) return InScratch(0, elements);
    return {Space::kInput, elements.begin, elements.count()};
  }

  // Calls `f(other owner's site, index, rank, shared elements)` for every
  // exchange partner. Starts behind this rank's own place, so that not every
  // owner turns to the same partner first.
  template <typename F>
  void ForEachPartner(F f) const {
    for (SiteIndex step = 1; step < sites_; ++step) {
      const SiteIndex other = (site_ + step) % sites_;
      const Ranks owners = OwnersOf(topology_, other);
      const Interval meeting =
          PartsMeeting(part_, owners_.size(), owners.size());
      for (uint64_t i = 0; i < meeting.count(); ++i) {
        const uint64_t j = meeting.begin + (part_ + i) % meeting.count();
        f(other, j, owners[j],
          Overlap(mine_, PartOf(count_, j, owners.size())));
      }
    }
  }

  // Calls `f(index)` for the others of a group of `size`, starting after
  // `first`.
  template <typename F>
  static void ForEachAfter(size_t first, size_t size, F f) {
    for (size_t i = 0; i < size; ++i) f((first + i) % size);
  }
  size_t AfterSelf(Ranks group) const {
    return static_cast<size_t>(
               std::upper_bound(group.begin(), group.end(), self_) -
               group.begin()) %
           group.size();
  }

  void PostExchange() {
    ForEachPartner([&](SiteIndex site, uint64_t j, Rank rank, Interval shared) {
      const Index step =
          builder_.Recv(rank, kExchange, InScratch(ImageOf(site), shared), {});
      received_.push_back({site, j, shared, step});
    });
  }

  void PostContributions() {
    uint64_t slot = 0;
    for (const Rank rank : ranks_) {
      if (rank == self_) continue;
      contributed_.push_back(
          builder_.Recv(rank, kScatter, InScratch(slot++, mine_), {}));
    }
  }

  void SendContributions() {
    scattered_.assign(owners_.size(), ScheduleBuilder::kNone);
    ForEachAfter(AfterSelf(owners_), owners_.size(), [&](size_t j) {
      if (owners_[j] == self_) return;
      scattered_[j] =
          builder_.Send(owners_[j], kScatter, Part(Space::kInput, j), {});
    });
  }

  void AddContributions() {
    if (ranks_.size() == 1 && sites_ > 1) return;
    std::vector<Extent> sources;
    uint64_t slot = 0;
    for (const Rank rank : ranks_) {
      sources.push_back(rank == self_ ? Part(Space::kInput, part_)
                                      : InScratch(slot++, mine_));
    }
    const bool final = sites_ == 1;
    summed_ = builder_.Reduce(
        final ? Part(Space::kOutput, part_) : InScratch(0, mine_), sources,
        final, contributed_);
    if (final) totals_.push_back(summed_);
  }

  void SendExchange() {
    ForEachPartner([&](SiteIndex site, uint64_t j, Rank rank, Interval shared) {
      const Index step =
          builder_.Send(rank, kExchange, SiteSum(shared), std::array{summed_});
      sent_.push_back({site, j, shared, step});
    });
  }

  // In place, another owner's part of the output is still this rank's input
  // until it has been sent to that owner.
  void PostGather() {
    ForEachAfter(AfterSelf(owners_), owners_.size(), [&](size_t j) {
      if (owners_[j] == self_) return;
      builder_.Recv(owners_[j], kGather, Part(Space::kOutput, j),
                    std::array{scattered_[j]});
    });
  }

  // This part's places of change: where it, or another site's part, begins.
  std::vector<Fraction> Cuts() const {
    const uint64_t parts = owners_.size();
    std::vector<Fraction> cuts = {{part_, parts}, {part_ + 1, parts}};
    for (SiteIndex other = 0; other < sites_; ++other) {
      const uint64_t others = OwnersOf(topology_, other).size();
      const Interval meeting = PartsMeeting(part_, parts, others);
      for (uint64_t j = meeting.begin + 1; j < meeting.end; ++j) {
        cuts.push_back({j, others});
      }
    }
    std::sort(cuts.begin(), cuts.end());
    cuts.erase(std::unique(cuts.begin(), cuts.end()), cuts.end());
    return cuts;
  }

  void AddSites() {
    if (sites_ == 1) return;
    const std::vector<Fraction> cuts = Cuts();
    for (size_t i = 0; i + 1 < cuts.size(); ++i) {
      AddSitesFrom(cuts[i], {At(cuts[i]), At(cuts[i + 1])});
    }
  }
  uint64_t At(Fraction f) const {
    return Boundary(count_, f.numerator, f.denominator);
  }

  // The total of `elements`, which begin at `start` of the vector and lie in
  // one part of every site.
  void AddSitesFrom(Fraction start, Interval elements) {
    std::vector<Extent> sources;
    std::vector<Index> after = {summed_};
    for (SiteIndex site = 0; site < sites_; ++site) {
      if (site == site_) {
        sources.push_back(SiteSum(elements));
        continue;
      }
      const uint64_t owners = OwnersOf(topology_, site).size();
      const uint64_t j = start.numerator * owners / start.denominator;
      const auto from =
          std::find_if(received_.begin(), received_.end(),
                       [&](auto& c) { return c.site == site && c.owner == j; });
      LH_CHECK(from != received_.end());
      sources.push_back(InScratch(ImageOf(site), elements));
      after.push_back(from->step);
    }
    if (ranks_.size() == 1) AwaitSends(elements, after);
    totals_.push_back(
        builder_.Reduce({Space::kOutput, elements.begin, elements.count()},
                        sources, true, after));
  }

  // A site of one rank sends its input itself: in place, the total may replace
  // it only when it is gone.
  void AwaitSends(Interval elements, std::vector<Index>& after) const {
    for (const Crossing& c : sent_) {
      if (Overlap(c.elements, elements).count() > 0) after.push_back(c.step);
    }
  }

  void SendGather() {
    ForEachAfter(AfterSelf(ranks_), ranks_.size(), [&](size_t i) {
      if (ranks_[i] == self_) return;
      builder_.Send(ranks_[i], kGather, Part(Space::kOutput, part_), totals_);
    });
  }

  const Topology& topology_;
  uint64_t count_;
  Rank self_;
  SiteIndex site_;
  SiteIndex sites_;
  Ranks ranks_;   // of this site
  Ranks owners_;  // of this site
  size_t part_;   // this rank's, if it is an owner
  bool owner_;
  Interval mine_;
  ScheduleBuilder builder_;

  Index summed_ = ScheduleBuilder::kNone;  // this site's sum
  std::vector<Index> contributed_;
  std::vector<Index> scattered_;  // by owner
  std::vector<Crossing> received_;
  std::vector<Crossing> sent_;
  std::vector<Index> totals_;
};

}  // namespace

std::span<const Rank> OwnersOf(const Topology& topology, SiteIndex site) {
  return topology.site_count() == 1 ? topology.RanksOf(site)
                                    : topology.WanRanksOf(site);
}

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
