#include "topology/topology.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <unordered_set>
#include <utility>

#include "base/check.h"
#include "base/parse.h"
#include "base/text.h"

namespace longhaul {
namespace {

constexpr size_t kMostSites = size_t{1} << 16;

Status Refuse(std::string text) {
  return {StatusCode::kInvalidArgument, "topology: " + std::move(text)};
}

bool IsRate(const std::optional<double>& rate) {
  return !rate || (std::isfinite(*rate) && *rate > 0);
}

Status CheckSites(const std::vector<SiteSpec>& sites,
                  const std::vector<RankSpec>& ranks) {
  if (ranks.empty()) return Refuse("no ranks");
  if (sites.size() > kMostSites) return Refuse("too many sites");
  if (ranks.size() > std::numeric_limits<Rank>::max()) {
    return Refuse("too many ranks");
  }
  std::unordered_set<std::string_view> names;
  for (const SiteSpec& site : sites) {
    if (!names.insert(site.name).second) {
      return Refuse("two sites are named " + site.name);
    }
    if (!IsRate(site.wan_up) || !IsRate(site.wan_down)) {
      return Refuse("a WAN rate of site " + site.name + " is not positive");
    }
  }
  return {};
}

Status CheckRanks(const std::vector<SiteSpec>& sites,
                  const std::vector<RankSpec>& ranks) {
  std::vector<bool> has_rank(sites.size());
  std::vector<bool> has_wan(sites.size());
  for (size_t rank = 0; rank < ranks.size(); ++rank) {
    const SiteIndex site = ranks[rank].site;
    if (site < 0 || static_cast<size_t>(site) >= sites.size()) {
      return Refuse(
          Text("rank %zu is in site %d of %zu", rank, site, sites.size()));
    }
    has_rank[static_cast<size_t>(site)] = true;
    if (ranks[rank].wan) has_wan[static_cast<size_t>(site)] = true;
  }
  for (size_t site = 0; site < sites.size(); ++site) {
    if (!has_rank[site]) {
      return Refuse("site " + sites[site].name + " has no rank");
    }
    if (!has_wan[site] && sites.size() > 1) {
      return Refuse("no rank of site " + sites[site].name +
                    " has access to the WAN");
    }
  }
  return {};
}

Status CheckPaths(size_t site_count, const std::vector<PathSpec>& paths) {
  const auto in_range = [&](SiteIndex site) {
    return site >= 0 && static_cast<size_t>(site) < site_count;
  };
  for (const PathSpec& path : paths) {
    if (!in_range(path.a) || !in_range(path.b) || path.a == path.b) {
      return Refuse(Text("a path is between sites %d and %d of %zu", path.a,
                         path.b, site_count));
    }
    if (!IsRate(path.rate)) return Refuse("a path's rate is not positive");
    if (path.delay && *path.delay < 0) {
      return Refuse("a path's delay is negative");
    }
    if (path.loss && !(*path.loss >= 0 && *path.loss < 1)) {
      return Refuse("a path's loss is not in 0 .. 1");
    }
  }
  return {};
}

std::pair<SiteIndex, SiteIndex> Ends(const PathSpec& path) {
  return {path.a, path.b};
}

}  // namespace

Result<Topology> Topology::Make(std::vector<SiteSpec> sites,
                                std::vector<RankSpec> ranks,
                                std::vector<PathSpec> paths) {
  Status status = CheckSites(sites, ranks);
  if (status.ok()) status = CheckRanks(sites, ranks);
  if (status.ok()) status = CheckPaths(sites.size(), paths);
  if (!status.ok()) return status;
  for (PathSpec& path : paths) {
    if (path.a > path.b) {
      std::swap(path.a, path.b);
      std::swap(path.via[0], path.via[1]);
    }
    if (path.loss) *path.loss += 0.0;  // -0 is 0
  }
  std::stable_sort(
      paths.begin(), paths.end(),
      [](const PathSpec& x, const PathSpec& y) { return Ends(x) < Ends(y); });
  Topology topology;
  topology.sites_ = std::move(sites);
  topology.ranks_ = std::move(ranks);
  topology.paths_ = std::move(paths);
  topology.Index();
  return topology;
}

Topology Topology::OneSite(Rank size) {
  LH_CHECK(size > 0);
  std::vector<RankSpec> ranks;
  ranks.reserve(static_cast<size_t>(size));
  for (Rank rank = 0; rank < size; ++rank) ranks.push_back({0, rank, true, ""});
  return Make({{std::string(kDefaultSite), {}, {}}}, std::move(ranks)).value();
}

Topology Topology::OfSizes(std::span<const Rank> sizes) {
  std::vector<SiteSpec> sites;
  std::vector<RankSpec> ranks;
  for (size_t site = 0; site < sizes.size(); ++site) {
    sites.push_back({Text("site%zu", site), {}, {}});
    for (Rank i = 0; i < sizes[site]; ++i) {
      ranks.push_back({static_cast<SiteIndex>(site),
                       static_cast<int32_t>(ranks.size()), true, ""});
    }
  }
  return Make(std::move(sites), std::move(ranks)).value();
}

void Topology::Index() {
  std::vector<std::vector<Rank>> members(sites_.size());
  index_in_site_.resize(ranks_.size());
  for (Rank rank = 0; rank < size(); ++rank) {
    std::vector<Rank>& site = members[static_cast<size_t>(SiteOf(rank))];
    index_in_site_[static_cast<size_t>(rank)] =
        static_cast<int32_t>(site.size());
    site.push_back(rank);
  }
  for (const std::vector<Rank>& site : members) {
    first_.push_back(by_site_.size());
    wan_first_.push_back(wan_by_site_.size());
    for (const Rank rank : site) {
      by_site_.push_back(rank);
      if (HasWan(rank)) wan_by_site_.push_back(rank);
    }
  }
  first_.push_back(by_site_.size());
  wan_first_.push_back(wan_by_site_.size());
}

int32_t Topology::IndexInSite(Rank rank) const {
  return index_in_site_[static_cast<size_t>(rank)];
}

std::span<const Rank> Topology::RanksOf(SiteIndex site) const {
  const auto i = static_cast<size_t>(site);
  return std::span(by_site_).subspan(first_[i], first_[i + 1] - first_[i]);
}

std::span<const Rank> Topology::WanRanksOf(SiteIndex site) const {
  const auto i = static_cast<size_t>(site);
  return std::span(wan_by_site_)
      .subspan(wan_first_[i], wan_first_[i + 1] - wan_first_[i]);
}

SiteIndex Topology::FindSite(std::string_view name) const {
  for (SiteIndex site = 0; site < site_count(); ++site) {
    if (NameOf(site) == name) return site;
  }
  return -1;
}

double Topology::WanUp(SiteIndex site) const {
  return Site(site).wan_up.value_or(kDefaultWanRate);
}

double Topology::WanDown(SiteIndex site) const {
  return Site(site).wan_down.value_or(kDefaultWanRate);
}

bool Topology::HasWanRates(SiteIndex site) const {
  return Site(site).wan_up.has_value() && Site(site).wan_down.has_value();
}

Topology Topology::WithWanRates(std::span<const SiteRates> rates) const {
  LH_CHECK(rates.size() == sites_.size());
  Topology other = *this;
  for (size_t i = 0; i < rates.size(); ++i) {
    LH_CHECK(rates[i].up > 0 && rates[i].down > 0);
    other.sites_[i].wan_up = rates[i].up;
    other.sites_[i].wan_down = rates[i].down;
  }
  return other;
}

double Topology::RateBetween(SiteIndex from, SiteIndex to) const {
  LH_DCHECK(from != to);
  constexpr double kUnknown = std::numeric_limits<double>::infinity();
  double rate = std::min(Site(from).wan_up.value_or(kUnknown),
                         Site(to).wan_down.value_or(kUnknown));
  const std::span<const PathSpec> paths = PathsBetween(from, to);
  double sum = paths.empty() ? kUnknown : 0;
  for (const PathSpec& path : paths) sum += path.rate.value_or(kUnknown);
  rate = std::min(rate, sum);
  return rate == kUnknown ? kDefaultWanRate : rate;
}

Duration Topology::DelayBetween(SiteIndex a, SiteIndex b) const {
  if (a == b) return kDefaultLanDelay;
  Duration least = kNever;
  for (const PathSpec& path : PathsBetween(a, b)) {
    least = std::min(least, path.delay.value_or(kNever));
  }
  return least == kNever ? kDefaultWanDelay : least;
}

bool Topology::HasDelay(SiteIndex a, SiteIndex b) const {
  const std::span<const PathSpec> paths = PathsBetween(a, b);
  return std::any_of(paths.begin(), paths.end(), [](const PathSpec& path) {
    return path.delay.has_value();
  });
}

std::span<const PathSpec> Topology::PathsBetween(SiteIndex a,
                                                 SiteIndex b) const {
  const std::pair wanted = std::minmax({a, b});
  const auto first = std::partition_point(
      paths_.begin(), paths_.end(),
      [&](const PathSpec& path) { return Ends(path) < wanted; });
  const auto last = std::partition_point(
      first, paths_.end(),
      [&](const PathSpec& path) { return Ends(path) <= wanted; });
  return {first, last};
}

bool Topology::operator==(const Topology& other) const {
  return sites_ == other.sites_ && ranks_ == other.ranks_ &&
         paths_ == other.paths_;
}

std::string Topology::ToString() const {
  const auto rate_text = [](const std::optional<double>& rate) {
    return rate ? RateText(*rate) : std::string("not stated");
  };
  std::string text;
  for (SiteIndex site = 0; site < site_count(); ++site) {
    text += Text("site %s: %zu ranks, %zu with WAN access, up %s, down %s\n",
                 NameOf(site).c_str(), RanksOf(site).size(),
                 WanRanksOf(site).size(), rate_text(Site(site).wan_up).c_str(),
                 rate_text(Site(site).wan_down).c_str());
  }
  return text;
}

}  // namespace longhaul
