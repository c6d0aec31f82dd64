// How fast the lines of this process to other sites are, all of them together:
// what its site's access gives it. From looks at its flows there: the most that
// was seen lately. Whether that is all there is shows where every flow had more
// to send for some round trips: then the access, or the lines behind it, were
// full.
//
// Engine thread only.
#pragma once

#include <algorithm>
#include <cstdint>

#include "base/time.h"

namespace longhaul {

class AccessMeter {
 public:
  /// A flow of such a round trip was looked at: so many bytes have been
  /// confirmed, and have come, since the last look. `busy`: it has more to
  /// send.
  void Look(TimePoint now, Duration round_trip, uint64_t confirmed,
            uint64_t came, bool busy);

  /// Bytes/s; 0: not known yet.
  double up() const { return std::max(now_.up, before_.up); }
  double down() const { return std::max(now_.down, before_.down); }
  /// Was there a time with more to send on all flows? Then lines were full.
  bool limited() const { return now_.full || before_.full; }

 private:
  static constexpr Duration kShortest = 100 * kMillisecond;
  static constexpr Duration kLongest = kSecond;
  /// Of what is remembered: twice as long, at most.
  static constexpr Duration kLately = 10 * kSecond;

  struct Seen {
    TimePoint began = 0;
    double up = 0;
    double down = 0;
    bool full = false;
  };

  void BeginWindow(TimePoint now);
  void EndWindow(TimePoint now);

  Seen now_;
  Seen before_;

  TimePoint began_ = 0;  ///< the window
  TimePoint looked_ = 0;
  Duration length_ = kShortest;  ///< of windows: two round trips
  uint64_t confirmed_ = 0;
  uint64_t came_ = 0;
  bool full_ = true;
  bool last_full_ = false;
};

}  // namespace longhaul
