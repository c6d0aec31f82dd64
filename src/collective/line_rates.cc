#include "collective/line_rates.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/check.h"

namespace longhaul {
namespace {

using Rates = std::array<SiteRates, SiteShares::kMostSites>;

double Least(const SiteRates& rates) { return std::min(rates.up, rates.down); }

// Seconds that one byte of a sharded all-reduce keeps the busiest site's line,
// bits/s: by these shares, and by the best ones (LowerBound in cost.h).
double PeriodBy(const SiteShares& shares, const Rates& rates) {
  double period = 0;
  for (SiteIndex site = 0; site < shares.sites(); ++site) {
    const double load = 1 + (shares.sites() - 2) * shares.FractionOf(site);
    period = std::max(period, load / Least(rates[static_cast<size_t>(site)]));
  }
  return period;
}

double BestPeriod(size_t sites, const Rates& rates) {
  double least = Least(rates[0]);
  double sum = 0;
  for (size_t i = 0; i < sites; ++i) {
    least = std::min(least, Least(rates[i]));
    sum += Least(rates[i]);
  }
  return std::max(1 / least, 2 * static_cast<double>(sites - 1) / sum);
}

// What is to be thought of a site; nothing is known of it if `up` is not
// positive.
SiteRates RatesOf(const Topology& planned, SiteIndex site,
                  std::span<const double> told, double goodput) {
  const auto own = told.subspan(kToldPerSite * static_cast<size_t>(site));
  const double up = own[0] * 8 / goodput;
  const double down = own[1] * 8 / goodput;
  const bool limited = own[2] == 0;
  if (!std::isfinite(up) || !std::isfinite(down) || up <= 0) return {};
  SiteRates rates{up, std::max(up, down)};
  if (!planned.HasWanRates(site)) return rates;
  if (!limited) rates.up = std::max(up, planned.WanUp(site));
  rates.down = std::max(rates.down, planned.WanDown(site));
  return rates;
}

// Nothing if nothing is known of some site.
std::optional<Rates> AllRates(const Topology& planned,
                              std::span<const double> told, double goodput) {
  const auto sites = static_cast<size_t>(planned.site_count());
  LH_CHECK(told.size() == kToldPerSite * sites);
  Rates rates{};
  for (size_t i = 0; i < sites; ++i) {
    rates[i] = RatesOf(planned, static_cast<SiteIndex>(i), told, goodput);
    if (rates[i].up <= 0) return std::nullopt;
  }
  return rates;
}

}  // namespace

void Tell(SiteIndex site, const LineRates& rates, std::span<double> told) {
  const auto own = told.subspan(kToldPerSite * static_cast<size_t>(site));
  own[0] += rates.up;
  own[1] += rates.down;
  own[2] += rates.limited ? 0 : 1;
}

std::optional<Topology> Replanned(const Topology& planned,
                                  const SiteShares& shares,
                                  std::span<const double> told,
                                  double goodput) {
  LH_CHECK(shares.sites() == planned.site_count());
  const auto sites = static_cast<size_t>(planned.site_count());
  const std::optional<Rates> rates = AllRates(planned, told, goodput);
  if (!rates) return std::nullopt;
  if (PeriodBy(shares, *rates) <= kWorthIt * BestPeriod(sites, *rates)) {
    return std::nullopt;
  }
  return planned.WithWanRates(std::span(*rates).first(sites));
}

std::optional<Topology> Changed(const Topology& planned,
                                std::span<const double> told, double goodput) {
  const std::optional<Rates> rates = AllRates(planned, told, goodput);
  if (!rates) return std::nullopt;
  for (SiteIndex site = 0; site < planned.site_count(); ++site) {
    const double now = Least((*rates)[static_cast<size_t>(site)]);
    const double then = std::min(planned.WanUp(site), planned.WanDown(site));
    if (now > kMuch * then || then > kMuch * now) {
      return planned.WithWanRates(
          std::span(*rates).first(static_cast<size_t>(planned.site_count())));
    }
  }
  return std::nullopt;
}

}  // namespace longhaul
