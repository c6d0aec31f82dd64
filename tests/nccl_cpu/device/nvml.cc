// libnvidia-ml.so.1 with as many GPUs as the CPU device has, and nothing else:
// no NVLink, no fabric. NCCL insists on this library. Codes and enumerators are
// those of NVML's public interface.
#include <strings.h>

#include <cstddef>
#include <cstring>

#include "device/device_config.h"

namespace {

using Device = const char*;

constexpr int kSuccess = 0;
constexpr int kInvalidArgument = 2;
constexpr int kNotSupported = 3;
constexpr int kNotFound = 6;
constexpr int kP2pGpuNotSupported = 2;

constexpr char kDevices[16] = {};  // a handle is the address of its byte

int IndexOf(Device device) {
  const ptrdiff_t index = device - kDevices;
  return index >= 0 && index < nccl_cpu::DeviceCount() ? static_cast<int>(index)
                                                       : -1;
}

// NVML takes domains of 4 and of 8 digits.
const char* ShortDomain(const char* bus_id) {
  return strlen(bus_id) == 16 ? bus_id + 4 : bus_id;
}

}  // namespace

#define NVML_API extern "C" __attribute__((visibility("default")))

NVML_API int nvmlInit() { return kSuccess; }
NVML_API int nvmlInit_v2() { return kSuccess; }
NVML_API int nvmlShutdown() { return kSuccess; }
NVML_API const char* nvmlErrorString(int code) {
  switch (code) {
    case kSuccess:
      return "Success";
    case kInvalidArgument:
      return "Invalid argument";
    case kNotSupported:
      return "Not supported";
    case kNotFound:
      return "Not found";
    default:
      return "Unknown error";
  }
}
NVML_API int nvmlDeviceGetCount(unsigned* count) {
  *count = static_cast<unsigned>(nccl_cpu::DeviceCount());
  return kSuccess;
}
NVML_API int nvmlDeviceGetCount_v2(unsigned* count) {
  return nvmlDeviceGetCount(count);
}
NVML_API int nvmlDeviceGetHandleByIndex(unsigned index, Device* device) {
  if (static_cast<int>(index) >= nccl_cpu::DeviceCount()) {
    return kInvalidArgument;
  }
  *device = kDevices + index;
  return kSuccess;
}
NVML_API int nvmlDeviceGetHandleByPciBusId(const char* bus_id, Device* device) {
  for (int i = 0; i < nccl_cpu::DeviceCount(); ++i) {
    char mine[32];
    nccl_cpu::FormatBusId(i, mine, sizeof mine);
    if (strcasecmp(mine, ShortDomain(bus_id)) == 0) {
      *device = kDevices + i;
      return kSuccess;
    }
  }
  return kNotFound;
}
NVML_API int nvmlDeviceGetIndex(Device device, unsigned* index) {
  if (IndexOf(device) < 0) return kInvalidArgument;
  *index = static_cast<unsigned>(IndexOf(device));
  return kSuccess;
}
NVML_API int nvmlDeviceGetCudaComputeCapability(Device device, int* major,
                                                int* minor) {
  if (IndexOf(device) < 0) return kInvalidArgument;
  *major = nccl_cpu::SmVersion() / 10;
  *minor = nccl_cpu::SmVersion() % 10;
  return kSuccess;
}
NVML_API int nvmlDeviceGetP2PStatus(Device, Device, int, int* status) {
  *status = kP2pGpuNotSupported;
  return kSuccess;
}
NVML_API int nvmlDeviceGetNvLinkState(Device, unsigned, int*) {
  return kNotSupported;
}
NVML_API int nvmlDeviceGetNvLinkRemotePciInfo(Device, unsigned, void*) {
  return kNotSupported;
}
NVML_API int nvmlDeviceGetNvLinkCapability(Device, unsigned, int, unsigned*) {
  return kNotSupported;
}
NVML_API int nvmlDeviceGetFieldValues(Device, int, void*) {
  return kNotSupported;
}
