// What a simulated network keeps of each end of a flow and of each frame on its
// way. Internal to transport/sim.
//
// Engine thread only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <vector>

#include "base/time.h"
#include "transport/endpoint.h"
#include "transport/sim/sim_endpoint.h"

namespace longhaul {

/// A frame on its way, or one of the marks that end a flow.
struct SimFrame {
  enum class Kind : uint8_t { kFrame, kFinish, kReset };
  Kind kind = Kind::kFrame;
  HeaderBytes header{};
  uint32_t size = 0;
  Duration length = 0;             // time on the line
  double rate = 0;                 // of the line, as it left
  bool counted = false;            // what became of it, or of its twin
  void* cookie = nullptr;          // of a data frame
  bool lent = false;               // the payload is the sender's
  bool cut = false;                // the end of it never left
  const uint8_t* bytes = nullptr;  // the payload
  std::vector<uint8_t> copy;
  int references = 0;
};

/// The state of one end, which outlives its endpoint while frames are on their
/// way.
struct SimSide {
  SimEndpoint* endpoint = nullptr;
  SimSide* peer = nullptr;
  ChunkSink* sink = nullptr;
  bool open = true;
  uint64_t number = 0;

  SimLink link;  // on which this side sends
  std::deque<SimFrame*> control;
  std::deque<SimFrame*> data;
  SimFrame* leaving = nullptr;
  TimePoint last_arrival = 0;    // at the peer, where in order
  std::vector<SimFrame*> stuck;  // in a blackhole
  bool silent = false;
  bool refused = false;
  bool finishing = false;
  bool finished = false;

  std::deque<SimFrame*> inbound;  // arriving behind the one being received
  SimFrame* receiving = nullptr;
  ChunkHeader header;
  Buffer place;
  bool diverted = false;
  bool overdue = false;  // what is being received ended in a blackhole
  bool corrupt_next = false;

  uint64_t bytes_sent = 0;
  uint64_t bytes_received = 0;
  uint64_t bytes_in_flight = 0;        // begun, and not known to have arrived
  uint64_t bytes_delivered = 0;        // known to have arrived
  std::vector<SimFrame*> unconfirmed;  // known but for a blackhole
  double delivery_rate = 0;
  Duration min_rtt = kNever;
};

}  // namespace longhaul
