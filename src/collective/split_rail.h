// What the all-reduces over sites have in common: each rank with WAN access
// owns a part of the vector in its site. At the start all ranks send the owners
// their parts, which they sum; at the end the owners hand the totals round.
// What owners do between the two is the algorithm's (hierarchical.h,
// sharded.h).
//
//   in-site reduce-scatter   every rank sends each owner its part; the owner
//                            adds all contributions in rank order, once
//   in-site all-gather       every owner sends its final part to its site
//
// Owner j of w holds part j of w (pattern.h). Where the parts of all sites
// begin, taken together, the vector falls into cells: a cell lies in one part
// of every site, so it has one owner in each.
//
// Thread-compatible.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "collective/pattern.h"
#include "collective/schedule_builder.h"
#include "topology/topology.h"

namespace longhaul {

/// The ranks that own parts of the vector in a site, ascending: those with WAN
/// access, or all ranks if there is one site.
std::span<const Rank> OwnersOf(const Topology& topology, SiteIndex site);

/// At least the cells of any part of a site.
uint64_t MostCells(const Topology& topology, SiteIndex site);

/// One rank's side of it.
class SplitRail {
 public:
  using Index = ScheduleBuilder::Index;
  using Ranks = std::span<const Rank>;

  // Message numbers, per ordered pair of ranks: these are said within a site,
  // so that messages between sites may use the same.
  static constexpr uint32_t kScatter = 0;
  static constexpr uint32_t kGather = 1;

  SplitRail(uint64_t count, const Topology& topology, Rank self);

  SiteIndex site() const { return site_; }
  SiteIndex sites() const { return sites_; }
  Ranks ranks() const { return ranks_; }    ///< of this site
  Ranks owners() const { return owners_; }  ///< of this site
  bool owner() const { return owner_; }
  size_t part() const { return part_; }    ///< of an owner
  Interval mine() const { return mine_; }  ///< an owner's part; else empty
  bool alone() const { return ranks_.size() == 1; }  ///< in its site

  struct Cell {
    Interval elements;
    Fraction start;
    uint32_t number = 0;  ///< among all cells of the vector
  };
  /// The cells of an owner's part, in order.
  std::vector<Cell> Cells() const;
  uint32_t cell_count() const;  ///< of the vector
  /// The index among the owners of `site` of a cell's one.
  uint64_t OwnerOf(const Cell& cell, SiteIndex site) const {
    return cell.start.numerator * OwnersOf(topology_, site).size() /
           cell.start.denominator;
  }

  /// Calls `f(site, cell's owner in it)` for every other site. Starts with the
  /// site after this one, so that not all turn to the same site first.
  template <typename F>
  void ForEachPartner(const Cell& cell, F f) const {
    for (SiteIndex step = 1; step < sites_; ++step) {
      const SiteIndex other = (site_ + step) % sites_;
      f(other, OwnersOf(topology_, other)[OwnerOf(cell, other)]);
    }
  }

  /// Elements of an owner's scratch that contributions need, from its start.
  /// The site's sum replaces the first contribution: in place, the output is
  /// where totals go, and would be free only once the sum has been sent.
  uint64_t scratch() const { return (ranks_.size() - 1) * mine_.count(); }

  // Each adds its steps, in this order. The first, the third and the last are
  // an owner's.
  void PostContributions(ScheduleBuilder& builder);
  void SendContributions(ScheduleBuilder& builder);
  void AddContributions(ScheduleBuilder& builder);
  void PostGather(ScheduleBuilder& builder) const;
  /// `totals`: the steps that complete the part.
  void SendGather(ScheduleBuilder& builder,
                  std::span<const Index> totals) const;

  /// The step that makes this site's sum; kNone if nothing needs to be done.
  Index summed() const { return summed_; }
  /// Where this site's sum of `elements` of the part is. A site of one rank has
  /// its input for a sum; a copy would be one more pass over memory.
  Extent SiteSum(Interval elements) const;

 private:
  Extent Part(Space space, size_t part) const;
  Extent Slot(uint64_t slot) const;
  size_t AfterSelf(Ranks group) const;
  std::vector<Fraction> Cuts() const;
  uint64_t At(Fraction f) const {
    return Boundary(count_, f.numerator, f.denominator);
  }

  const Topology& topology_;
  uint64_t count_;
  Rank self_;
  SiteIndex site_;
  SiteIndex sites_;
  Ranks ranks_;
  Ranks owners_;
  size_t part_;
  bool owner_;
  Interval mine_;

  Index summed_ = ScheduleBuilder::kNone;
  std::vector<Index> contributed_;
  std::vector<Index> scattered_;  // by owner
};

}  // namespace longhaul
