// What nccl_collectives can check, by name. Every element of every result is
// compared; a case that fails ends the process.
//
// As World: one thread.
#pragma once

#include <cstddef>
#include <span>

#include "programs/world.h"

namespace nccl_cpu {

struct Case {
  const char* name;
  /// `max_count`: elements of the largest vector.
  void (*run)(const World& world, size_t max_count);
  bool by_default = true;
  bool aborts = false;  ///< the communicator is gone afterwards: the last case
};

// collective_cases.cc
void AllReduceCase(const World& world, size_t max_count);
void OperatorsCase(const World& world, size_t max_count);
void TypesCase(const World& world, size_t max_count);
void AllGatherCase(const World& world, size_t max_count);
void ReduceScatterCase(const World& world, size_t max_count);
void BroadcastCase(const World& world, size_t max_count);
void ReduceCase(const World& world, size_t max_count);
void SendRecvCase(const World& world, size_t max_count);
void AllToAllCase(const World& world, size_t max_count);

// life_cases.cc
void MixedCase(const World& world, size_t max_count);
void MultiCase(const World& world, size_t max_count);
void RegisterCase(const World& world, size_t max_count);
void AbortCase(const World& world, size_t max_count);
void FaultCase(const World& world, size_t max_count);

/// In the order in which they run.
inline constexpr Case kCases[] = {
    {"allreduce", AllReduceCase},
    {"ops", OperatorsCase},
    {"types", TypesCase},
    {"allgather", AllGatherCase},
    {"reducescatter", ReduceScatterCase},
    {"broadcast", BroadcastCase},
    {"reduce", ReduceCase},
    {"sendrecv", SendRecvCase},
    {"alltoall", AllToAllCase},
    {"mixed", MixedCase},
    {"multi", MultiCase},
    {"register", RegisterCase},
    {"abort", AbortCase, true, true},
    {"fault", FaultCase, false, true},
};

}  // namespace nccl_cpu
