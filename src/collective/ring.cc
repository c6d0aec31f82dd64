#include "collective/ring.h"

#include <algorithm>
#include <array>
#include <cstddef>

#include "base/check.h"
#include "collective/pattern.h"
#include "collective/schedule_builder.h"

namespace longhaul {
namespace {

// The ring as one rank sees it, and the steps it adds.
class RingBuilder {
 public:
  RingBuilder(uint64_t count, const std::vector<Rank>& order, Rank self)
      : count_(count),
        size_(order.size()),
        slot_(LongestPart(count, size_)),
        builder_(count, (size_ - 1) * slot_) {
    const auto at = std::find(order.begin(), order.end(), self);
    LH_CHECK(at != order.end());
    position_ = static_cast<size_t>(at - order.begin());
    next_ = order[(position_ + 1) % size_];
    previous_ = order[(position_ + size_ - 1) % size_];
  }

  Schedule Build() {
    if (size_ == 1) {
      builder_.Reduce(Piece(Space::kOutput, 0),
                      std::array{Piece(Space::kInput, 0)}, true, {});
      return builder_.Take();
    }
    ReduceScatter();
    AllGather();
    return builder_.Take();
  }

 private:
  using Index = ScheduleBuilder::Index;

  // The piece `behind` positions back from this rank's.
  size_t Behind(size_t behind) const {
    return (position_ + 2 * size_ - behind) % size_;
  }
  Extent Piece(Space space, size_t piece) const {
    const Interval part = PartOf(count_, piece, size_);
    return {space, part.begin, part.count()};
  }
  // Where step t's partial sum arrives, is added to, and is sent on from. A
  // slot per step, so that every receive can be posted at the start.
  Extent Slot(size_t t) const {
    const Extent piece = Piece(Space::kScratch, Behind(t + 1));
    return {Space::kScratch, t * slot_, piece.count};
  }

  // Step t sends the piece t back and adds this rank's part to the one behind
  // it; the last sum is final.
  void ReduceScatter() {
    const size_t steps = size_ - 1;
    std::vector<Index> arrived(steps);
    for (size_t t = 0; t < steps; ++t) {
      arrived[t] =
          builder_.Recv(previous_, static_cast<uint32_t>(t), Slot(t), {});
    }
    added_.resize(steps);
    for (size_t t = 0; t < steps; ++t) {
      const Extent source =
          t == 0 ? Piece(Space::kInput, Behind(0)) : Slot(t - 1);
      const Index sent =
          builder_.Send(next_, static_cast<uint32_t>(t), source,
                        std::array{t == 0 ? kNone : added_[t - 1]});
      if (t == 0) first_sent_ = sent;
      const bool last = t + 1 == steps;
      const size_t piece = Behind(t + 1);
      added_[t] =
          builder_.Reduce(last ? Piece(Space::kOutput, piece) : Slot(t),
                          std::array{Slot(t), Piece(Space::kInput, piece)},
                          last, std::array{arrived[t]});
    }
  }

  // Step t sends the piece t - 1 back (the one just summed or received) and
  // receives the one t back. In place, that one is still input until this rank
  // has sent it (t = 0) or added it (t > 0).
  void AllGather() {
    const size_t steps = size_ - 1;
    std::vector<Index> arrived(steps);
    for (size_t t = 0; t < steps; ++t) {
      const Index read = t == 0 ? first_sent_ : added_[t - 1];
      arrived[t] =
          builder_.Recv(previous_, static_cast<uint32_t>(steps + t),
                        Piece(Space::kOutput, Behind(t)), std::array{read});
    }
    for (size_t t = 0; t < steps; ++t) {
      const Index filled = t == 0 ? added_.back() : arrived[t - 1];
      builder_.Send(next_, static_cast<uint32_t>(steps + t),
                    Piece(Space::kOutput, Behind(t + size_ - 1)),
                    std::array{filled});
    }
  }

  static constexpr Index kNone = ScheduleBuilder::kNone;

  uint64_t count_;
  size_t size_;
  uint64_t slot_;
  ScheduleBuilder builder_;
  size_t position_ = 0;
  Rank next_ = 0;
  Rank previous_ = 0;
  Index first_sent_ = 0;
  std::vector<Index> added_;
};

}  // namespace

std::vector<Rank> RingOrder(const Topology& topology) {
  std::vector<Rank> order;
  order.reserve(static_cast<size_t>(topology.size()));
  for (SiteIndex site = 0; site < topology.site_count(); ++site) {
    const auto wan = topology.WanRanksOf(site);
    const Rank first = wan.empty() ? -1 : wan.front();
    const Rank last = wan.size() < 2 ? -1 : wan.back();
    if (first >= 0) order.push_back(first);
    for (const Rank rank : topology.RanksOf(site)) {
      if (rank != first && rank != last) order.push_back(rank);
    }
    if (last >= 0) order.push_back(last);
  }
  return order;
}

Schedule BuildRingAllReduce(uint64_t count, const Topology& topology,
                            Rank self) {
  return RingBuilder(count, RingOrder(topology), self).Build();
}

uint64_t RingScratch(uint64_t count, const Topology& topology) {
  const auto size = static_cast<uint64_t>(topology.size());
  return (size - 1) * LongestPart(count, size);
}

}  // namespace longhaul
