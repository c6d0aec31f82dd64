// The command line of nccl_collectives.
//
// Plain data; ReadSettings is for the start of main().
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "programs/timing.h"

namespace nccl_cpu {

struct Settings {
  int ranks = 2;                   ///< of the job
  int rank = -1;                   ///< this process's; -1: fork all of them
  int per_node = 1;                ///< GPUs, and ranks, of a node
  std::vector<std::string> cases;  ///< empty: those that run by default
  int iterations = 1;
  size_t max_count = 1'000'003;  ///< elements of the largest vector
  int timeout = 120;             ///< seconds, where the ranks are forked
  bool quiet = false;
  bool time = false;  ///< time a collective instead of running cases
  TimingSettings timing;
};

/// Prints usage and ends the process on --help, 0, and on mistakes, 2.
Settings ReadSettings(int argc, char** argv);

}  // namespace nccl_cpu
