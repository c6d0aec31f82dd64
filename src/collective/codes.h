// Where a schedule keeps codes: one after the other, each at a place of its
// own.
//
// Values; thread-compatible.
#pragma once

#include <cstdint>

#include "collective/schedule.h"

namespace longhaul {

/// Hands out places in Space::kCodes.
class CodeSpace {
 public:
  /// For the code of `count` elements.
  Extent Take(uint64_t count) {
    const uint64_t offset = taken_;
    taken_ += CodePlace(count);
    return {Space::kCodes, offset, count};
  }
  uint64_t taken() const { return taken_; }

 private:
  uint64_t taken_ = 0;
};

}  // namespace longhaul
