#include "collective/reduce_scatter.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>
#include <vector>

#include "base/check.h"
#include "collective/hierarchical.h"
#include "collective/schedule_builder.h"

namespace longhaul {
namespace {

using Index = ScheduleBuilder::Index;

// Message numbers, per ordered pair of ranks. A pair is either of one site or
// of two, so the exchange can share a number.
constexpr uint32_t kContribution = 0;
constexpr uint32_t kTotal = 1;
constexpr uint32_t kSum = 0;

// A site's sum of some elements, on its way in.
struct Arrival {
  SiteIndex site;
  Interval elements;
  Index step;
};

// The scratch of a carrier is that of an owner in hierarchical.cc: the
// contributions of the site's other ranks in rank order, and in the root's site
// one image of the part per other site, in site order. The site's sum replaces
// the first contribution, and where the carrier is not the root, the total
// replaces the sum.
class ReduceScatterBuilder {
 public:
  ReduceScatterBuilder(uint64_t count, const Topology& topology, Rank root,
                       Rank self, Rails rails)
      : topology_(topology),
        count_(count),
        root_(root),
        self_(self),
        rails_(rails),
        home_(topology.SiteOf(root)),
        site_(topology.SiteOf(self)),
        sites_(topology.site_count()),
        ranks_(topology.RanksOf(site_)),
        carriers_(CarriersOf(count, topology, root, site_, rails)),
        mine_(PartCarriedBy(carriers_, self)),
        builder_(count, Images() * mine_.count()) {}

  // The runner starts what is ready in this order: receives first, then what
  // the WAN waits for.
  Schedule Build() {
    const bool carries = mine_.count() > 0;
    const bool at_home = site_ == home_;
    if (carries && at_home) PostSums();
    if (carries) PostContributions();
    SendContributions();
    if (self_ == root_) PostTotals();
    if (carries) AddContributions();
    if (carries && !at_home) SendSum();
    if (carries && at_home) {
      AddSites();
      SendTotal();
    }
    return builder_.Take();
  }

 private:
  std::vector<Carrier> Carriers(SiteIndex site) const {
    return CarriersOf(count_, topology_, root_, site, rails_);
  }
  static Extent In(Space space, Interval elements) {
    return {space, elements.begin, elements.count()};
  }
  // Images of this rank's part in scratch.
  uint64_t Images() const {
    const auto others = static_cast<uint64_t>(sites_ - 1);
    return ranks_.size() - 1 + (site_ == home_ ? others : 0);
  }
  Extent InScratch(uint64_t image, Interval elements) const {
    return {Space::kScratch,
            image * mine_.count() + elements.begin - mine_.begin,
            elements.count()};
  }
  uint64_t ImageOf(SiteIndex other) const {
    const SiteIndex place = other < site_ ? other : other - 1;
    return ranks_.size() - 1 + static_cast<uint64_t>(place);
  }
  // Where this site's sum is. A site of one rank has its input for a sum.
  Extent SiteSum(Interval elements) const {
    if (ranks_.size() > 1) return InScratch(0, elements);
    return In(Space::kInput, elements);
  }

  void PostSums() {
    for (SiteIndex step = 1; step < sites_; ++step) {
      const SiteIndex site = (site_ + step) % sites_;
      for (const Carrier& c : Carriers(site)) {
        const Interval shared = Overlap(mine_, c.part);
        if (shared.count() == 0) continue;
        arrivals_.push_back(
            {site, shared,
             builder_.Recv(c.rank, kSum, InScratch(ImageOf(site), shared),
                           {})});
      }
    }
  }

  void PostContributions() {
    uint64_t slot = 0;
    for (const Rank rank : ranks_) {
      if (rank == self_) continue;
      contributed_.push_back(
          builder_.Recv(rank, kContribution, InScratch(slot++, mine_), {}));
    }
  }

  // Starts behind this rank's own place, so that not every rank turns to the
  // same carrier first.
  void SendContributions() {
    const size_t n = carriers_.size();
    contributions_.assign(n, ScheduleBuilder::kNone);
    const auto after_self = static_cast<size_t>(
        std::count_if(carriers_.begin(), carriers_.end(),
                      [this](const Carrier& c) { return c.rank <= self_; }));
    for (size_t i = 0; i < n; ++i) {
      const size_t j = (after_self + i) % n;
      if (carriers_[j].rank == self_) continue;
      contributions_[j] =
          builder_.Send(carriers_[j].rank, kContribution,
                        In(Space::kInput, carriers_[j].part), {});
    }
  }

