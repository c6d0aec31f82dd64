// Random numbers for faults: xorshift64*, good enough for dice, and cheap.
// Thread-compatible.
#pragma once

#include <cmath>
#include <cstdint>
#include <numbers>

namespace longhaul::lab {

class Dice {
 public:
  explicit Dice(uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15U | 1) {}

  double Uniform() {  // in [0, 1)
    state_ ^= state_ >> 12;
    state_ ^= state_ << 25;
    state_ ^= state_ >> 27;
    return static_cast<double>((state_ * 0x2545f4914f6cdd1dU) >> 11) * 0x1p-53;
  }
  bool Chance(double p) { return p > 0 && Uniform() < p; }
  double Normal() {  // mean 0, standard deviation 1
    const double radius = std::sqrt(-2 * std::log(1 - Uniform()));
    return radius * std::cos(2 * std::numbers::pi * Uniform());
  }

 private:
  uint64_t state_;
};

}  // namespace longhaul::lab
