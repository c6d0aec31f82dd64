// Random numbers that are the same on every machine, for a seed and a purpose:
// every rank draws the whole batch's positions, and takes its own.
//
// Plain values; thread-compatible.
#pragma once

#include <cstddef>
#include <cstdint>

namespace train {

class Random {
 public:
  /// Numbers of different (seed, purpose) have nothing to do with each other.
  Random(uint64_t seed, uint64_t purpose)
      : state_(Mixed(seed) ^ Mixed(~purpose)) {}

  uint64_t Next() { return Mixed(state_ += kStride); }

  /// 0 .. limit - 1. The bias of a remainder does not matter here.
  size_t Below(size_t limit) { return static_cast<size_t>(Next() % limit); }

  /// At least -1, below 1; 24 bits, which a float has room for.
  float Signed() {
    return static_cast<float>(static_cast<int32_t>(Next() >> 40) - (1 << 23)) /
           static_cast<float>(1 << 23);
  }

 private:
  static constexpr uint64_t kStride = 0x9e3779b97f4a7c15;

  // The finaliser of SplitMix64.
  static constexpr uint64_t Mixed(uint64_t bits) {
    bits = (bits ^ (bits >> 30)) * 0xbf58476d1ce4e5b9;
    bits = (bits ^ (bits >> 27)) * 0x94d049bb133111eb;
    return bits ^ (bits >> 31);
  }

  uint64_t state_;
};

}  // namespace train
