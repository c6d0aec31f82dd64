#include "collective/all_gather.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>
#include <vector>

#include "collective/schedule_builder.h"

namespace longhaul {
namespace {

using Index = ScheduleBuilder::Index;

// An ordered pair of ranks has one message at most.
constexpr uint32_t kMessage = 0;

class AllGatherBuilder {
 public:
  AllGatherBuilder(uint64_t count, const Topology& topology, Rank root,
                   Rank self, Rails rails)
      : topology_(topology),
        count_(count),
        root_(root),
        self_(self),
        rails_(rails),
        home_(topology.SiteOf(root)),
        site_(topology.SiteOf(self)),
        carriers_(CarriersOf(count, topology, root, site_, rails)),
        mine_(PartCarriedBy(carriers_, self)),
        builder_(count, 0) {}

  Schedule Build() {
    if (self_ == root_) {
      BuildRoot();
    } else if (site_ == home_) {
      BuildMate();
    } else {
      BuildAway();
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
  Interval All() const { return {0, count_}; }

  // What the WAN waits for goes first. The root's own copy hurries nobody.
  void BuildRoot() {
    SendAway(Space::kInput, ScheduleBuilder::kNone);
    SendToMates(In(Space::kInput, All()), {});
    builder_.Copy(In(Space::kOutput, All()), In(Space::kInput, All()), {});
  }

  void BuildMate() {
    const Index received =
        builder_.Recv(root_, kMessage, In(Space::kOutput, All()), {});
    SendAway(Space::kOutput, received);
  }

  void BuildAway() {
    std::vector<Index> received;
    ForEachPartner(home_, [&](Rank rank, Interval shared) {
      received.push_back(
          builder_.Recv(rank, kMessage, In(Space::kOutput, shared), {}));
    });
    for (const Carrier& carrier : carriers_) {
      if (carrier.rank == self_) continue;
      builder_.Recv(carrier.rank, kMessage, In(Space::kOutput, carrier.part),
                    {});
    }
    if (mine_.count() > 0) SendToMates(In(Space::kOutput, mine_), received);
  }

  // Calls `f(rank, shared elements)` for those of another site that carry some
  // of what this rank carries.
  template <typename F>
  void ForEachPartner(SiteIndex other, F f) const {
    for (const Carrier& c : Carriers(other)) {
      const Interval shared = Overlap(mine_, c.part);
      if (shared.count() > 0) f(c.rank, shared);
    }
  }

  void SendAway(Space space, Index filled) {
    const SiteIndex sites = topology_.site_count();
    for (SiteIndex step = 1; step < sites; ++step) {
      ForEachPartner((home_ + step) % sites, [&](Rank rank, Interval shared) {
        builder_.Send(rank, kMessage, In(space, shared), std::array{filled});
      });
    }
  }

  // Starts behind this rank's own place, so that not every rank turns to the
  // same mate first.
  void SendToMates(Extent source, std::span<const Index> after) {
    const std::span<const Rank> ranks = topology_.RanksOf(site_);
    const auto own = static_cast<size_t>(topology_.IndexInSite(self_));
    for (size_t i = 1; i < ranks.size(); ++i) {
      builder_.Send(ranks[(own + i) % ranks.size()], kMessage, source, after);
    }
  }

  const Topology& topology_;
  uint64_t count_;
  Rank root_;
  Rank self_;
  Rails rails_;
  SiteIndex home_;                 // the root's site
  SiteIndex site_;                 // this rank's
  std::vector<Carrier> carriers_;  // of this rank's site
  Interval mine_;                  // what it carries
  ScheduleBuilder builder_;
};

}  // namespace

Schedule BuildAllGather(uint64_t count, const Topology& topology, Rank root,
                        Rank self, Rails rails) {
  if (count == 0) return {};
  return AllGatherBuilder(count, topology, root, self, rails).Build();
}

}  // namespace longhaul
