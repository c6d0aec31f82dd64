// The rates of the sites' lines as their ranks have seen them, and what is
// planned with them: every rank tells what its process's flows to other sites
// did, the sums are the same on every rank (an all-reduce), and so is what
// follows from them.
//
// Pure functions on values; any thread.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "collective/site_shares.h"
#include "topology/topology.h"

namespace longhaul {

/// Of one process. Bytes/s of payload; 0: not known.
struct LineRates {
  double up = 0;
  double down = 0;
  bool limited = false;  ///< it would have sent more, if it could have
};

/// Numbers per site in the sum.
inline constexpr size_t kToldPerSite = 3;
/// What a process of `site` puts into the sum; `told` has kToldPerSite numbers
/// for every site. Of several ranks of a process one tells its rates, the
/// others nothing.
void Tell(SiteIndex site, const LineRates& rates, std::span<double> told);

/// The topology to plan with from now on, given that sum, or nothing if what is
/// planned with (`planned`) is good enough: nothing is known of some site, or
/// by the rates told the bytes that cross the lines by `shares`, those of
/// `planned`, take at most kWorthIt times as long as by the best ones. A site
/// has the rate told, if all its processes were limited by it; else at least
/// that. `goodput` turns payload into line rates. Allocates nothing in that
/// case.
std::optional<Topology> Replanned(const Topology& planned,
                                  const SiteShares& shares,
                                  std::span<const double> told, double goodput);

inline constexpr double kWorthIt = 1.08;

/// Likewise where the rates themselves count: nothing if each site's is planned
/// with as it was told, give or take a factor of kMuch.
std::optional<Topology> Changed(const Topology& planned,
                                std::span<const double> told, double goodput);

inline constexpr double kMuch = 1.25;

}  // namespace longhaul
