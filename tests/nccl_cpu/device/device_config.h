// What the pretended GPUs look like, from the environment:
//
//   NCCL_CPU_DEVICES  GPUs per process, 1 to 16 (1)
//   NCCL_CPU_SM       compute capability times ten (90)
//   NCCL_CPU_GDR      1: the GPUs can do GPU Direct RDMA (0)
//
// Thread-safe; a variable is read once.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <cstdlib>

namespace nccl_cpu {

inline int EnvironmentNumber(const char* name, int fallback) {
  const char* text = getenv(name);
  return text != nullptr && *text != '\0'
             ? static_cast<int>(strtol(text, nullptr, 10))
             : fallback;
}

inline int DeviceCount() {
  static const int count =
      std::clamp(EnvironmentNumber("NCCL_CPU_DEVICES", 1), 1, 16);
  return count;
}

inline int SmVersion() {
  static const int version = EnvironmentNumber("NCCL_CPU_SM", 90);
  return version;
}

/// Lets NCCL give device pointers to plugins that ask for them.
inline bool GpuDirectRdma() {
  static const bool on = EnvironmentNumber("NCCL_CPU_GDR", 0) != 0;
  return on;
}

constexpr int kFirstPciBus = 0xe0;

/// A PCI address that hardly a machine has, so that NCCL finds nothing about it
/// in /sys.
inline void FormatBusId(int device, char* out, size_t size) {
  snprintf(out, size, "0000:%02x:00.0",
           static_cast<unsigned>(kFirstPciBus + device));
}

}  // namespace nccl_cpu
