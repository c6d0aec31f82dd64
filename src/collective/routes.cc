#include "collective/routes.h"

#include <algorithm>
#include <limits>

#include "base/check.h"

namespace longhaul {
namespace {

double Seconds(Duration d) { return static_cast<double>(d) / kSecond; }

}  // namespace

std::vector<Route> RoutesBetween(const Topology& topology, SiteIndex from,
                                 SiteIndex to) {
  const double delay = Seconds(topology.DelayBetween(from, to));
  const double most = std::min(topology.WanUp(from), topology.WanDown(to));
  std::vector<Route> routes;
  for (const PathSpec& path : topology.PathsBetween(from, to)) {
    routes.push_back({path.rate.value_or(most) / 8,
                      path.delay ? Seconds(*path.delay) : delay});
  }
  if (routes.empty()) {
    routes.push_back({topology.RateBetween(from, to) / 8, delay});
  }
  return routes;
}

// By delay: a route is used once what those before it carry takes longer.
double WaterFillSeconds(std::span<const Route> routes, double bytes) {
  LH_CHECK(!routes.empty());
  std::vector<Route> order(routes.begin(), routes.end());
  std::sort(order.begin(), order.end(),
            [](Route a, Route b) { return a.delay < b.delay; });
  double rate = 0;
  double ahead = bytes;  // and what would have been sent in the delays
  double seconds = std::numeric_limits<double>::infinity();
  for (const Route& route : order) {
    if (route.delay >= seconds) break;
    rate += route.rate;
    ahead += route.rate * route.delay;
    seconds = ahead / rate;
  }
  return seconds;
}

double RateOut(const Topology& topology, SiteIndex site) {
  double rate = 0;
  for (SiteIndex other = 0; other < topology.site_count(); ++other) {
    if (other != site) rate += topology.RateBetween(site, other);
  }
  return topology.site_count() > 1 ? std::min(rate, topology.WanUp(site))
                                   : topology.WanUp(site);
}

double RateIn(const Topology& topology, SiteIndex site) {
  double rate = 0;
  for (SiteIndex other = 0; other < topology.site_count(); ++other) {
    if (other != site) rate += topology.RateBetween(other, site);
  }
  return topology.site_count() > 1 ? std::min(rate, topology.WanDown(site))
                                   : topology.WanDown(site);
}

}  // namespace longhaul
