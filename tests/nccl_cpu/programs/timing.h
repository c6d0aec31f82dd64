// How long one collective takes, for comparing networks.
//
// As World: one thread.
#pragma once

#include <cstdint>
#include <string>

#include "programs/world.h"

namespace nccl_cpu {

struct TimingSettings {
  /// allreduce, allgather, reducescatter, broadcast (from rank 0) or sendrecv
  /// (everybody to the next rank).
  std::string op = "allreduce";
  std::string type = "f32";  ///< f16 bf16 f32 f64 i8 u8 i32 u32 i64 u64
  /// Of the vector: what a rank of an all-reduce has, what an all-gather makes,
  /// what a reduce-scatter starts from, what is sent. Rounded down to whole
  /// elements per rank.
  uint64_t bytes = 64 << 20;
  int iterations = 5;
  int warmup = 1;  ///< iterations before these: NCCL connects on first use
};

/// Empty, or what is wrong with the settings.
std::string FaultOf(const TimingSettings& settings, int n_ranks);

/// Times the collective. An iteration starts behind a barrier and takes as long
/// as its slowest rank; every element of its result is checked, outside of the
/// time. Rank 0 prints one line of JSON: op, type, bytes, ranks, and in seconds
/// median, min, max and each iteration. Dies on a wrong element.
void Time(const World& world, const TimingSettings& settings);

}  // namespace nccl_cpu
