// The clock. Read by engines' loops and by programs; everything else takes the
// time as an argument.
//
// Any thread.
#pragma once

#include <ctime>

#include "base/time.h"

namespace longhaul {

/// CLOCK_MONOTONIC.
inline TimePoint Now() noexcept {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<TimePoint>(now.tv_sec) * kSecond + now.tv_nsec;
}

}  // namespace longhaul
