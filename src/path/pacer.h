// How fast one flow may send, so that the flows of a job share a line without
// overrunning it. A congestion control that probes alone (BBR version 1 above
// all) holds more than its share in flight as soon as two flows share a line:
// the queue in front of it overflows, and what was lost costs a round trip or
// more. Here each flow aims at a small backlog of its own in that queue and
// paces itself to what it is seen to deliver, more or less. Constant backlogs
// are what makes equal flows equal (TCP Vegas: Brakmo and Peterson, 1995).
//
// Opening: the congestion control is left alone until the line is full: a queue
// is seen, or the delivered rate grows no more. From then on, once in a round
// trip in which the flow was never short of data:
//
//   backlog = delivered rate x (lowest round trip of late - least ever)
//   pace    = rate x (1 + gain x (wanted backlog - backlog) / (rate x least))
//
// What a busy host does to one round is not the line's doing: it only adds to
// round-trip times, hence the lowest of two rounds counts, and it takes from
// what is delivered, hence the better of two rounds counts, and while the
// backlog is below what is wanted the pace does not fall.
//
// A queue that does not shrink however much the flow yields is someone else's:
// then the pace is lifted for a while, and the congestion control competes.
//
// Alone, this makes equal flows equal by a few per cent a round trip, about as
// much as noise makes them unequal. So processes of a site tell each other
// their paces (pace_board.h), and half of what sets a flow apart from the mean
// goes with each round.
//
// Pure state: thread-compatible; a few dozen operations per sample.
#pragma once

#include <cstdint>

#include "base/time.h"
#include "transport/endpoint.h"

namespace longhaul {

class Pacer {
 public:
  /// `limits`: false only looks, and leaves the pace to the congestion control.
  explicit Pacer(bool limits = true) : limits_(limits) {}

  /// Bytes of payload per second; 0: no limit.
  double pace() const { return pace_; }
  /// Has the line been seen to be full?
  bool opened() const { return phase_ != Phase::kOpening || narrow_; }
  /// Has it been so for long enough to have found its pace?
  bool settled() const { return phase_ >= Phase::kSteady || narrow_; }
  /// When the next sample is due, while there is something to send.
  TimePoint next_sample() const { return next_; }

  /// One look at the flow. `share` is what mates are paced to over what this
  /// process is (PaceBoard::Share). True if the pace has changed.
  bool Sample(TimePoint now, const EndpointStats& stats, double share = 1);

 private:
  enum class Phase : uint8_t { kOpening, kSettling, kSteady, kLifted };

  struct Round {
    TimePoint began = 0;
    uint64_t delivered = 0;  ///< when it began
    Duration lowest = 0;     ///< round-trip time seen in it
    bool full = false;       ///< never short of data
  };
  /// What a round, or the better of two, has shown.
  struct View {
    double rate = 0;      ///< delivered, bytes/s
    Duration lowest = 0;  ///< round-trip time
  };

  void Begin(TimePoint now, const EndpointStats& stats);
  void Open(const View& view, Duration least);
  void Steer(TimePoint now, const View& view, Duration least);
  void Adjust(const View& view, Duration least);

  bool limits_;
  Phase phase_ = Phase::kOpening;
  bool narrow_ = false;  ///< full, but holds too little to overrun anything
  double pace_ = 0;
  TimePoint next_ = 0;
  Round round_;
  View last_;
  double best_ = 0;   ///< rate seen while opening
  int flat_ = 0;      ///< rounds in which it did not grow
  int settling_ = 0;  ///< rounds since it was open
  int calm_ = 0;      ///< rounds in a row without a queue
  int crowded_ = 0;   ///< rounds in a row with a queue that does not shrink
  TimePoint lifted_until_ = 0;
};

}  // namespace longhaul
