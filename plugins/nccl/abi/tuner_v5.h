// ncclTunerPlugin_v5, which NCCL 2.28 and 2.29 load. As v6, without
// get_chunk_size.
//
// A table of functions.
#pragma once

#include <cstddef>
#include <cstdint>

#include "abi/common.h"
#include "abi/tuner_constants.h"

namespace longhaul::nccl::abi {

struct TunerV5 {
  const char* name;
  ResultCode (*init)(void** context, uint64_t comm_id, size_t ranks,
                     size_t nodes, LogFn log, NvlDomains* domains,
                     TunerConstants* constants) noexcept;
  ResultCode (*get_coll_info)(void* context, FuncCode function, size_t bytes,
                              int pipelined, float** costs, int algorithms,
                              int protocols, int registered,
                              int* channels) noexcept;
  ResultCode (*finalize)(void* context) noexcept;
};
static_assert(offsetof(TunerV5, init) == 8);
static_assert(offsetof(TunerV5, get_coll_info) == 16);
static_assert(offsetof(TunerV5, finalize) == 24);
static_assert(sizeof(TunerV5) == 32);

}  // namespace longhaul::nccl::abi
