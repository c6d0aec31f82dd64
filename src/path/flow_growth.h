// How many flows a path should have: more for as long as more of them help.
//
// What one flow loses to its congestion control, or may have of a window or of
// a queue, others make up for; on a line that one flow fills they only stand in
// each other's way. Which of the two a line is shows when it is tried: after a
// while in which every flow of the path had more to send, twice as many are
// opened. If the path has delivered more, by 15 %, when as much such time has
// passed again, they are kept, and more are tried; if not, the number is what
// it was before, and the next trial is a minute away, the one after that two,
// and so on: lines change.
//
// Of such a while the first half is for flows that are new to find their rate;
// the second one is what counts, and only if it has not got better by itself.
//
// Thread-compatible.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/time.h"

namespace longhaul {

class FlowGrowth {
 public:
  /// No path has more.
  static constexpr uint16_t kMost = 64;

  /// What the flows in use have done since the look before.
  struct Look {
    uint64_t delivered = 0;  ///< bytes, by all of them
    size_t flows = 0;        ///< that are open
    bool full = false;       ///< all had more to send, all the time
    bool silent = false;     ///< one gets nothing through
    Duration round_trip = 0;
    double limit = 0;  ///< bytes/s that may leave on the path; 0: no limit
  };

  /// A path begins with so many. One that is alone gets company, which disturbs
  /// it for some seconds, after so much full time.
  explicit FlowGrowth(uint16_t flows = 1, Duration alone_for = 0)
      : kept_(flows), alone_for_(alone_for) {}

  /// How many there should be: those numbered below are in use.
  uint16_t flows() const { return tried_ > 0 ? tried_ : kept_; }
  /// One look, best every kLook. True if flows() is another number now.
  bool Sample(TimePoint now, const Look& look);

  static constexpr Duration kLook = 50 * kMillisecond;

 private:
  /// Part of a while: of times that were full.
  struct Half {
    Duration lasted = 0;
    uint64_t delivered = 0;
    double rate() const {
      return lasted > 0 ? static_cast<double>(delivered) * kSecond /
                              static_cast<double>(lasted)
                        : 0;
    }
  };

  bool Missing(TimePoint now);
  bool Count(Duration passed, const Look& look);
  bool Decide(TimePoint now, double limit);
  bool Try(TimePoint now, double rate, double limit);
  bool GoBack(TimePoint now);
  void Begin() { first_ = second_ = {}; }

  uint16_t kept_;
  Duration alone_for_;
  uint16_t tried_ = 0;  ///< more than are kept; 0: there is no trial
  double base_ = 0;     ///< bytes/s, before the trial
  TimePoint looked_ = 0;
  bool was_full_ = false;
  Half first_;
  Half second_;
  TimePoint missing_since_ = kNever;
  TimePoint next_try_ = 0;
  Duration pause_ = kFirstPause;

  static constexpr Duration kFirstPause = 60 * kSecond;
};

}  // namespace longhaul
