// What a rank of a test job has: its place, its communicator, its stream; and
// the end of a program whose call has failed.
//
// One World per process, used by one thread.
#pragma once

#include <cuda_runtime_api.h>
#include <nccl.h>

#include <string>

namespace nccl_cpu {

struct World {
  int rank = 0;
  int n_ranks = 1;
  bool quiet = false;  ///< say nothing on success
  ncclComm_t comm = nullptr;
  cudaStream_t stream = nullptr;

  int Next() const { return (rank + 1) % n_ranks; }
  int Previous() const { return (rank + n_ranks - 1) % n_ranks; }
};

/// Ends the process with exit code 1, and `what` and `why` on stderr.
[[noreturn]] void Die(const World& world, const std::string& what,
                      const std::string& why);

/// Die unless the call has succeeded; `call` is its text.
void Check(const World& world, cudaError_t result, const char* call);
void Check(const World& world, ncclResult_t result, const char* call);

}  // namespace nccl_cpu

/// Calls CUDA or NCCL. There has to be a `world` in scope.
#define MUST(call) ::nccl_cpu::Check(world, (call), #call)
