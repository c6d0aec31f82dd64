// ncclTunerPlugin_v4, which NCCL 2.24 to 2.27 load. No communicator id.
//
// A table of functions.
#pragma once

#include <cstddef>
#include <cstdint>

#include "abi/common.h"

namespace longhaul::nccl::abi {

struct TunerV4 {
  const char* name;
  ResultCode (*init)(size_t ranks, size_t nodes, LogFn log,
                     void** context) noexcept;
  ResultCode (*get_coll_info)(void* context, FuncCode function, size_t bytes,
                              int pipelined, float** costs, int algorithms,
                              int protocols, int registered,
                              int* channels) noexcept;
  ResultCode (*destroy)(void* context) noexcept;
};
static_assert(offsetof(TunerV4, init) == 8);
static_assert(offsetof(TunerV4, get_coll_info) == 16);
static_assert(offsetof(TunerV4, destroy) == 24);
static_assert(sizeof(TunerV4) == 32);

}  // namespace longhaul::nccl::abi
