// ncclTunerPlugin_v3, which NCCL 2.22 and 2.23 load. As v4, without
// `registered`.
//
// A table of functions.
#pragma once

#include <cstddef>
#include <cstdint>

#include "abi/common.h"

namespace longhaul::nccl::abi {

struct TunerV3 {
  const char* name;
  ResultCode (*init)(size_t ranks, size_t nodes, LogFn log,
                     void** context) noexcept;
  ResultCode (*get_coll_info)(void* context, FuncCode function, size_t bytes,
                              int pipelined, float** costs, int algorithms,
                              int protocols, int* channels) noexcept;
  ResultCode (*destroy)(void* context) noexcept;
};
static_assert(offsetof(TunerV3, init) == 8);
static_assert(offsetof(TunerV3, get_coll_info) == 16);
static_assert(offsetof(TunerV3, destroy) == 24);
static_assert(sizeof(TunerV3) == 32);

}  // namespace longhaul::nccl::abi
