// Who is where: sites, their ranks, and what is known of the lines between
// them. An immutable value, equal on every rank of a communicator.
//
// Sites and ranks are numbered from 0. What nobody stated has a default, so
// that cost functions need no special cases; Has... tells the two apart.
//
// Thread-compatible; const members from any thread.
#pragma once

#include <longhaul/status.h>
#include <longhaul/types.h>

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"

namespace longhaul {

/// Index of a site in its topology.
using SiteIndex = int32_t;

inline constexpr double kDefaultWanRate = 1e9;               // bits/s, per site
inline constexpr double kDefaultLanRate = 25e9;              // bits/s, per rank
inline constexpr Duration kDefaultWanDelay = 25'000'000;     // one way
inline constexpr Duration kDefaultLanDelay = 10'000;         // one way
inline constexpr std::string_view kDefaultSite = "default";  // if none is named

struct SiteSpec {
  std::string name;
  std::optional<double> wan_up;    ///< bits/s out of the site, all ranks
  std::optional<double> wan_down;  ///< bits/s into the site, all ranks
  bool operator==(const SiteSpec&) const = default;
};

struct RankSpec {
  SiteIndex site = 0;
  int32_t process = 0;  ///< ranks of one process share it
  bool wan = true;      ///< may exchange data with other sites itself
  std::string host;
  bool operator==(const RankSpec&) const = default;
};

/// One route between two sites, both directions. A pair may have several.
struct PathSpec {
  SiteIndex a = 0;
  SiteIndex b = 0;
  std::optional<double> rate;     ///< bits/s, each direction
  std::optional<Duration> delay;  ///< one way
  std::optional<double> loss;     ///< share of packets lost, 0 .. 1
  /// Interface or address at `a` and at `b`; empty: not said.
  std::array<std::string, 2> via{};
  bool operator==(const PathSpec&) const = default;
};

/// Bits/s out of a site and into it, all ranks.
struct SiteRates {
  double up = 0;
  double down = 0;
};

class Topology {
 public:
  /// Rank r is ranks[r]. kInvalidArgument if there is no rank, a site has no
  /// rank, an index or value is out of range, two sites share a name, or there
  /// are several sites and one has no rank with WAN access.
  static Result<Topology> Make(std::vector<SiteSpec> sites,
                               std::vector<RankSpec> ranks,
                               std::vector<PathSpec> paths = {});
  /// `size` ranks, one per process, in the site "default".
  static Topology OneSite(Rank size);
  /// sizes[i] ranks, one per process, in site i, named "site<i>": consecutive
  /// rank numbers. For tests and plans; every size must be positive.
  static Topology OfSizes(std::span<const Rank> sizes);

  Rank size() const { return static_cast<Rank>(ranks_.size()); }
  SiteIndex site_count() const { return static_cast<SiteIndex>(sites_.size()); }

  SiteIndex SiteOf(Rank rank) const { return Spec(rank).site; }
  bool SameSite(Rank a, Rank b) const { return SiteOf(a) == SiteOf(b); }
  bool SameProcess(Rank a, Rank b) const {
    return Spec(a).process == Spec(b).process;
  }
  int32_t ProcessOf(Rank rank) const { return Spec(rank).process; }
  const std::string& HostOf(Rank rank) const { return Spec(rank).host; }
  bool HasWan(Rank rank) const { return Spec(rank).wan; }
  /// The rank's place among its site's ranks, 0 .. RanksOf(site).size() - 1.
  int32_t IndexInSite(Rank rank) const;

  /// Ascending.
  std::span<const Rank> RanksOf(SiteIndex site) const;
  /// Ascending; those of RanksOf with WAN access.
  std::span<const Rank> WanRanksOf(SiteIndex site) const;
  const std::string& NameOf(SiteIndex site) const { return Site(site).name; }
  /// -1 if no site has that name.
  SiteIndex FindSite(std::string_view name) const;

  /// Bits/s, all ranks of the site together; kDefaultWanRate if not stated.
  double WanUp(SiteIndex site) const;
  double WanDown(SiteIndex site) const;
  /// Are both stated?
  bool HasWanRates(SiteIndex site) const;
  /// The same sites with these rates, one pair of positive ones per site.
  Topology WithWanRates(std::span<const SiteRates> rates) const;
  /// Bits/s from one site to another: the least of what is stated of the
  /// sender's up, the receiver's down and the sum of their paths (unless one of
  /// them has no rate); kDefaultWanRate if nothing is. `from` != `to`.
  double RateBetween(SiteIndex from, SiteIndex to) const;
  /// One way, the shortest of the stated paths; kDefaultWanDelay if none is
  /// stated, kDefaultLanDelay within a site.
  Duration DelayBetween(SiteIndex a, SiteIndex b) const;
  bool HasDelay(SiteIndex a, SiteIndex b) const;
  /// The stated routes between two sites, in the order given.
  std::span<const PathSpec> PathsBetween(SiteIndex a, SiteIndex b) const;

  bool operator==(const Topology& other) const;
  /// One line per site: name, ranks, rates.
  std::string ToString() const;

 private:
  Topology() = default;
  void Index();
  const RankSpec& Spec(Rank rank) const {
    return ranks_[static_cast<size_t>(rank)];
  }
  const SiteSpec& Site(SiteIndex site) const {
    return sites_[static_cast<size_t>(site)];
  }

  std::vector<SiteSpec> sites_;
  std::vector<RankSpec> ranks_;
  std::vector<PathSpec> paths_;  // a < b, sorted by (a, b), stable
  std::vector<Rank> by_site_;    // ranks by (site, rank)
  std::vector<size_t> first_;    // of each site in by_site_, and the end
  std::vector<Rank> wan_by_site_;
  std::vector<size_t> wan_first_;
  std::vector<int32_t> index_in_site_;  // by rank
};

}  // namespace longhaul
