#include "collective/cost.h"

#include <algorithm>
#include <cstddef>
#include <span>

#include "collective/hierarchical.h"
#include "collective/ring.h"

namespace longhaul {
namespace {

double Seconds(Duration d) { return static_cast<double>(d) / kSecond; }

// Bytes/s of a rate in bits/s.
double Bytes(double bits_per_second) { return bits_per_second / 8; }

double LowerBoundInSite(double bytes, double ranks,
                        const CostParameters& parameters) {
  if (ranks < 2) return 0;
  return parameters.lan_delay +
         bytes / parameters.lan_rate * std::max(1.0, 2 * (ranks - 1) / ranks);
}

// What one segment of `bytes` costs: how long it is under way, and how long it
// keeps the busiest resource.
struct SegmentCost {
  double seconds = 0;
  double period = 0;
};

SegmentCost RingSegment(double bytes, const Topology& topology,
                        const CostParameters& p) {
  const auto n = static_cast<double>(topology.size());
  const double piece = bytes / n;
  const double hops = 2 * (n - 1);
  const double software = 2 * p.message_seconds;
  const double adding = 2 * piece / p.reduce_rate;
  // A piece goes round not quite twice, and crosses each border twice.
  SegmentCost cost;
  cost.seconds =
      hops * (piece / p.lan_rate + p.lan_delay + software) + (n - 1) * adding;
  cost.period =
      std::max(hops * piece / p.lan_rate, hops * software + (n - 1) * adding);
  const SiteIndex sites = topology.site_count();
  double border = 0;  // the busiest
  double delay = 0;   // the longest
  for (SiteIndex site = 0; sites > 1 && site < sites; ++site) {
    const SiteIndex next = (site + 1) % sites;
    const double busy =
        piece / (Bytes(topology.RateBetween(site, next)) * p.goodput);
    cost.seconds += 2 * (busy + Seconds(topology.DelayBetween(site, next)));
    border = std::max(border, hops * busy);
    delay = std::max(delay, Seconds(topology.DelayBetween(site, next)));
  }
  cost.period = std::max(cost.period, border);
  cost.seconds = std::max(cost.seconds, cost.period + delay);
  return cost;
}

// Of the sites, the greatest time of each phase and resource.
struct Phases {
  double in_site = 0;   // reduce-scatter, and again all-gather
  double exchange = 0;  // at the sites' borders
  double adding = 0;
  double card = 0;      // an owner's network card, all phases
  double software = 0;  // an owner's messages, all phases
};

Phases PhasesOf(double bytes, const Topology& topology,
                const CostParameters& p) {
  Phases phases;
  const SiteIndex sites = topology.site_count();
  const double others = sites - 1;
  for (SiteIndex site = 0; site < sites; ++site) {
    const auto ranks = static_cast<double>(topology.RanksOf(site).size());
    const auto owners = static_cast<double>(OwnersOf(topology, site).size());
    const double part = bytes / owners;
    const double sources =
        (ranks > 1 || sites == 1 ? ranks : 0) + (sites > 1 ? sites : 0);
    phases.in_site = std::max(phases.in_site, (ranks - 1) * part / p.lan_rate);
    phases.adding = std::max(phases.adding, sources * part / p.reduce_rate);
    phases.card =
        std::max(phases.card, (owners - 1 + ranks - 1 + others / p.goodput) *
                                  part / p.lan_rate);
    double partners = 0;
    for (SiteIndex other = 0; other < sites; ++other) {
      if (other == site) continue;
      const auto theirs = static_cast<double>(OwnersOf(topology, other).size());
      partners += std::max(1.0, theirs / owners);
      phases.exchange = std::max(
          phases.exchange,
          bytes / (Bytes(topology.RateBetween(site, other)) * p.goodput));
    }
    // Both ends of every message: to and from owners, ranks and partners.
    phases.software =
        std::max(phases.software,
                 2 * (owners - 1 + ranks - 1 + partners) * p.message_seconds);
    if (sites == 1) continue;
    const double least =
        std::min(Bytes(topology.WanUp(site)), Bytes(topology.WanDown(site)));
    phases.exchange =
        std::max(phases.exchange, others * bytes / (least * p.goodput));
  }
  return phases;
}

SegmentCost HierarchicalSegment(double bytes, const Topology& topology,
                                const CostParameters& p) {
  const Phases phases = PhasesOf(bytes, topology, p);
  double delay = 0;
  for (SiteIndex a = 0; a < topology.site_count(); ++a) {
    for (SiteIndex b = 0; b < a; ++b) {
      delay = std::max(delay, Seconds(topology.DelayBetween(a, b)));
    }
  }
  SegmentCost cost;
  cost.seconds = 2 * (phases.in_site + p.lan_delay) + phases.exchange + delay +
                 phases.adding + phases.software;
  cost.period =
      std::max({phases.exchange, phases.card, phases.adding + phases.software});
  return cost;
}

}  // namespace

double LowerBound(uint64_t bytes, const Topology& topology,
                  const CostParameters& parameters) {
  const auto size = static_cast<double>(bytes);
  const SiteIndex sites = topology.site_count();
  if (sites == 1) {
    return LowerBoundInSite(size, topology.size(), parameters);
  }
  double bound = 0;
  double up = 0;
  double down = 0;
  double shortest = Seconds(topology.DelayBetween(0, 1));
  for (SiteIndex a = 0; a < sites; ++a) {
    double nearest = Seconds(topology.DelayBetween(a, a == 0 ? 1 : 0));
    for (SiteIndex b = 0; b < sites; ++b) {
      if (a == b) continue;
      const double delay = Seconds(topology.DelayBetween(a, b));
      nearest = std::min(nearest, delay);
      bound = std::max(bound, delay);
    }
    shortest = std::min(shortest, nearest);
    const double out = Bytes(topology.WanUp(a)) * parameters.goodput;
    const double in = Bytes(topology.WanDown(a)) * parameters.goodput;
    bound = std::max(bound, nearest + size / std::min(out, in));
    up += out;
    down += in;
  }
  return std::max(bound,
                  shortest + 2.0 * (sites - 1) * size / std::min(up, down));
}

double EstimateSeconds(Algorithm algorithm, const SegmentPlan& plan,
                       size_t element_size, const Topology& topology,
                       const CostParameters& parameters) {
  const double bytes =
      static_cast<double>(plan.segment_elements * element_size);
  const SegmentCost cost =
      algorithm == Algorithm::kRing
          ? RingSegment(bytes, topology, parameters)
          : HierarchicalSegment(bytes, topology, parameters);
  return PipelineSeconds(cost.seconds, cost.period, plan);
}

double PipelineSeconds(double first, double period, const SegmentPlan& plan) {
  if (plan.segments < 2) return first;
  // The last segment may be short: count it as the part of one it is.
  const double more = static_cast<double>(plan.count) /
                          static_cast<double>(plan.segment_elements) -
                      1;
  const double share = first / static_cast<double>(plan.in_flight);
  return first + more * std::max(period, share);
}

}  // namespace longhaul
