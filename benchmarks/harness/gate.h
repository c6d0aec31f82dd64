// Lets all ranks start an iteration at the same instant.
//
// A barrier alone does not: the rank that comes last to it leaves it first, by
// up to the one-way delay, and what it gained comes back as time of the next
// operation. So ranks that read the same clock (processes of one machine, a lab
// among them) agree on an instant a little ahead and sleep until it; others
// have the barrier only, and the report says so.
//
// Thread-compatible.
#pragma once

#include <longhaul/status.h>

#include "base/time.h"
#include "harness/subject.h"

namespace longhaul::bench {

class Gate {
 public:
  /// Every pass keeps the lines idle for at least `rest`.
  explicit Gate(Subject& subject, Duration rest = 0)
      : subject_(subject), rest_(rest) {}

  /// Finds out whether the ranks share a clock. All ranks at once.
  Status SetUp();
  /// Returns when all ranks may start. All ranks at once.
  Status Pass();

  bool shares_clock() const { return shares_clock_; }
  /// Passes that ended after the agreed instant, on this rank.
  int late() const { return late_; }

 private:
  Subject& subject_;
  Duration rest_;
  Duration margin_ = 2 * kMillisecond;
  bool shares_clock_ = false;
  int late_ = 0;
};

}  // namespace longhaul::bench
