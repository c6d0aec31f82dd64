// Has the ranks of a communicator agree, from time to time, on how fast their
// sites' lines are, and keeps the topology that operations are planned with.
//
// After some large all-reduces the rates seen are summed over all ranks, by an
// all-reduce like any other; after as many more the sum is put to use. Both are
// counted in operations, which are the same on every rank, so that all change
// their plans between the same two, and the sum has mostly long been there when
// it is needed.
//
// Engine thread only.
#pragma once

#include <cstdint>
#include <vector>

#include "collective/line_rates.h"
#include "collective/operation.h"
#include "collective/site_shares.h"
#include "topology/topology.h"

namespace longhaul {

class RatePlanner {
 public:
  /// For rank `self`. Does nothing where rates make no difference: below three
  /// sites, and where there are too many for shares. `watch`: what rates are
  /// makes a difference by itself, wherever there are several sites.
  RatePlanner(const Topology& topology, Rank self, bool watch = false);

  /// Do rates make a difference?
  bool Matters() const {
    return planned_.site_count() > (watch_ ? 1 : 2) &&
           planned_.site_count() <= SiteShares::kMostSites;
  }
  /// What operations are planned with.
  const Topology& topology() const { return planned_; }

  /// What is to be done where an operation begins.
  enum class Turn : uint8_t {
    kNothing,
    kAsk,  ///< sum what was seen, after it
    kUse,  ///< use what was summed, before it
  };
  Turn TurnOf(const OperationCall& call) const;
  /// It begins.
  void Count(const OperationCall& call) { counted_ += IsLarge(call) ? 1 : 0; }

  /// The all-reduce that sums: its memory is this object's.
  OperationCall Ask(const LineRates& own);
  /// Its sum is there. True if operations are planned with another topology
  /// from now on, the present one's shares being `shares`. `at_once`: also if
  /// the sum before this one did not ask for that, and rates may be what they
  /// are for a moment only.
  bool Use(const SiteShares& shares, bool at_once);

  /// Large all-reduces from one agreement to the next.
  static constexpr uint64_t kEvery = 16;
  static constexpr uint64_t kLarge = uint64_t{1} << 20;  ///< bytes

 private:
  bool IsLarge(const OperationCall& call) const;

  Topology planned_;
  const SiteIndex site_;
  const bool watch_;
  std::vector<double> told_;
  uint64_t counted_ = 0;
  bool doubted_ = false;  ///< the last sum asked for another plan
};

}  // namespace longhaul
