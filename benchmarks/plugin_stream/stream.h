// One connection of the plugin's network, measured between two ranks: how fast
// NCCL's window streams over it, and how long a small message takes.
//
// One call per process.
#pragma once

#include <longhaul/status.h>

#include <cstdint>
#include <string>
#include <vector>

namespace longhaul::bench {

struct StreamSettings {
  std::string plugin = LONGHAUL_PLUGIN_PATH;
  int version = 12;
  uint64_t slot_bytes = uint64_t{512} << 10;  ///< of a message; 8 in flight
  uint64_t total_bytes = uint64_t{64} << 20;  ///< per iteration
  int iterations = 5;
  int warm_up = 1;
  int pings = 100;
  uint64_t ping_bytes = 64;
};

/// The same on both ranks.
struct StreamResult {
  /// Per iteration: seconds from the common start to the last byte's arrival.
  std::vector<double> seconds;
  /// Per iteration: bytes/s from the first message's arrival to the last's.
  std::vector<double> steady;
  /// Per ping: seconds, half of there and back.
  std::vector<double> half_round_trips;
};

/// Rank 0 sends, rank 1 receives; two ranks, by LONGHAUL_RANK and its like.
/// Sizes are positive.
Result<StreamResult> MeasureStream(const StreamSettings& settings, int* rank);

}  // namespace longhaul::bench
