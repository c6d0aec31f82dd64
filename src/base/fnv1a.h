// FNV-1a, 64 bits (Fowler, Noll, Vo): a hash that is the same on every machine,
// byte by byte from kFnv1aStart. Not for input that wants to collide.
//
// Pure functions; any thread.
#pragma once

#include <cstdint>
#include <string_view>

namespace longhaul {

inline constexpr uint64_t kFnv1aStart = 0xcbf29ce484222325u;

constexpr uint64_t Fnv1a(uint64_t hash, uint8_t byte) {
  return (hash ^ byte) * 0x100000001b3u;
}

constexpr uint64_t Fnv1a(std::string_view text) {
  uint64_t hash = kFnv1aStart;
  for (const char c : text) hash = Fnv1a(hash, static_cast<uint8_t>(c));
  return hash;
}

}  // namespace longhaul
