// What has crossed the lines to other processes, and how the lines are: see
// Communicator::Counters.
//
// Plain values; thread-compatible.
#pragma once

#include <longhaul/codec.h>
#include <longhaul/types.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace longhaul {

/// How a path does.
enum class PathState : uint8_t {
  kUp,      ///< carries data
  kSilent,  ///< what was sent on it is not confirmed any more: it is probed
  kDown,    ///< its flows are gone: they are being opened again
};

/// One route to a process in another site: a pair of addresses.
struct PathCounters {
  std::string name;  ///< "10.0.0.1 -> 10.0.1.7"
  PathState state = PathState::kUp;
  size_t flows = 0;         ///< that data is put on
  uint64_t bytes_sent = 0;  ///< payload and headers, by the transport
  uint64_t bytes_received = 0;
  uint64_t payload_sent = 0;  ///< of chunks that left on it, first or again
  uint64_t payload_restriped = 0;  ///< of these, those that others took over
  uint64_t retransmits = 0;        ///< packets, as the transport counts them
  uint64_t failures = 0;  ///< times that a flow was lost or fell silent
  double goodput = 0;     ///< bytes/s of payload it was last seen to do
  double rate_limit = 0;  ///< bytes/s; 0: none
  std::chrono::nanoseconds rtt{0};
  std::chrono::nanoseconds min_rtt{0};
};

/// What a communicator has moved, and how the lines are. One entry per peer
/// process there is a connection to.
struct PeerCounters {
  Rank rank = -1;  ///< the lowest rank of that process
  bool same_site = true;
  size_t flows = 0;
  uint64_t bytes_sent = 0;  ///< payload and headers, by the transport
  uint64_t bytes_received = 0;
  uint64_t payload_sent = 0;  ///< of messages, without what went twice
  uint64_t payload_resent = 0;
  uint64_t retransmits = 0;       ///< packets, as the transport counts them
  uint64_t unexpected_bytes = 0;  ///< had to be stored before their receive
  uint64_t credit_waits = 0;
  uint64_t padding_bytes = 0;  ///< of warming up
  double delivery_rate = 0;    ///< bytes/s
  std::chrono::nanoseconds rtt{0};
  std::chrono::nanoseconds min_rtt{0};
  std::vector<PathCounters> paths;  ///< to other sites only
};

/// What a rank has done with a codec. One entry for each that it may use.
struct CodecCounters {
  CodecSpec codec;
  uint64_t operations = 0;   ///< that were encoded with it
  uint64_t plain_bytes = 0;  ///< of elements that this rank has encoded
  uint64_t coded_bytes = 0;  ///< of their codes
  std::chrono::nanoseconds encode_time{0};
  std::chrono::nanoseconds decode_time{0};  ///< and adding
};

}  // namespace longhaul
