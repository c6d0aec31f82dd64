// Memory a caller lends: where it is, how long it is, what kind it is.
//
// A view, never an owner: lent from the call that takes it until the request
// it belongs to is done. Plain values; thread-compatible.
#pragma once

#include <cstddef>
#include <cstdint>

namespace longhaul {

/// Where the bytes live. Only host memory is served so far; any other kind is
/// answered with kUnsupported.
enum class MemoryKind : uint8_t { kHost = 0, kCuda = 1 };

/// `size` writable bytes at `data`.
struct Buffer {
  void* data = nullptr;
  size_t size = 0;
  MemoryKind kind = MemoryKind::kHost;
  int16_t device = -1;  ///< ordinal of the GPU; -1 for host memory
};

/// `size` readable bytes at `data`.
struct ConstBuffer {
  constexpr ConstBuffer() = default;
  constexpr ConstBuffer(const void* data_in, size_t size_in,
                        MemoryKind kind_in = MemoryKind::kHost,
                        int16_t device_in = -1)
      : data(data_in), size(size_in), kind(kind_in), device(device_in) {}
  // NOLINTNEXTLINE(google-explicit-constructor): what is writable is readable
  constexpr ConstBuffer(const Buffer& b)
      : data(b.data), size(b.size), kind(b.kind), device(b.device) {}

  const void* data = nullptr;
  size_t size = 0;
  MemoryKind kind = MemoryKind::kHost;
  int16_t device = -1;
};

}  // namespace longhaul
