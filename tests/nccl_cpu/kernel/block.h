// One block of a kernel's grid: what its groups of warps share; and the atomic
// access to the counters by which blocks and NCCL's proxy threads know of each
// other.
//
// A block belongs to the device's thread (engine.h).
#pragma once

#include <cstdint>
#include <string>

#include "kernel/nccl_abi.h"

namespace nccl_cpu {

struct Block {
  nccl_abi::Comm* comm;
  nccl_abi::Channel* channel;
  int channel_id;

  bool aborted() const {
    return __atomic_load_n(comm->abort_flag, __ATOMIC_RELAXED) != 0;
  }
};

/// Ends the process, naming what NCCL asked for and this device cannot do.
[[noreturn]] void Unsupported(const std::string& what);

inline uint64_t LoadCounter(const uint64_t* counter) {
  return __atomic_load_n(counter, __ATOMIC_ACQUIRE);
}
inline void StoreCounter(uint64_t* counter, uint64_t value) {
  __atomic_store_n(counter, value, __ATOMIC_RELEASE);
}

template <typename T>
constexpr T DivideUp(T a, T b) {
  return (a + b - 1) / b;
}
template <typename T>
constexpr T RoundUp(T a, T b) {
  return DivideUp(a, b) * b;
}

}  // namespace nccl_cpu
