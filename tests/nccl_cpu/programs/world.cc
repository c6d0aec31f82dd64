#include "programs/world.h"

#include <unistd.h>

#include <cstdio>

namespace nccl_cpu {

void Die(const World& world, const std::string& what, const std::string& why) {
  fprintf(stderr, "rank %d: %s: %s\n", world.rank, what.c_str(), why.c_str());
  fflush(nullptr);
  _exit(1);  // NCCL's threads may be anywhere
}

void Check(const World& world, cudaError_t result, const char* call) {
  if (result != cudaSuccess) Die(world, call, cudaGetErrorString(result));
}

void Check(const World& world, ncclResult_t result, const char* call) {
  if (result != ncclSuccess) Die(world, call, ncclGetErrorString(result));
}

}  // namespace nccl_cpu
