#include "collective/cost.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <vector>

#include "collective/ring.h"
#include "collective/routes.h"
#include "collective/split_rail.h"

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
    const double crossing = piece / p.goodput;
    const double alone = crossing / Bytes(LineRate(topology, a, b));
    delay = std::max(
        Seconds(topology.DelayBetween(a, b)),
        WaterFillSeconds(RoutesBetween(topology, a, b), crossing) - alone);
    busy = std::max(busy, alone);
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

// What one site sends and gets at its border, in elements of the vector per
// element: of sums, and of totals.
struct Border {
  double sums_out;
  double sums_in;
  double totals_out;
  double totals_in;
  double load() const { return sums_out + totals_out; }
};

// How the sites split the work between them.
class Split {
 public:
  // `shares` null: every site adds everything up for itself.
  Split(const Topology& topology, const SiteShares* shares)
      : topology_(topology), shares_(shares) {}

  double Share(SiteIndex site) const {
    return shares_ == nullptr ? 1 : shares_->FractionOf(site);
  }
  Border At(SiteIndex site) const {
    const double others = topology_.site_count() - 1;
    if (shares_ == nullptr) return {others, others, 0, 0};
    const double x = Share(site);
    return {1 - x, others * x, others * x, 1 - x};
  }
  double Sums(SiteIndex /*from*/, SiteIndex to) const { return Share(to); }
  double Totals(SiteIndex from, SiteIndex /*to*/) const {
    return shares_ == nullptr ? 0 : Share(from);
  }
  // From one owner to another, of each part they share.
  double Messages() const { return shares_ == nullptr ? 1 : 2; }

 private:
  const Topology& topology_;
  const SiteShares* shares_;
};

// Of the sites, the greatest time of each phase and resource.
struct Phases {
  double in_site = 0;  // reduce-scatter, and again all-gather
  double sums = 0;     // at the sites' borders and between them
  double totals = 0;   // likewise
  double wan = 0;      // both
  double adding = 0;
  double card = 0;      // an owner's network card, all phases
  double software = 0;  // an owner's messages, all phases
};

void Raise(double* most, double value) { *most = std::max(*most, value); }

void AddSite(double bytes, const Topology& topology, const CostParameters& p,
             const Split& split, SiteIndex site, Phases* phases) {
  const SiteIndex sites = topology.site_count();
  const auto ranks = static_cast<double>(topology.RanksOf(site).size());
  const auto owners = static_cast<double>(OwnersOf(topology, site).size());
  const double part = bytes / owners;
  const double load = sites > 1 ? split.At(site).load() : 0;
  const double sources = (ranks > 1 || sites == 1 ? ranks : 0) +
                         (sites > 1 ? sites * split.Share(site) : 0);
  double partners = 0;
  for (SiteIndex other = 0; other < sites; ++other) {
    if (other == site) continue;
    const auto theirs = static_cast<double>(OwnersOf(topology, other).size());
    partners += split.Messages() * std::max(1.0, theirs / owners);
  }
  Raise(&phases->in_site, (ranks - 1) * part / p.lan_rate);
  Raise(&phases->adding, sources * part / p.reduce_rate);
  Raise(&phases->card,
        (owners - 1 + ranks - 1 + load / p.goodput) * part / p.lan_rate);
  // Both ends of every message: to and from owners, ranks and partners.
  Raise(&phases->software,
        2 * (owners - 1 + ranks - 1 + partners) * p.message_seconds);
}

void AddBorder(double bytes, const Topology& topology, const CostParameters& p,
               const Split& split, SiteIndex site, Phases* phases) {
  const double out = Bytes(topology.WanUp(site)) * p.goodput;
  const double in = Bytes(topology.WanDown(site)) * p.goodput;
  const Border border = split.At(site);
  Raise(&phases->sums,
        bytes * std::max(border.sums_out / out, border.sums_in / in));
  Raise(&phases->totals,
        bytes * std::max(border.totals_out / out, border.totals_in / in));
  Raise(&phases->wan, bytes * border.load() / std::min(out, in));
}

void AddLine(double bytes, const Topology& topology, const CostParameters& p,
             const Split& split, SiteIndex from, SiteIndex to, Phases* phases) {
  const double line = Bytes(LineRate(topology, from, to)) * p.goodput;
  const double sums = bytes * split.Sums(from, to) / line;
  const double totals = bytes * split.Totals(from, to) / line;
  Raise(&phases->sums, sums);
  Raise(&phases->totals, totals);
  Raise(&phases->wan, sums + totals);
}

Phases PhasesOf(double bytes, const Topology& topology, const CostParameters& p,
                const Split& split) {
  Phases phases;
  const SiteIndex sites = topology.site_count();
  for (SiteIndex site = 0; site < sites; ++site) {
    AddSite(bytes, topology, p, split, site, &phases);
    if (sites == 1) break;
    AddBorder(bytes, topology, p, split, site, &phases);
    for (SiteIndex other = 0; other < sites; ++other) {
      if (other == site) continue;
      AddLine(bytes, topology, p, split, site, other, &phases);
    }
  }
  return phases;
}

// The longest delay between two sites; of several routes what they take longer
// together for `bytes` of the vector than without any delay.
double LongestDelay(double bytes, const Topology& topology,
                    const CostParameters& p, const Split& split) {
  double longest = 0;
  for (SiteIndex from = 0; from < topology.site_count(); ++from) {
    for (SiteIndex to = 0; to < topology.site_count(); ++to) {
      if (from == to) continue;
      const std::vector<Route> routes = RoutesBetween(topology, from, to);
      double rate = 0;
      for (const Route& route : routes) rate += route.rate;
      const double crossing =
          bytes * (split.Sums(from, to) + split.Totals(from, to)) / p.goodput;
      Raise(&longest, WaterFillSeconds(routes, crossing) - crossing / rate);
    }
  }
  return longest;
}

