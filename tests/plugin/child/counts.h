// What the child plugin for tests (net.h) counts, for a test in the same
// process to look up by kCountsSymbol.
//
// Any thread.
#pragma once

#include <atomic>
#include <cstdint>

namespace longhaul::child {

inline constexpr const char* kCountsSymbol = "child_net_counts";

struct Counts {
  std::atomic<int> inits{0};
  std::atomic<int> finalizes{0};
  std::atomic<uint64_t> comm_id{0};  ///< of the latest init
  std::atomic<int> listeners{0};     ///< open now
  std::atomic<int> comms{0};         ///< open now
  std::atomic<int> accepts{0};       ///< calls
  std::atomic<int> sends{0};         ///< messages taken
  std::atomic<int> recvs{0};
  std::atomic<int> refusals{0};  ///< null requests
  std::atomic<int> hints{0};     ///< receives whose completion is optional
  std::atomic<int> flushes{0};
  std::atomic<int> registered{0};  ///< pieces of memory, now
  std::atomic<int> mr_uses{0};     ///< messages with a piece that holds them
};

}  // namespace longhaul::child
