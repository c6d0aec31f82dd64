// The CUDA runtime API: versions, devices, errors. As all of the runtime_*.cc:
// the part that NCCL 2.28 and simple programs use, with the signatures of CUDA
// 13.0. Every function is exported under its own name: programs that link
// libcudart dynamically reach it by LD_PRELOAD, copies that are linked
// statically by redirect.cc.
#include <strings.h>

#include <cstdio>
#include <cstring>

#include "device/device_config.h"
#include "device/handles.h"

namespace nccl_cpu {
namespace {

thread_local cudaError_t last_error = cudaSuccess;
thread_local int current_device = 0;

bool IsDevice(int device) { return device >= 0 && device < DeviceCount(); }

}  // namespace

cudaError_t Fail(cudaError_t error) {
  if (error != cudaSuccess && error != cudaErrorNotReady) last_error = error;
  return error;
}

cudaError_t NotImplemented(const char* what) {
  fprintf(stderr, "nccl_cpu: %s is not implemented\n", what);
  return Fail(cudaErrorNotSupported);
}

int CurrentDevice() { return current_device; }

}  // namespace nccl_cpu

using namespace nccl_cpu;  // NOLINT(google-build-using-namespace): C functions

NCCL_CPU_API cudaError_t cudaDriverGetVersion(int* version) {
  *version = CUDART_VERSION;
  return cudaSuccess;
}
NCCL_CPU_API cudaError_t cudaRuntimeGetVersion(int* version) {
  *version = CUDART_VERSION;
  return cudaSuccess;
}
NCCL_CPU_API cudaError_t cudaGetDeviceCount(int* count) {
  *count = DeviceCount();
  return cudaSuccess;
}
NCCL_CPU_API cudaError_t cudaGetDevice(int* device) {
  *device = current_device;
  return cudaSuccess;
}
NCCL_CPU_API cudaError_t cudaSetDevice(int device) {
  if (!IsDevice(device)) return Fail(cudaErrorInvalidDevice);
  current_device = device;
  return cudaSuccess;
}
NCCL_CPU_API cudaError_t cudaDeviceReset() {
  Engine::Get().SynchronizeAll();
  return cudaSuccess;
}
NCCL_CPU_API cudaError_t cudaDeviceSynchronize() {
  Engine::Get().SynchronizeAll();
  return cudaSuccess;
}
NCCL_CPU_API cudaError_t cudaDeviceSetLimit(cudaLimit, size_t) {
  return cudaSuccess;
}
NCCL_CPU_API cudaError_t cudaDeviceCanAccessPeer(int* can, int, int) {
  *can = 0;
  return cudaSuccess;
}
NCCL_CPU_API cudaError_t cudaDeviceEnablePeerAccess(int, unsigned) {
  return Fail(cudaErrorPeerAccessUnsupported);
}
NCCL_CPU_API cudaError_t cudaDeviceGetStreamPriorityRange(int* least,
                                                          int* greatest) {
  *least = *greatest = 0;
  return cudaSuccess;
}

NCCL_CPU_API cudaError_t cudaDeviceGetPCIBusId(char* out, int length,
                                               int device) {
  if (!IsDevice(device)) return Fail(cudaErrorInvalidDevice);
  FormatBusId(device, out, static_cast<size_t>(length));
  return cudaSuccess;
}

NCCL_CPU_API cudaError_t cudaDeviceGetByPCIBusId(int* device,
                                                 const char* bus_id) {
  for (int i = 0; i < DeviceCount(); ++i) {
    char mine[32];
    FormatBusId(i, mine, sizeof mine);
    if (strcasecmp(mine, bus_id) == 0) {
      *device = i;
      return cudaSuccess;
    }
  }
  return Fail(cudaErrorInvalidDevice);
}

