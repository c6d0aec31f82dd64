// What CUDA's opaque handles point to, and what the sources of the API share.
//
// Thread-safe, as CUDA is; errors and the current device are per thread.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>

#include "device/engine.h"
#include "device/redirect.h"

struct CUstream_st {
  nccl_cpu::StreamPtr stream;
};
struct CUevent_st {
  nccl_cpu::EventPtr event;
};
struct CUfunc_st {
  nccl_cpu::KernelSymbol symbol;
};
struct CUmemPoolHandle_st {};

/// Before every function that stands in for one of CUDA's.
#define NCCL_CPU_API extern "C" __attribute__((visibility("default")))

namespace nccl_cpu {

/// Notes an error for cudaGetLastError, and returns it.
cudaError_t Fail(cudaError_t error);
/// Says so on stderr.
cudaError_t NotImplemented(const char* what);

StreamPtr StreamOf(cudaStream_t stream);
cudaError_t Launch(CUfunc_st* function, const void* args, size_t bytes,
                   cudaStream_t stream);
int CurrentDevice();

/// The stand-in for a function of the driver API; null when there is none.
void* DriverFunction(const char* name);

}  // namespace nccl_cpu
