// What a flow is known to do: how fast it delivers, how long a byte is on its
// way, how much lies before the line. From looks at what the transport counts,
// a few per round trip while there is something to send, and from what it is
// given between them.
//
// Thread-compatible.
#pragma once

#include <cstdint>

#include "base/time.h"
#include "transport/endpoint.h"

namespace longhaul {

class FlowMeter {
 public:
  /// One look.
  void Sample(TimePoint now, const EndpointStats& stats);
  /// The flow was given `bytes`.
  void Given(TimePoint now, uint64_t bytes);

  /// Bytes/s, of the last two rounds in which the flow was never short of data,
  /// or more if it did more without; 0: not known yet.
  double rate() const { return rate_; }
  /// Shortest round trip; 0: not known yet.
  Duration round_trip() const { return min_rtt_; }
  /// Bytes that have not begun their way on the line, if it takes `rate`.
  double Backlog(TimePoint now, double rate) const;

 private:
  struct Round {
    TimePoint began = 0;
    uint64_t delivered = 0;  ///< when it began
    bool full = false;       ///< never short of data
  };

  void EndRound(double rate);

  double rate_ = 0;
  double last_full_ = 0;  ///< rate of the last full round; 0: none
  Duration min_rtt_ = 0;
  Round round_;
  double backlog_ = 0;  ///< bytes, at backlog_at_
  TimePoint backlog_at_ = 0;
};

}  // namespace longhaul
