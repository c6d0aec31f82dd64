// "Device" memory: ordinary anonymous pages, remembered so that pointers can be
// classified.
//
// Thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>

namespace nccl_cpu {

enum class MemoryKind : uint8_t { kUnknown, kDevice, kHost };

struct MemoryInfo {
  MemoryKind kind = MemoryKind::kUnknown;
  char* base = nullptr;
  size_t size = 0;
  int device = 0;
};

/// Page aligned and zeroed; null when out of memory.
void* Allocate(size_t size, MemoryKind kind, int device);
/// False when `base` is not the start of an allocation.
bool Release(void* base);
/// Host memory that others have allocated: cudaHostRegister. False when it is
/// known already.
bool Adopt(void* base, size_t size, int device);
/// False when `base` was not adopted.
bool Disown(void* base);
/// The allocation that `pointer` points into; kUnknown when there is none.
MemoryInfo Lookup(const void* pointer);

}  // namespace nccl_cpu
