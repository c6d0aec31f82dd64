// Whether a flow still gets anything through. One whose transport has sent
// something and hears of nothing for a round trip and a while is silent: what
// was put on it is better sent by another flow too. It speaks again as soon as
// anything is confirmed. Being wrong costs a few bytes sent twice.
//
// Thread-compatible.
#pragma once

#include <algorithm>
#include <cstdint>

#include "base/time.h"
#include "transport/endpoint.h"

namespace longhaul {

class FlowHealth {
 public:
  /// One look. True if it has fallen silent, or speaks again.
  bool Sample(TimePoint now, const EndpointStats& stats) {
    const bool waits = stats.bytes_in_flight > 0;
    if (!waits || !waited_ || stats.bytes_delivered != delivered_) heard_ = now;
    waited_ = waits;
    delivered_ = stats.bytes_delivered;
    const bool before = silent_;
    silent_ = now - heard_ > Patience(stats.rtt);
    return silent_ != before;
  }

  bool silent() const { return silent_; }
  /// Since when nothing has been confirmed, if it is silent.
  TimePoint heard() const { return heard_; }

  /// How long a flow of this round trip may take.
  static constexpr Duration Patience(Duration rtt) {
    return rtt + std::max(rtt / 2, kShortestPatience);
  }

 private:
  static constexpr Duration kShortestPatience = 80 * kMillisecond;

  bool silent_ = false;
  bool waited_ = false;  ///< something was in flight at the last look
  uint64_t delivered_ = 0;
  TimePoint heard_ = 0;
};

}  // namespace longhaul
