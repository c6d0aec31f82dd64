// How the members of a CollNet group meet, twice: with their cards, and with
// the word that they could make a communicator of them.
//
// Any thread; blocks.
#pragma once

#include <longhaul/status.h>

#include <cstdint>
#include <vector>

#include "collective/process_card.h"
#include "handle.h"
#include "process.h"

namespace longhaul::nccl {

class CollMeeting {
 public:
  /// `first` is the first member's handle: they meet in its process.
  CollMeeting(Process& process, const Handle& first, int rank, int size)
      : process_(process), first_(first), rank_(rank), size_(size) {}

  struct Members {
    uint32_t communicator = 0;       ///< an id, drawn by rank 0
    std::vector<ProcessCard> cards;  ///< by rank
  };
  /// All members' cards. kTimedOut names the ranks that are missing.
  Result<Members> Exchange();
  /// Says what became of it here, and hears it of all others: ok if it is so
  /// everywhere.
  Status Commit(const Status& own);

 private:
  Result<std::vector<std::vector<uint8_t>>> Meet(const char* round,
                                                 std::span<const uint8_t> blob);

  Process& process_;
  const Handle& first_;
  const int rank_;
  const int size_;
};

}  // namespace longhaul::nccl
