#include "collective/split_rail.h"

#include <algorithm>
#include <array>

namespace longhaul {
namespace {

using Index = ScheduleBuilder::Index;

// Calls `f(index)` for the members of a group of `size`, starting at `first`.
template <typename F>
void ForEachFrom(size_t first, size_t size, F f) {
  for (size_t i = 0; i < size; ++i) f((first + i) % size);
}

}  // namespace

std::span<const Rank> OwnersOf(const Topology& topology, SiteIndex site) {
  return topology.site_count() == 1 ? topology.RanksOf(site)
                                    : topology.WanRanksOf(site);
}

uint64_t MostCells(const Topology& topology, SiteIndex site) {
  const uint64_t owners = OwnersOf(topology, site).size();
  uint64_t cells = 1;
  for (SiteIndex other = 0; other < topology.site_count(); ++other) {
    if (other != site) cells += OwnersOf(topology, other).size() / owners + 1;
  }
  return cells;
}

SplitRail::SplitRail(uint64_t count, const Topology& topology, Rank self)
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
      mine_(owner_ ? PartOf(count, part_, owners_.size()) : Interval{}) {}

// Where parts of any site begin, and the vector's end.
std::vector<Fraction> SplitRail::Cuts() const {
  std::vector<Fraction> cuts = {{0, 1}, {1, 1}};
  for (SiteIndex site = 0; site < sites_; ++site) {
    const uint64_t parts = OwnersOf(topology_, site).size();
    for (uint64_t j = 1; j < parts; ++j) cuts.push_back({j, parts});
  }
  std::sort(cuts.begin(), cuts.end());
  cuts.erase(std::unique(cuts.begin(), cuts.end()), cuts.end());
  return cuts;
}

std::vector<SplitRail::Cell> SplitRail::Cells() const {
  const std::vector<Fraction> cuts = Cuts();
  const Fraction begin = {part_, owners_.size()};
  const Fraction end = {part_ + 1, owners_.size()};
  std::vector<Cell> cells;
  for (size_t i = 0; i + 1 < cuts.size(); ++i) {
    if (cuts[i] < begin || !(cuts[i] < end)) continue;
    cells.push_back(
        {{At(cuts[i]), At(cuts[i + 1])}, cuts[i], static_cast<uint32_t>(i)});
  }
  return cells;
}

uint32_t SplitRail::cell_count() const {
  return static_cast<uint32_t>(Cuts().size() - 1);
}

Extent SplitRail::Part(Space space, size_t part) const {
  const Interval i = PartOf(count_, part, owners_.size());
  return {space, i.begin, i.count()};
}

Extent SplitRail::Slot(uint64_t slot) const {
  return {Space::kScratch, slot * mine_.count(), mine_.count()};
}

Extent SplitRail::SiteSum(Interval elements) const {
  if (alone()) return {Space::kInput, elements.begin, elements.count()};
  return {Space::kScratch, elements.begin - mine_.begin, elements.count()};
}

// Every rank starts with the peer after itself, so that not all turn to the
// same one first.
size_t SplitRail::AfterSelf(Ranks group) const {
  return static_cast<size_t>(
             std::upper_bound(group.begin(), group.end(), self_) -
             group.begin()) %
         group.size();
}

void SplitRail::PostContributions(ScheduleBuilder& builder) {
  uint64_t slot = 0;
  for (const Rank rank : ranks_) {
    if (rank == self_) continue;
    contributed_.push_back(builder.Recv(rank, kScatter, Slot(slot++), {}));
  }
}

void SplitRail::SendContributions(ScheduleBuilder& builder) {
  scattered_.assign(owners_.size(), ScheduleBuilder::kNone);
  ForEachFrom(AfterSelf(owners_), owners_.size(), [&](size_t j) {
    if (owners_[j] == self_) return;
    scattered_[j] =
        builder.Send(owners_[j], kScatter, Part(Space::kInput, j), {});
  });
}

// With one site the site's sum is the total.
void SplitRail::AddContributions(ScheduleBuilder& builder) {
  const bool final = sites_ == 1;
  if (alone() && !final) return;
  std::vector<Extent> sources;
  uint64_t slot = 0;
  for (const Rank rank : ranks_) {
    sources.push_back(rank == self_ ? Part(Space::kInput, part_)
                                    : Slot(slot++));
  }
  summed_ = builder.Reduce(final ? Part(Space::kOutput, part_) : Slot(0),
                           sources, final, contributed_);
}

// In place, another owner's part of the output is still this rank's input until
// it has been sent to that owner.
void SplitRail::PostGather(ScheduleBuilder& builder) const {
  ForEachFrom(AfterSelf(owners_), owners_.size(), [&](size_t j) {
    if (owners_[j] == self_) return;
    builder.Recv(owners_[j], kGather, Part(Space::kOutput, j),
                 std::array{scattered_[j]});
  });
}

void SplitRail::SendGather(ScheduleBuilder& builder,
                           std::span<const Index> totals) const {
  ForEachFrom(AfterSelf(ranks_), ranks_.size(), [&](size_t i) {
    if (ranks_[i] == self_) return;
    builder.Send(ranks_[i], kGather, Part(Space::kOutput, part_), totals);
  });
}

}  // namespace longhaul
