#include "collective/cost.h"

#include <algorithm>
#include <cstddef>
#include <limits>
#include <vector>

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

// One hop of the ring: what a piece takes over it, and keeps it.
struct RingHop {
  double seconds;
  double busy;
  double delay;
};

RingHop HopOf(double piece, Rank from, Rank to, const Topology& topology,
              const CostParameters& p) {
  const SiteIndex a = topology.SiteOf(from);
  const SiteIndex b = topology.SiteOf(to);
  double busy = piece / p.lan_rate;
  double delay = p.lan_delay;
  if (a != b) {
    busy =
        std::max(busy, piece / (Bytes(topology.RateBetween(a, b)) * p.goodput));
    delay = Seconds(topology.DelayBetween(a, b));
  }
  return {busy + delay + 2 * p.message_seconds, busy, delay};
}

SegmentCost RingSegment(double bytes, const Topology& topology,
                        const CostParameters& p) {
  const std::vector<Rank> order = RingOrder(topology);
  const size_t n = order.size();
  const double piece = bytes / static_cast<double>(n);
  const double adding = 2 * piece / p.reduce_rate;
  if (n == 1) return {adding / 2, adding / 2, 0};
  // A piece makes 2 (N - 1) hops: two turns less two hops. The last piece to
  // end is the one spared the two cheapest.
  double turn = 0;
  double busiest = 0;
  double delay = 0;
  double spared = std::numeric_limits<double>::max();
  for (size_t i = 0; i < n; ++i) {
    const RingHop hop = HopOf(piece, order[i], order[(i + 1) % n], topology, p);
    const RingHop next =
        HopOf(piece, order[(i + 1) % n], order[(i + 2) % n], topology, p);
    turn += hop.seconds;
    spared = std::min(spared, hop.seconds + next.seconds);
    busiest = std::max(busiest, hop.busy);
    delay = std::max(delay, hop.delay);
  }
  const auto turns = static_cast<double>(n - 1);
  const double processor = turns * (4 * p.message_seconds + adding);
  SegmentCost cost;
  cost.period = std::max(2 * turns * busiest, processor);
  // Other segments, and pieces, use a line while this one crosses the others.
  cost.around = delay + 2 * p.message_seconds;
  cost.seconds =
      std::max(2 * turn - spared + turns * adding, cost.period + cost.around);
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
  // Before and after the exchange, or whatever is busiest.
  cost.around = std::max(0.0, cost.seconds - cost.period);
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
  return PipelineSeconds(cost, plan);
}

double PipelineSeconds(const SegmentCost& segment, const SegmentPlan& plan) {
  // The last segment may be short: count it as the part of one it is.
  const double segments = plan.segments < 2
                              ? 1
                              : static_cast<double>(plan.count) /
                                    static_cast<double>(plan.segment_elements);
  const double rounds =
      std::max(1.0, segments / static_cast<double>(plan.in_flight));
  return std::max(segment.around + segments * segment.period,
                  rounds * segment.seconds);
}

}  // namespace longhaul