  // In place, the output is this rank's contribution until that is sent.
  void PostTotals() {
    for (size_t j = 0; j < carriers_.size(); ++j) {
      if (carriers_[j].rank == self_) continue;
      builder_.Recv(carriers_[j].rank, kTotal,
                    In(Space::kOutput, carriers_[j].part),
                    std::array{contributions_[j]});
    }
  }

  void AddContributions() {
    if (ranks_.size() == 1 && sites_ > 1) return;
    std::vector<Extent> sources;
    uint64_t slot = 0;
    for (const Rank rank : ranks_) {
      sources.push_back(rank == self_ ? In(Space::kInput, mine_)
                                      : InScratch(slot++, mine_));
    }
    const bool final = sites_ == 1;
    summed_ =
        builder_.Reduce(final ? In(Space::kOutput, mine_) : InScratch(0, mine_),
                        sources, final, contributed_);
  }

  void SendSum() {
    for (const Carrier& c : Carriers(home_)) {
      const Interval shared = Overlap(mine_, c.part);
      if (shared.count() == 0) continue;
      builder_.Send(c.rank, kSum, SiteSum(shared), std::array{summed_});
    }
  }

  // Stretch by stretch between the places where a site's sums begin.
  void AddSites() {
    if (sites_ == 1) return;
    std::vector<uint64_t> cuts = {mine_.end};
    for (const Arrival& a : arrivals_) cuts.push_back(a.elements.begin);
    std::sort(cuts.begin(), cuts.end());
    cuts.erase(std::unique(cuts.begin(), cuts.end()), cuts.end());
    for (size_t i = 0; i + 1 < cuts.size(); ++i) {
      AddSitesFrom({cuts[i], cuts[i + 1]});
    }
  }

  void AddSitesFrom(Interval elements) {
    std::vector<Extent> sources;
    std::vector<Index> after = {summed_};
    for (SiteIndex site = 0; site < sites_; ++site) {
      if (site == site_) {
        sources.push_back(SiteSum(elements));
        continue;
      }
      const auto from = std::find_if(
          arrivals_.begin(), arrivals_.end(), [&](const Arrival& a) {
            return a.site == site && a.elements.begin <= elements.begin &&
                   elements.end <= a.elements.end;
          });
      LH_CHECK(from != arrivals_.end());
      sources.push_back(InScratch(ImageOf(site), elements));
      after.push_back(from->step);
    }
    totals_.push_back(builder_.Reduce(
        self_ == root_ ? In(Space::kOutput, elements) : InScratch(0, elements),
        sources, true, after));
  }

  void SendTotal() {
    if (self_ == root_) return;
    builder_.Send(root_, kTotal, InScratch(0, mine_), totals_);
  }

  const Topology& topology_;
  uint64_t count_;
  Rank root_;
  Rank self_;
  Rails rails_;
  SiteIndex home_;  // the root's site
  SiteIndex site_;  // this rank's
  SiteIndex sites_;
  std::span<const Rank> ranks_;    // of this rank's site
  std::vector<Carrier> carriers_;  // of this rank's site
  Interval mine_;                  // what it carries
  ScheduleBuilder builder_;

  Index summed_ = ScheduleBuilder::kNone;  // this site's sum
  std::vector<Index> contributed_;
  std::vector<Index> contributions_;  // sent, by carrier
  std::vector<Arrival> arrivals_;
  std::vector<Index> totals_;
};

}  // namespace

Schedule BuildReduceScatter(uint64_t count, const Topology& topology, Rank root,
                            Rank self, Rails rails) {
  if (count == 0) return {};
  return ReduceScatterBuilder(count, topology, root, self, rails).Build();
}

uint64_t ReduceScatterScratch(uint64_t count, const Topology& topology) {
  if (RailsFor(count, topology) == Rails::kAll) {
    return HierarchicalScratch(count, topology);
  }
  uint64_t images = 0;
  for (SiteIndex site = 0; site < topology.site_count(); ++site) {
    images = std::max<uint64_t>(images, topology.RanksOf(site).size() - 1);
  }
  return (images + static_cast<uint64_t>(topology.site_count()) - 1) * count;
}

}  // namespace longhaul