NCCL_CPU_API cudaError_t cudaGetDeviceProperties(cudaDeviceProp* out,
                                                 int device) {
  if (!IsDevice(device)) return Fail(cudaErrorInvalidDevice);
  *out = {};
  snprintf(out->name, sizeof out->name, "CPU pretending to be a GPU");
  out->uuid.bytes[0] = static_cast<char>(device + 1);
  out->totalGlobalMem = size_t{16} << 30;
  out->sharedMemPerBlock = 48 << 10;
  out->sharedMemPerBlockOptin = 227 << 10;
  out->sharedMemPerMultiprocessor = 228 << 10;
  out->regsPerBlock = out->regsPerMultiprocessor = 65536;
  out->warpSize = 32;
  out->maxThreadsPerBlock = 1024;
  out->maxThreadsDim[0] = out->maxThreadsDim[1] = 1024;
  out->maxThreadsDim[2] = 64;
  out->maxGridSize[0] = 0x7fffffff;
  out->maxGridSize[1] = out->maxGridSize[2] = 65535;
  out->major = SmVersion() / 10;
  out->minor = SmVersion() % 10;
  out->multiProcessorCount = 32;
  out->maxThreadsPerMultiProcessor = 2048;
  out->canMapHostMemory = out->unifiedAddressing = 1;
  out->concurrentKernels = out->managedMemory = 1;
  out->asyncEngineCount = 1;
  out->memoryPoolsSupported = 1;
  out->gpuDirectRDMASupported = GpuDirectRdma() ? 1 : 0;
  out->hostNumaId = -1;
  out->pciBusID = kFirstPciBus + device;
  return cudaSuccess;
}

NCCL_CPU_API cudaError_t cudaDeviceGetAttribute(int* value,
                                                cudaDeviceAttr which,
                                                int device) {
  cudaDeviceProp all;
  const cudaError_t error = cudaGetDeviceProperties(&all, device);
  if (error != cudaSuccess) return error;
  switch (which) {
    case cudaDevAttrComputeCapabilityMajor:
      *value = all.major;
      break;
    case cudaDevAttrComputeCapabilityMinor:
      *value = all.minor;
      break;
    case cudaDevAttrMaxSharedMemoryPerBlock:
      *value = static_cast<int>(all.sharedMemPerBlock);
      break;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin:
      *value = static_cast<int>(all.sharedMemPerBlockOptin);
      break;
    case cudaDevAttrMultiProcessorCount:
      *value = all.multiProcessorCount;
      break;
    case cudaDevAttrWarpSize:
      *value = all.warpSize;
      break;
    case cudaDevAttrMaxThreadsPerBlock:
      *value = all.maxThreadsPerBlock;
      break;
    case cudaDevAttrUnifiedAddressing:
    case cudaDevAttrMemoryPoolsSupported:
      *value = 1;
      break;
    case cudaDevAttrGPUDirectRDMASupported:
      *value = all.gpuDirectRDMASupported;
      break;
    case cudaDevAttrPciBusId:
      *value = all.pciBusID;
      break;
    default:
      *value = 0;
      break;
  }
  return cudaSuccess;
}

NCCL_CPU_API cudaError_t cudaGetLastError() {
  const cudaError_t error = last_error;
  last_error = cudaSuccess;
  return error;
}
NCCL_CPU_API cudaError_t cudaPeekAtLastError() { return last_error; }
NCCL_CPU_API const char* cudaGetErrorString(cudaError_t error) {
  switch (error) {
    case cudaSuccess:
      return "no error";
    case cudaErrorInvalidValue:
      return "invalid argument";
    case cudaErrorMemoryAllocation:
      return "out of memory";
    case cudaErrorInvalidDevice:
      return "invalid device ordinal";
    case cudaErrorNotReady:
      return "device not ready";
    case cudaErrorInvalidDeviceFunction:
      return "invalid device function";
    case cudaErrorNotSupported:
      return "operation not supported by nccl_cpu";
    case cudaErrorPeerAccessUnsupported:
      return "peer access is not supported between these two devices";
    default:
      return "CUDA error (nccl_cpu)";
  }
}
NCCL_CPU_API const char* cudaGetErrorName(cudaError_t error) {
  return cudaGetErrorString(error);
}
