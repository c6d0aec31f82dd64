// When to stop opening a connection's congestion windows. Padding is sent until
// the measured delivery rate stops growing: by less than a quarter in each of
// three round trips in a row, BBR's own sign of a full pipe
// (draft-cardwell-iccrg-bbr, "Full pipe").
//
// Pure state; thread-compatible.
#pragma once

#include <algorithm>
#include <cstdint>

#include "base/time.h"

namespace longhaul {

class WarmUp {
 public:
  /// At most `budget` bytes of padding.
  explicit WarmUp(uint64_t budget) : budget_(budget) {}

  bool done() const { return budget_ == 0; }
  uint64_t budget() const { return budget_; }
  void Spent(uint64_t bytes) { budget_ -= std::min(budget_, bytes); }
  void Stop() { budget_ = 0; }
  /// When the next sample is due.
  TimePoint next_sample() const { return next_; }

  /// One look at the transport: `rate` in bytes/s over all flows, the smoothed
  /// round-trip time.
  void Sample(TimePoint now, double rate, Duration rtt) {
    next_ = now + std::max<Duration>(rtt, kMillisecond);
    if (rate >= best_ * kGrowth) {
      best_ = rate;
      flat_ = 0;
    } else if (best_ > 0 && ++flat_ >= kFlatRounds) {
      Stop();
    }
  }

 private:
  static constexpr double kGrowth = 1.25;
  static constexpr int kFlatRounds = 3;

  uint64_t budget_;
  double best_ = 0;
  int flat_ = 0;
  TimePoint next_ = 0;
};

}  // namespace longhaul
