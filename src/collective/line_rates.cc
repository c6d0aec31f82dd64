#include "collective/line_rates.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "collective/site_shares.h"

namespace longhaul {
namespace {

// Seconds that one byte of a sharded all-reduce keeps the busiest site's line.
double Period(const Topology& topology, const SiteShares& shares) {
  const SiteIndex sites = topology.site_count();
  double period = 0;
  for (SiteIndex site = 0; site < sites; ++site) {
    const double load = 1 + (sites - 2) * shares.FractionOf(site);
    period = std::max(
        period, load / std::min(topology.WanUp(site), topology.WanDown(site)));
  }
  return period;
}

}  // namespace

void Tell(SiteIndex site, const LineRates& rates, std::span<double> told) {
  const auto own = told.subspan(kToldPerSite * static_cast<size_t>(site));
  own[0] += rates.up;
  own[1] += rates.down;
  own[2] += rates.limited ? 0 : 1;
}

std::optional<Topology> Replanned(const Topology& planned,
                                  std::span<const double> told,
                                  double goodput) {
  const auto sites = static_cast<size_t>(planned.site_count());
  LH_CHECK(told.size() == kToldPerSite * sites);
  std::vector<SiteRates> rates(sites);
  for (size_t i = 0; i < sites; ++i) {
    const auto site = static_cast<SiteIndex>(i);
    const double up = told[kToldPerSite * i] * 8 / goodput;
    const double down = told[kToldPerSite * i + 1] * 8 / goodput;
    const bool limited = told[kToldPerSite * i + 2] == 0;
    if (!std::isfinite(up) || !std::isfinite(down) || up <= 0) return {};
    rates[i] = {up, std::max(up, down)};
    if (!planned.HasWanRates(site)) continue;
    if (!limited) rates[i].up = std::max(up, planned.WanUp(site));
    rates[i].down = std::max(rates[i].down, planned.WanDown(site));
  }
  Topology seen = planned.WithWanRates(rates);
  const double as_planned = Period(seen, SharesOf(planned));
  const double at_best = Period(seen, SharesOf(seen));
  if (as_planned <= kWorthIt * at_best) return {};
  return seen;
}

}  // namespace longhaul
