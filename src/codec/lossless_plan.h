// How the exponents of a block are coded: in levels. The most frequent ones
// have the short codes of the first level; one code there says that the next
// level has the symbol, which only such symbols enter. What is cheapest for
// the block's own frequencies is found exactly.
//
// Pure; any thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "codec/lossless_kernels.h"

namespace longhaul {

/// The levels of a block, and what ends them. The symbols that the last level
/// leaves follow as bytes, or are all the same.
struct LosslessPlan {
  static constexpr size_t kMostLevels = 4;
  enum class End : uint8_t { kNone, kBytes, kSame };

  std::array<LosslessLevel, kMostLevels> levels;
  size_t level_count = 0;
  End end = End::kNone;
  uint8_t same = 0;
  /// What a block's exponents take, in bytes.
  size_t bytes = 0;
};

/// `counts` says how often each symbol occurs.
LosslessPlan PlanLossless(std::span<const uint32_t, 256> counts) noexcept;

}  // namespace longhaul
