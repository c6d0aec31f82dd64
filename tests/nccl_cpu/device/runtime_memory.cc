// The CUDA runtime API: memory and copies.
#include <cuda_runtime_api.h>

#include <cstring>
#include <memory>
#include <vector>

#include "device/handles.h"
#include "device/memory.h"

using namespace nccl_cpu;  // NOLINT(google-build-using-namespace): C functions

NCCL_CPU_API cudaError_t cudaMalloc(void** out, size_t size) {
  *out = Allocate(size, MemoryKind::kDevice, CurrentDevice());
  return *out != nullptr ? cudaSuccess : Fail(cudaErrorMemoryAllocation);
}
NCCL_CPU_API cudaError_t cudaFree(void* pointer) {
  if (pointer == nullptr) return cudaSuccess;
  if (Lookup(pointer).base != pointer) return Fail(cudaErrorInvalidValue);
  // CUDA would wait for kernels that still use it.
  Engine::Get().WhenQuiet([pointer] { Release(pointer); });
  return cudaSuccess;
}
NCCL_CPU_API cudaError_t cudaHostAlloc(void** out, size_t size, unsigned) {
  *out = Allocate(size, MemoryKind::kHost, CurrentDevice());
  return *out != nullptr ? cudaSuccess : Fail(cudaErrorMemoryAllocation);
}
NCCL_CPU_API cudaError_t cudaMallocHost(void** out, size_t size) {
  return cudaHostAlloc(out, size, 0);
}
NCCL_CPU_API cudaError_t cudaFreeHost(void* pointer) {
  return cudaFree(pointer);
}
NCCL_CPU_API cudaError_t cudaHostRegister(void* base, size_t size, unsigned) {
  return Adopt(base, size, CurrentDevice())
             ? cudaSuccess
             : Fail(cudaErrorHostMemoryAlreadyRegistered);
}
NCCL_CPU_API cudaError_t cudaHostUnregister(void* base) {
  return Disown(base) ? cudaSuccess : Fail(cudaErrorHostMemoryNotRegistered);
}
NCCL_CPU_API cudaError_t cudaHostGetDevicePointer(void** device, void* host,
                                                  unsigned) {
  *device = host;
  return cudaSuccess;
}
NCCL_CPU_API cudaError_t cudaMemGetInfo(size_t* free, size_t* total) {
  *total = size_t{16} << 30;
  *free = *total / 2;
  return cudaSuccess;
}

NCCL_CPU_API cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* out,
                                                  const void* pointer) {
  const MemoryInfo info = Lookup(pointer);
  auto* address = const_cast<void*>(pointer);
  *out = {};
  if (info.kind == MemoryKind::kUnknown) {
    out->type = cudaMemoryTypeUnregistered;
    out->device = -2;
    out->hostPointer = address;
    return cudaSuccess;
  }
  const bool host = info.kind == MemoryKind::kHost;
  out->type = host ? cudaMemoryTypeHost : cudaMemoryTypeDevice;
  out->device = info.device;
  out->devicePointer = address;
  out->hostPointer = host ? address : nullptr;
  return cudaSuccess;
}

NCCL_CPU_API cudaError_t cudaMemcpyAsync(void* target, const void* source,
                                         size_t size, cudaMemcpyKind,
                                         cudaStream_t handle) {
  if (size == 0) return cudaSuccess;
  const StreamPtr stream = StreamOf(handle);
  Engine& engine = Engine::Get();
  // Pageable memory is CUDA's special case: a source is staged before the call
  // returns, a target is complete when it returns.
  if (Lookup(source).kind == MemoryKind::kUnknown) {
    const auto* bytes = static_cast<const char*>(source);
    engine.Submit(stream, [target, staged = std::make_shared<std::vector<char>>(
                                       bytes, bytes + size)] {
      memcpy(target, staged->data(), staged->size());
    });
  } else {
    engine.Submit(stream,
                  [target, source, size] { memmove(target, source, size); });
  }
  if (Lookup(target).kind == MemoryKind::kUnknown) engine.Synchronize(stream);
  return cudaSuccess;
}
NCCL_CPU_API cudaError_t cudaMemcpy(void* target, const void* source,
                                    size_t size, cudaMemcpyKind kind) {
  const cudaError_t error =
      cudaMemcpyAsync(target, source, size, kind, nullptr);
  Engine::Get().Synchronize(Engine::Get().DefaultStream());
  return error;
}
NCCL_CPU_API cudaError_t cudaMemsetAsync(void* target, int value, size_t size,
                                         cudaStream_t stream) {
  Engine::Get().Submit(StreamOf(stream),
                       [target, value, size] { memset(target, value, size); });
  return cudaSuccess;
}
NCCL_CPU_API cudaError_t cudaMemset(void* target, int value, size_t size) {
  const cudaError_t error = cudaMemsetAsync(target, value, size, nullptr);
  Engine::Get().Synchronize(Engine::Get().DefaultStream());
  return error;
}
NCCL_CPU_API cudaError_t cudaMemcpyBatchAsync(void* const* targets,
                                              const void* const* sources,
                                              const size_t* sizes, size_t count,
                                              cudaMemcpyAttributes*, size_t*,
                                              size_t, cudaStream_t stream) {
  for (size_t i = 0; i < count; ++i) {
    cudaMemcpyAsync(targets[i], sources[i], sizes[i], cudaMemcpyDefault,
                    stream);
  }
  return cudaSuccess;
}

NCCL_CPU_API cudaError_t cudaMemPoolCreate(cudaMemPool_t* pool,
                                           const cudaMemPoolProps*) {
  *pool = new CUmemPoolHandle_st;
  return cudaSuccess;
}
NCCL_CPU_API cudaError_t cudaMemPoolDestroy(cudaMemPool_t pool) {
  delete pool;
  return cudaSuccess;
}
NCCL_CPU_API cudaError_t cudaMemPoolSetAttribute(cudaMemPool_t, cudaMemPoolAttr,
                                                 void*) {
  return cudaSuccess;
}
NCCL_CPU_API cudaError_t cudaMallocFromPoolAsync(void** out, size_t size,
                                                 cudaMemPool_t, cudaStream_t) {
  return cudaMalloc(out, size);
}
NCCL_CPU_API cudaError_t cudaMallocAsync(void** out, size_t size,
                                         cudaStream_t) {
  return cudaMalloc(out, size);
}
NCCL_CPU_API cudaError_t cudaFreeAsync(void* pointer, cudaStream_t stream) {
  Engine::Get().Submit(StreamOf(stream), [pointer] { Release(pointer); });
  return cudaSuccess;
}

// Device memory is never shared between processes: set NCCL_P2P_DISABLE=1.
NCCL_CPU_API cudaError_t cudaIpcGetMemHandle(cudaIpcMemHandle_t*, void*) {
  return NotImplemented("cudaIpcGetMemHandle");
}
NCCL_CPU_API cudaError_t cudaIpcOpenMemHandle(void**, cudaIpcMemHandle_t,
                                              unsigned) {
  return NotImplemented("cudaIpcOpenMemHandle");
}
NCCL_CPU_API cudaError_t cudaIpcCloseMemHandle(void*) {
  return NotImplemented("cudaIpcCloseMemHandle");
}
