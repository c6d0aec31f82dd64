// A launch of one of NCCL's kernels: its argument block is decoded, and each
// channel's batches of work run as a fiber.
//
// As any Op: made by one thread, polled by the device's.
#pragma once

#include <cstddef>
#include <memory>

#include "device/engine.h"

namespace nccl_cpu {

/// Copies the arguments, `bytes` long. `row_to_id` is libnccl's table
/// ncclDevFuncRowToId.
std::unique_ptr<Op> MakeNcclKernel(const void* args, size_t bytes,
                                   const int* row_to_id);

}  // namespace nccl_cpu