// One segment of `bytes` of a vector of `all`.
SegmentCost HierarchicalSegment(double bytes, double all,
                                const Topology& topology,
                                const CostParameters& p) {
  const Split split(topology, nullptr);
  const Phases phases = PhasesOf(bytes, topology, p, split);
  SegmentCost cost;
  cost.seconds = 2 * (phases.in_site + p.lan_delay) + phases.wan +
                 LongestDelay(all, topology, p, split) + phases.adding +
                 phases.software;
  cost.period =
      std::max({phases.wan, phases.card, phases.adding + phases.software});
  // Before and after the exchange, or whatever is busiest.
  cost.around = std::max(0.0, cost.seconds - cost.period);
  return cost;
}

// One segment of `bytes` of a vector of `all`, and the same with nothing but
// sums on the lines: two pipelines, of which the slower counts.
struct ShardedSegment {
  SegmentCost both;
  SegmentCost sums;
};

ShardedSegment ShardedSegmentOf(double bytes, double all,
                                const SiteShares& shares,
                                const Topology& topology,
                                const CostParameters& p) {
  const Split split(topology, &shares);
  const Phases phases = PhasesOf(bytes, topology, p, split);
  const double delay = LongestDelay(all, topology, p, split);
  ShardedSegment segment;
  segment.both.seconds = 2 * (phases.in_site + p.lan_delay + delay) +
                         phases.sums + phases.totals + phases.adding +
                         phases.software;
  segment.both.period =
      std::max({phases.wan, phases.card, phases.adding + phases.software});
  // The lines are busy from the first sums on; of the two delays they stand
  // idle for one, since totals of other segments are sent while the last sums
  // are under way.
  const double busy =
      std::max(phases.sums + phases.totals + delay, segment.both.period);
  segment.both.around = std::max(0.0, segment.both.seconds - busy);
  // Sums go first, and the last segment's totals come after all sums.
  segment.sums = {segment.both.seconds, phases.sums,
                  segment.both.seconds - phases.sums};
  return segment;
}

// A line carries more of a vector where that is encoded.
CostParameters WithCodes(CostParameters parameters, const SegmentPlan& plan) {
  parameters.goodput /= plan.code_share;
  return parameters;
}

// When each site can have sent, and got, `bytes`: by what its lines carry
// after its shortest delay, and over all its routes at once.
double LeastOfSite(double bytes, const Topology& topology, SiteIndex site,
                   const CostParameters& p) {
  std::vector<Route> out;
  std::vector<Route> in;
  double nearest = std::numeric_limits<double>::infinity();
  for (SiteIndex other = 0; other < topology.site_count(); ++other) {
    if (other == site) continue;
    for (const Route& route : RoutesBetween(topology, site, other)) {
      out.push_back(route);
      nearest = std::min(nearest, route.delay);
    }
    for (const Route& route : RoutesBetween(topology, other, site)) {
      in.push_back(route);
    }
  }
  const double rate =
      Bytes(std::min(RateOut(topology, site), RateIn(topology, site)));
  const double crossing = bytes / p.goodput;
  return std::max({nearest + crossing / rate, WaterFillSeconds(out, crossing),
                   WaterFillSeconds(in, crossing)});
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
  double shortest = std::numeric_limits<double>::infinity();
  for (SiteIndex a = 0; a < sites; ++a) {
    Raise(&bound, LeastOfSite(size, topology, a, parameters));
    up += Bytes(RateOut(topology, a)) * parameters.goodput;
    down += Bytes(RateIn(topology, a)) * parameters.goodput;
    for (SiteIndex b = 0; b < a; ++b) {
      const double delay = Seconds(topology.DelayBetween(a, b));
      Raise(&bound, delay);
      shortest = std::min(shortest, delay);
    }
  }
  return std::max(bound,
                  shortest + 2.0 * (sites - 1) * size / std::min(up, down));
}

double EstimateSeconds(Algorithm algorithm, const SegmentPlan& plan,
                       size_t element_size, const Topology& topology,
                       const CostParameters& parameters) {
  const double bytes =
      static_cast<double>(plan.segment_elements * element_size);
  const double all = static_cast<double>(plan.count * element_size);
  if (algorithm == Algorithm::kRing) {
    return PipelineSeconds(RingSegment(bytes, topology, parameters), plan);
  }
  const CostParameters coded = WithCodes(parameters, plan);
  if (algorithm == Algorithm::kSharded && topology.site_count() > 1) {
    ShardedSegment segment =
        ShardedSegmentOf(bytes, all, plan.shares, topology, coded);
    // At first there are only sums, and in the end only totals: a line that
    // both keep busy is idle for about a segment.
    if (plan.segments > 1) segment.both.around += segment.both.period;
    return std::max(PipelineSeconds(segment.both, plan),
                    PipelineSeconds(segment.sums, plan));
  }
  return PipelineSeconds(HierarchicalSegment(bytes, all, topology, coded),
                         plan);
}

uint64_t UsefulInFlight(const SegmentPlan& plan, size_t element_size,
                        const Topology& topology,
                        const CostParameters& parameters) {
  const double bytes =
      static_cast<double>(plan.segment_elements * element_size);
  const double all = static_cast<double>(plan.count * element_size);
  const SegmentCost cost = ShardedSegmentOf(bytes, all, plan.shares, topology,
                                            WithCodes(parameters, plan))
                               .both;
  const double useful = std::ceil(2 * cost.seconds / cost.period);
  return static_cast<uint64_t>(
      std::clamp(useful, 1.0, static_cast<double>(kMaxSegmentsInFlight)));
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
