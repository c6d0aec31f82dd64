// Time as values. Only an engine's loop and a program's main read the clock
// (base/clock.h); everywhere else time is an argument.
//
// Plain values; thread-compatible.
#pragma once

#include <cstdint>
#include <limits>

namespace longhaul {

/// Nanoseconds since an arbitrary start, never stepping back.
using TimePoint = int64_t;
/// Nanoseconds.
using Duration = int64_t;

inline constexpr Duration kMicrosecond = 1'000;
inline constexpr Duration kMillisecond = 1'000'000;
inline constexpr Duration kSecond = 1'000'000'000;
inline constexpr TimePoint kNever = std::numeric_limits<TimePoint>::max();

}  // namespace longhaul
