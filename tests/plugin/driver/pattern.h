// Bytes that tell a message from every other, and a place in it from others.
//
// Pure functions; any thread.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>

namespace longhaul::nccl {

/// The 8 bytes at `word` of message `index` of stream `stream`.
constexpr uint64_t PatternWord(uint64_t stream, uint64_t index, uint64_t word) {
  uint64_t x = stream * 0x9e3779b97f4a7c15 + index * 0xbf58476d1ce4e5b9 + word;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

inline void FillPattern(uint64_t stream, uint64_t index,
                        std::span<std::byte> bytes) {
  for (size_t at = 0; at < bytes.size(); at += 8) {
    const uint64_t word = PatternWord(stream, index, at / 8);
    std::memcpy(bytes.data() + at, &word,
                std::min<size_t>(8, bytes.size() - at));
  }
}

/// The first byte that is not the pattern's.
inline std::optional<size_t> FirstDifference(uint64_t stream, uint64_t index,
                                             std::span<const std::byte> bytes) {
  for (size_t at = 0; at < bytes.size(); at += 8) {
    const uint64_t word = PatternWord(stream, index, at / 8);
    const size_t size = std::min<size_t>(8, bytes.size() - at);
    if (std::memcmp(bytes.data() + at, &word, size) != 0) return at;
  }
  return {};
}

}  // namespace longhaul::nccl
