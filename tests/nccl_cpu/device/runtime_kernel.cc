// The CUDA runtime API: kernels, and the way to the driver's functions.
#include <cuda_runtime_api.h>

#include <cstdio>
#include <map>
#include <mutex>
#include <string>

#include "device/handles.h"
#include "kernel/kernel.h"

namespace nccl_cpu {

cudaError_t Launch(CUfunc_st* function, const void* args, size_t bytes,
                   cudaStream_t stream) {
  if (function == nullptr || function->symbol.row_to_id == nullptr ||
      function->symbol.name.find("ncclDevKernel_") == std::string::npos) {
    fprintf(stderr, "nccl_cpu: cannot run kernel %s\n",
            function != nullptr ? function->symbol.name.c_str() : "(null)");
    return Fail(cudaErrorInvalidDeviceFunction);
  }
  Engine::Get().Submit(StreamOf(stream),
                       MakeNcclKernel(args, bytes, function->symbol.row_to_id));
  return cudaSuccess;
}

}  // namespace nccl_cpu

using namespace nccl_cpu;  // NOLINT(google-build-using-namespace): C functions

NCCL_CPU_API cudaError_t cudaGetFuncBySymbol(cudaFunction_t* out,
                                             const void* symbol) {
  static std::mutex mutex;
  static std::map<const void*, CUfunc_st*> known;
  const std::lock_guard lock(mutex);
  CUfunc_st*& function = known[symbol];
  if (function == nullptr) function = new CUfunc_st{KernelSymbolAt(symbol)};
  *out = function;
  return cudaSuccess;
}
NCCL_CPU_API cudaError_t cudaFuncGetAttributes(cudaFuncAttributes* out,
                                               const void*) {
  *out = {};
  out->maxThreadsPerBlock = 1024;
  return cudaSuccess;
}
NCCL_CPU_API cudaError_t cudaFuncSetAttribute(const void*, cudaFuncAttribute,
                                              int) {
  return cudaSuccess;
}
NCCL_CPU_API cudaError_t cudaLaunchKernel(const void* symbol, dim3, dim3,
                                          void**, size_t, cudaStream_t) {
  fprintf(stderr, "nccl_cpu: cannot run kernel %s\n",
          KernelSymbolAt(symbol).name.c_str());
  return Fail(cudaErrorInvalidDeviceFunction);
}
NCCL_CPU_API cudaError_t cudaGetDriverEntryPointByVersion(
    const char* symbol, void** out, unsigned, unsigned long long,
    cudaDriverEntryPointQueryResult* status) {
  *out = DriverFunction(symbol);
  if (status != nullptr) {
    *status = *out != nullptr ? cudaDriverEntryPointSuccess
                              : cudaDriverEntryPointSymbolNotFound;
  }
  return cudaSuccess;
}
