// Makes communicators of ranks that have met already, wherever: by
// Communicator::Create at the job's rendezvous, or by NCCL's handles.
//
// Any thread; blocks.
#pragma once

#include <longhaul/communicator.h>
#include <longhaul/options.h>
#include <longhaul/status.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "collective/process_card.h"

namespace longhaul {

class CommunicatorMaker {
 public:
  /// What all ranks know alike, but for `self`.
  struct Members {
    Rank self = 0;
    uint32_t communicator = 0;  ///< an id that no other one has here or there
    Algorithm algorithm = Algorithm::kAuto;
    CodecSpec codec{};
    bool feedback = false;
    std::vector<ProcessCard> cards;  ///< by rank
  };
  /// Opens the connections that are needed, and returns once a barrier has
  /// shown that all ranks are there and the lines between sites are warm.
  /// Faults: as Communicator::Create.
  static Result<std::unique_ptr<Communicator>> Make(Context::Impl& context,
                                                    Members members);
};

}  // namespace longhaul
