// Little-endian integers in byte buffers, wherever they lie.
//
// Pure functions; any thread.
#pragma once

#include <bit>
#include <concepts>
#include <cstdint>
#include <cstring>

namespace longhaul {

template <std::unsigned_integral T>
void StoreLittle(uint8_t* out, T value) {
  if constexpr (std::endian::native == std::endian::little) {
    std::memcpy(out, &value, sizeof value);
  } else {
    for (size_t i = 0; i < sizeof value; ++i) {
      out[i] = static_cast<uint8_t>(value >> (8 * i));
    }
  }
}

template <std::unsigned_integral T>
T LoadLittle(const uint8_t* in) {
  T value = 0;
  if constexpr (std::endian::native == std::endian::little) {
    std::memcpy(&value, in, sizeof value);
  } else {
    for (size_t i = 0; i < sizeof value; ++i) {
      value = static_cast<T>(value | static_cast<T>(in[i]) << (8 * i));
    }
  }
  return value;
}

}  // namespace longhaul
