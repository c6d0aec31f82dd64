// How fast the lines of this process to other sites are, all of them together:
// what its site's access gives it. From looks at its flows there. Where every
// flow has something to send all the time, the access is what limits them and
// the rate is that of the last such times; otherwise it is at least what was
// seen.
//
// Engine thread only.
#pragma once

#include <cstdint>

#include "base/time.h"

namespace longhaul {

class AccessMeter {
 public:
  /// A flow was looked at: so many bytes have been confirmed, and have come,
  /// since the last look. `busy`: it has more to send.
  void Look(TimePoint now, uint64_t confirmed, uint64_t came, bool busy);

  /// Bytes/s; 0: not known yet.
  double up() const { return up_; }
  double down() const { return down_; }
  /// Was there more to send all through the last time that was seen?
  bool limited() const { return last_full_ > 0; }

 private:
  /// Long enough for a few round trips.
  static constexpr Duration kWindow = 300 * kMillisecond;

  void EndWindow(double seconds);

  TimePoint began_ = 0;
  TimePoint looked_ = 0;
  uint64_t confirmed_ = 0;
  uint64_t came_ = 0;
  bool full_ = true;
  double last_full_ = 0;  ///< rate of the window before, if that was full
  double up_ = 0;
  double down_ = 0;
};

}  // namespace longhaul
