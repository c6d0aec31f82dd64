// One route to the peer: a pair of addresses, with the flows between them
// (flow.h) and what is remembered beyond any of these.
//
// Engine thread only.
#pragma once

#include <cstdint>
#include <string>

#include "base/time.h"
#include "path/flow_growth.h"

namespace longhaul {

/// What a flow is a part of.
struct PathInfo {
  std::string name;       ///< "10.0.0.1 -> 10.0.1.7", for people
  double rate_limit = 0;  ///< bytes/s that may leave on it; 0: no limit
};

struct Path {
  uint16_t number = 0;
  PathInfo info;
  uint64_t sent_bytes = 0;       ///< payload of chunks, first or again
  uint64_t restriped_bytes = 0;  ///< of these, those that others took over
  uint64_t failures = 0;         ///< flows lost or fallen silent
  uint64_t past_sent = 0;        ///< by the transports of flows that are gone
  uint64_t past_received = 0;
  uint64_t past_retransmits = 0;

  double pace = 0;       ///< of its flows that get through; 0: none
  double peer_pace = 0;  ///< as the peer has told
  TimePoint peer_pace_at = 0;
  TimePoint tell_pace_at = 0;

  // Where it is this connection's to find out how many flows there should be.
  FlowGrowth growth;
  uint64_t delivered = 0;   ///< by the flows in use, since the last look
  bool full = true;         ///< all of them had more to send since then
  TimePoint next_look = 0;  ///< at what they do together
};

}  // namespace longhaul
