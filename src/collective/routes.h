// What a topology says of the ways between sites, as costs need it: the routes
// of a pair, how long they take together, and what a site's lines carry.
//
// Pure functions, with equal answers on every rank; any thread.
#pragma once

#include <span>
#include <vector>

#include "topology/topology.h"

namespace longhaul {

/// A way to another site, one direction.
struct Route {
  double rate = 0;   ///< bytes/s
  double delay = 0;  ///< seconds
};

/// The stated paths from one site to another; of a path without a rate the
/// lesser of what the sender's line takes out and the receiver's in, of one
/// without a delay DelayBetween. If none is stated, one route with RateBetween
/// and DelayBetween.
std::vector<Route> RoutesBetween(const Topology& topology, SiteIndex from,
                                 SiteIndex to);

/// When the last of `bytes` can be there if all routes are used at once: the T
/// that solves sum of rate * max(0, T - delay) = bytes, so that all routes in
/// use end together and one is used only if its delay is below T. The shortest
/// delay for no bytes. There is a route, and rates are above 0.
double WaterFillSeconds(std::span<const Route> routes, double bytes);

/// Bits/s a site sends to all others, and gets of them, at most: the lesser of
/// what is stated of the site and of its ways to others (RateBetween).
double RateOut(const Topology& topology, SiteIndex site);
double RateIn(const Topology& topology, SiteIndex site);

}  // namespace longhaul
