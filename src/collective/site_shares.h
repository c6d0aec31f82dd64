// Which fraction of a vector each site adds up for all, in the sharded
// all-reduce (sharded.h): slow sites less of it, since a site's line carries
// more, the more of the vector it has.
//
// Whole numbers all through: ranks must agree on every border to the element,
// whatever their processors make of a fraction.
//
// A small value without memory of its own, so that it can travel in a shape
// and be replaced between operations; thread-compatible.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "collective/pattern.h"
#include "topology/topology.h"

namespace longhaul {

class SiteShares {
 public:
  /// No shares are made for more sites.
  static constexpr SiteIndex kMostSites = 32;
  /// What the shares of all sites make together.
  static constexpr uint32_t kWhole = uint32_t{1} << 30;
  /// No weight is greater.
  static constexpr uint64_t kMostWeight = uint64_t{1} << 28;

  /// Of no sites.
  SiteShares() = default;
  /// Shares in the ratio of `weights`, one per site, 1 .. kMostSites of them,
  /// each at most kMostWeight; equal shares if all are 0.
  static SiteShares OfWeights(std::span<const uint64_t> weights);

  SiteIndex sites() const { return static_cast<SiteIndex>(sites_); }
  /// Of kWhole.
  uint32_t Of(SiteIndex site) const { return End(site) - Begin(site); }
  /// Are they the same but for rounding?
  bool IsLike(SiteIndex a, SiteIndex b) const {
    return Of(a) <= Of(b) + 1 && Of(b) <= Of(a) + 1;
  }
  double FractionOf(SiteIndex site) const {
    return static_cast<double>(Of(site)) / kWhole;
  }
  /// The site's part of `elements`. The parts of all sites cover them, in site
  /// order.
  Interval Cut(Interval elements, SiteIndex site) const {
    const uint64_t n = elements.count();
    return {elements.begin + Boundary(n, Begin(site), kWhole),
            elements.begin + Boundary(n, End(site), kWhole)};
  }
  /// Stands for the shares where there is no room for them.
  uint32_t Hash() const;

  friend bool operator==(const SiteShares&, const SiteShares&) = default;

 private:
  uint32_t Begin(SiteIndex site) const { return site == 0 ? 0 : End(site - 1); }
  uint32_t End(SiteIndex site) const { return end_[static_cast<size_t>(site)]; }

  uint32_t sites_ = 0;
  std::array<uint32_t, kMostSites> end_{};  ///< of each site's share
};

/// The shares by which an all-reduce takes least time at the sites' borders.
/// Site i, with the lesser B_i of its rates, moves S (1 + (k - 2) x_i) each way
/// if its share is x_i; so x_i (k - 2) = T B_i / S - 1 with the least T that
/// gives shares to all, S max(1 / B_min, 2 (k - 1) / sum B); where they sum to
/// more than the whole, all are less by one factor. Equal shares for two sites,
/// whose lines carry S whatever the shares; none for more than kMostSites.
SiteShares SharesOf(const Topology& topology);

}  // namespace longhaul
