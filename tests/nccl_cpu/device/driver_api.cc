// The few functions of the driver API that NCCL asks the runtime for
// (cudaGetDriverEntryPointByVersion). cuMem*, multicast and stream memory
// operations are absent on purpose: NCCL then does without them.
#include <cuda.h>

#include <cstdint>
#include <string>
#include <unordered_map>

#include "device/handles.h"
#include "device/memory.h"

namespace nccl_cpu {
namespace {

CUcontext ContextOf(int device) {
  return reinterpret_cast<CUcontext>(static_cast<uintptr_t>(0x1000 + device));
}

CUresult GetErrorString(CUresult error, const char** out) {
  *out = error == CUDA_SUCCESS ? "no error" : "driver error (nccl_cpu)";
  return CUDA_SUCCESS;
}
CUresult DeviceGet(CUdevice* device, int ordinal) {
  *device = ordinal;
  return CUDA_SUCCESS;
}
CUresult DeviceGetAttribute(int* value, CUdevice_attribute, CUdevice) {
  *value = 0;
  return CUDA_SUCCESS;
}

CUresult MemGetAddressRange(CUdeviceptr* base, size_t* size,
                            CUdeviceptr pointer) {
  const MemoryInfo info = Lookup(reinterpret_cast<void*>(pointer));
  if (info.kind == MemoryKind::kUnknown) return CUDA_ERROR_NOT_FOUND;
  if (base != nullptr) *base = reinterpret_cast<CUdeviceptr>(info.base);
  if (size != nullptr) *size = info.size;
  return CUDA_SUCCESS;
}

CUresult PointerGetAttribute(void* out, CUpointer_attribute which,
                             CUdeviceptr pointer) {
  const MemoryInfo info = Lookup(reinterpret_cast<void*>(pointer));
  if (info.kind == MemoryKind::kUnknown) return CUDA_ERROR_INVALID_VALUE;
  switch (which) {
    case CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL:
      *static_cast<int*>(out) = info.device;
      return CUDA_SUCCESS;
    case CU_POINTER_ATTRIBUTE_MEMORY_TYPE:
      *static_cast<unsigned*>(out) = info.kind == MemoryKind::kDevice
                                         ? CU_MEMORYTYPE_DEVICE
                                         : CU_MEMORYTYPE_HOST;
      return CUDA_SUCCESS;
    default:
      return CUDA_ERROR_NOT_SUPPORTED;
  }
}

CUresult CtxCreate(CUcontext* context, CUexecAffinityParam*, int, unsigned,
                   CUdevice device) {
  *context = ContextOf(device);
  return CUDA_SUCCESS;
}
CUresult CtxDestroy(CUcontext) { return CUDA_SUCCESS; }
CUresult CtxGetCurrent(CUcontext* context) {
  *context = ContextOf(CurrentDevice());
  return CUDA_SUCCESS;
}
CUresult CtxSetCurrent(CUcontext) { return CUDA_SUCCESS; }
CUresult CtxGetDevice(CUdevice* device) {
  *device = CurrentDevice();
  return CUDA_SUCCESS;
}

struct ArgumentBlock {
  const void* data = nullptr;
  size_t size = 0;
};

// The argument block in the "extra" list of a launch; no data if the list says
// anything else.
ArgumentBlock FindArguments(void** extra) {
  ArgumentBlock block;
  for (; extra != nullptr && *extra != CU_LAUNCH_PARAM_END; extra += 2) {
    if (*extra == CU_LAUNCH_PARAM_BUFFER_POINTER) {
      block.data = extra[1];
    } else if (*extra == CU_LAUNCH_PARAM_BUFFER_SIZE) {
      block.size = *static_cast<size_t*>(extra[1]);
    } else {
      return {};
    }
  }
  return block;
}

CUresult LaunchKernel(CUfunction function, unsigned, unsigned, unsigned,
                      unsigned, unsigned, unsigned, unsigned, CUstream stream,
                      void** params, void** extra) {
  const ArgumentBlock block = FindArguments(extra);
  if (params != nullptr || block.data == nullptr) {
    return CUDA_ERROR_NOT_SUPPORTED;
  }
  return Launch(function, block.data, block.size, stream) == cudaSuccess
             ? CUDA_SUCCESS
             : CUDA_ERROR_INVALID_IMAGE;
}

CUresult LaunchKernelEx(const CUlaunchConfig* config, CUfunction function,
                        void** params, void** extra) {
  for (unsigned i = 0; i < config->numAttrs; ++i) {
    const CUlaunchAttribute& attribute = config->attrs[i];
    if (attribute.id != CU_LAUNCH_ATTRIBUTE_LAUNCH_COMPLETION_EVENT) continue;
    Engine::Get().Record(attribute.value.launchCompletionEvent.event->event,
                         StreamOf(config->hStream));
  }
  return LaunchKernel(function, 0, 0, 0, 0, 0, 0, 0, config->hStream, params,
                      extra);
}

template <typename Function>
void* AddressOf(Function* function) {
  return reinterpret_cast<void*>(function);
}

}  // namespace

void* DriverFunction(const char* name) {
  static const std::unordered_map<std::string, void*> table = {
      {"cuGetErrorString", AddressOf(GetErrorString)},
      {"cuGetErrorName", AddressOf(GetErrorString)},
      {"cuDeviceGet", AddressOf(DeviceGet)},
      {"cuDeviceGetAttribute", AddressOf(DeviceGetAttribute)},
      {"cuMemGetAddressRange", AddressOf(MemGetAddressRange)},
      {"cuPointerGetAttribute", AddressOf(PointerGetAttribute)},
      {"cuCtxCreate", AddressOf(CtxCreate)},
      {"cuCtxDestroy", AddressOf(CtxDestroy)},
      {"cuCtxGetCurrent", AddressOf(CtxGetCurrent)},
      {"cuCtxSetCurrent", AddressOf(CtxSetCurrent)},
      {"cuCtxGetDevice", AddressOf(CtxGetDevice)},
      {"cuLaunchKernel", AddressOf(LaunchKernel)},
      {"cuLaunchKernelEx", AddressOf(LaunchKernelEx)},
  };
  const auto found = table.find(name);
  return found == table.end() ? nullptr : found->second;
}

}  // namespace nccl_cpu
