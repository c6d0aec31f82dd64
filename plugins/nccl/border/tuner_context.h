// What the four versions of the tuner's table share: a Tuner as NCCL's opaque
// context. Nothing here fails: NCCL takes an error for a broken collective, so
// whatever goes wrong leaves NCCL's own choice standing, and is logged.
//
// Any thread.
#pragma once

#include <cstddef>
#include <cstdint>

#include "abi/common.h"

namespace longhaul::nccl {

/// What NCCL shows as the tuner's name.
inline constexpr const char* kTunerName = "Longhaul";

/// *context becomes a tuner for FreeTuner(), or null: no opinion. Reads the
/// environment (LONGHAUL_TOPOLOGY). `comm_id` 0: none.
abi::ResultCode MakeTuner(uint64_t comm_id, size_t ranks, size_t nodes,
                          abi::LogFn log, void** context) noexcept;
abi::ResultCode FreeTuner(void* context) noexcept;

/// get_coll_info(), of any version.
abi::ResultCode PriceWith(void* context, abi::FuncCode function, float** costs,
                          int algorithms, int protocols,
                          int* channels) noexcept;

}  // namespace longhaul::nccl
