// The time schedules take on a topology, by discrete events: every rank's
// processor and network card, every site's access line and the lines between
// sites serve what comes in turn; of several lines between two sites a message
// takes the one on which it is there first.
//
// A message is cut through: each stage of its way starts on it as soon as the
// first byte is there. Sends are over when the card has taken them. Models the
// order and sharing of work, not loss, congestion or start-up of flows.
//
// Pure functions; any thread.
#pragma once

#include <cstdint>
#include <span>

#include "collective/cost.h"
#include "collective/schedule.h"
#include "collective/segment_plan.h"
#include "topology/topology.h"

namespace longhaul {

struct Timing {
  double seconds = 0;    ///< from the start to the last rank's last step
  double busiest = 0;    ///< work of the busiest resource, in seconds
  double wan_bytes = 0;  ///< of payload, that left all sites together
  uint64_t wan_messages = 0;
  uint64_t lan_messages = 0;
};

/// Plays `ranks` (a schedule per rank, all of one segment and proven by
/// CheckAllReduce) for `segments` segments, `in_flight` of them at a time on
/// each rank. Equal inputs give equal results.
Timing Simulate(std::span<const Schedule> ranks, size_t element_size,
                const Topology& topology, const CostParameters& parameters = {},
                uint64_t segments = 1, uint64_t in_flight = 1);

}  // namespace longhaul
