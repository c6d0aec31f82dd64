// What an all-reduce costs on a topology: the lower bound, and closed forms
// cheap enough to choose by. simulation.h prices the schedules themselves;
// docs/algorithms.md derives the formulas.
//
// Pure functions, with equal answers on every rank; any thread.
#pragma once

#include <cstdint>

#include "collective/schedule.h"
#include "collective/segment_plan.h"
#include "topology/topology.h"

namespace longhaul {

/// The share of a line's bytes left for data behind the headers of full TCP/IP
/// packets with time stamps: (mtu - IP header - 32) / mtu. 1448 / 1500 for
/// IPv4 (`ip_version` 4), 1428 / 1500 for IPv6 (6). `mtu` in bytes.
constexpr double GoodputFraction(int mtu, int ip_version) {
  const int header = (ip_version == 6 ? 40 : 20) + 32;
  return mtu > header ? static_cast<double>(mtu - header) / mtu : 0;
}

/// What the topology does not say. Rates in bytes/s, times in seconds.
struct CostParameters {
  double lan_rate = kDefaultLanRate / 8;  ///< per rank, each direction
  double lan_delay = static_cast<double>(kDefaultLanDelay) / kSecond;
  double reduce_rate = 8e9;       ///< source bytes added per second, per rank
  double message_seconds = 2e-6;  ///< software, per message, at either end
  double goodput = GoodputFraction(1500, 4);  ///< of the WAN rates
  double code_share = 1;  ///< bytes of a code per byte it stands for: Simulate
};

/// No all-reduce of `bytes` per rank is faster, in seconds: the greatest of
///  - the longest one-way delay between sites;
///  - for each site, its shortest delay + bytes / (h * B), for the bytes it
///    must at least send, and get, at its access rate B;
///  - for each site, when its routes, used all at once, can have carried them
///    (WaterFillSeconds in routes.h);
///  - the shortest delay + 2 (k - 1) bytes / (h * sum of B): each element is
///    sent k - 1 times to be summed and k - 1 times to be spread;
/// taken for up and down rates apart, h = goodput, B what is stated of the site
/// or of its ways to others if that is less. With equal delays o this is
/// o + bytes / h * max(1 / B_min, 2 (k - 1) / sum B); for two sites it is what
/// the routes between them take for bytes / h. Within one site the same with
/// ranks for sites at LAN rate and delay.
double LowerBound(uint64_t bytes, const Topology& topology,
                  const CostParameters& parameters = {});

/// Seconds an all-reduce of the plan's vector takes; kSharded with the plan's
/// shares, and encoded if the plan says so. A closed form: steps of like ranks
/// are taken to coincide.
double EstimateSeconds(Algorithm algorithm, const SegmentPlan& plan,
                       size_t element_size, const Topology& topology,
                       const CostParameters& parameters = {});

/// How many of a sharded all-reduce's segments are of use at a time: twice as
/// many as lines need to be busy all through. With more, streams with less to
/// send run ahead of those with more, where shares differ, and the lines of the
/// latter have the end for themselves.
uint64_t UsefulInFlight(const SegmentPlan& plan, size_t element_size,
                        const Topology& topology,
                        const CostParameters& parameters = {});

/// What one segment costs, in seconds.
struct SegmentCost {
  double seconds = 0;  ///< how long it is under way, alone
  double period = 0;   ///< how long it keeps the busiest resource
  double around = 0;   ///< of a pipeline, what that resource stands idle
};

/// A pipeline of segments: the busiest resource serves all of them in turn, and
/// each is under way for its time, `in_flight` at a time.
double PipelineSeconds(const SegmentCost& segment, const SegmentPlan& plan);

}  // namespace longhaul
