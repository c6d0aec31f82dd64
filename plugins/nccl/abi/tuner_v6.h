// ncclTunerPlugin_v6, which NCCL 2.30 and later load. The plugin itself
// implements this one.
//
// A table of functions.
#pragma once

#include <cstddef>
#include <cstdint>

#include "abi/common.h"
#include "abi/tuner_constants.h"

namespace longhaul::nccl::abi {

struct TunerV6 {
  const char* name;
  /// Once per communicator and rank.
  ResultCode (*init)(void** context, uint64_t comm_id, size_t ranks,
                     size_t nodes, LogFn log, NvlDomains* domains,
                     TunerConstants* constants) noexcept;
  /// `costs` is in truth float[algorithms][protocols], in microseconds; -1 is
  /// "not available" and must stay. The lowest cost is taken. *channels 0: NCCL
  /// decides. Anything but kSuccess fails the collective.
  ResultCode (*get_coll_info)(void* context, FuncCode function, size_t bytes,
                              int pipelined, float** costs, int algorithms,
                              int protocols, int registered,
                              int* channels) noexcept;
  ResultCode (*finalize)(void* context) noexcept;
  /// *chunk_bytes is NCCL's choice and may be changed; NCCL clamps the result.
  ResultCode (*get_chunk_size)(void* context, FuncCode function, size_t bytes,
                               int algorithm, int protocol, int channels,
                               size_t* chunk_bytes) noexcept;
};
static_assert(offsetof(TunerV6, init) == 8);
static_assert(offsetof(TunerV6, get_coll_info) == 16);
static_assert(offsetof(TunerV6, finalize) == 24);
static_assert(offsetof(TunerV6, get_chunk_size) == 32);
static_assert(sizeof(TunerV6) == 40);

}  // namespace longhaul::nccl::abi
