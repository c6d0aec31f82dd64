// The time a transfer of n bytes takes, as latency + n * per_byte.
//
// Plain values; thread-compatible.
#pragma once

#include <algorithm>

namespace longhaul {

struct LinearCost {
  double latency = 0;   ///< seconds
  double per_byte = 0;  ///< seconds per byte

  constexpr double operator()(double bytes) const {
    return latency + bytes * per_byte;
  }
  bool operator==(const LinearCost&) const = default;

  /// One after the other.
  friend constexpr LinearCost operator+(LinearCost a, LinearCost b) {
    return {a.latency + b.latency, a.per_byte + b.per_byte};
  }
};

/// A bound for both at once: at least as long as either for any n, and exact at
/// n = 0 and in the limit of large n.
constexpr LinearCost Max(LinearCost a, LinearCost b) {
  return {std::max(a.latency, b.latency), std::max(a.per_byte, b.per_byte)};
}

/// A flow of `bits_per_second` after `seconds`.
constexpr LinearCost LinkCost(double seconds, double bits_per_second) {
  return {seconds, 8 / bits_per_second};
}

}  // namespace longhaul
