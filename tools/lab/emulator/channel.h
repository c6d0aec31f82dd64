// One direction of a link: rate, queue, delay line, faults.
//
// The transmitter is a virtual clock. `idle_at_` is when it will have sent all
// it has accepted; the queue is then (idle_at_ - now) x rate long and needs no
// events of its own. What becomes of a segment (tail drop, loss, mark, time of
// delivery) is decided when it arrives; what remains is to write it when due.
//
// Times are nanoseconds of one monotonic clock, given by the caller, and never
// go backwards.
// Thread-compatible.
#pragma once

#include <cstdint>
#include <deque>
#include <limits>
#include <map>

#include "lab/emulator/counters.h"
#include "lab/emulator/dice.h"
#include "lab/emulator/frame.h"
#include "lab/emulator/frame_pool.h"
#include "lab/emulator/settings.h"

namespace longhaul::lab {

inline constexpr int64_t kNever = std::numeric_limits<int64_t>::max();

class Channel {
 public:
  // Holds frames of about `memory` bytes; the same seed throws the same dice.
  Channel(bool ethernet, uint64_t memory, uint64_t seed);

  const Settings& settings() const { return settings_; }
  const Counters& counters() const { return counters_; }
  void ResetCounters() { counters_ = {}; }
  // Bytes waiting for the transmitter, and bytes waiting for delivery (the
  // queue and the line together).
  double Backlog(int64_t now) const;
  uint64_t in_flight() const { return in_flight_; }

  // Takes effect at once: what waits in the queue leaves at the new rate; what
  // is on the line arrives as it was going to; a link that goes down loses
  // both.
  void Configure(const Settings& next, int64_t now);

  // Where the next frame is to be read to (kMaxFrame bytes), or null when the
  // memory is used up.
  uint8_t* Room() { return pool_.Room(); }
  // Accepts the frame of `size` bytes that was put into Room().
  void Accept(uint32_t size, int64_t now);
  // Counts a frame there was no room for.
  void Refuse(const uint8_t* record, uint32_t size);

  // Part of a frame on its way out; the frame stays until Written().
  struct Piece {
    Frame::Slice slice;
    uint32_t segments = 0;
    uint32_t bytes = 0;
    FramePool::Slab* slab = nullptr;
  };
  // Takes the next piece that is due; false if none is.
  bool TakeDue(int64_t now, Piece& piece);
  void Written(const Piece& piece, bool success);
  // When the next piece is due, or kNever.
  int64_t NextDue() const;

 private:
  // Neighbouring segments [first, first + n) of one frame that share a fate.
  struct Run {
    int64_t sent = 0;  // end of serialization
    int64_t due = 0;   // arrival at the far end
    const uint8_t* record = nullptr;
    FramePool::Slab* slab = nullptr;
    uint32_t size = 0, first = 0, n = 0;
    bool mark = false, held = false;
  };
  struct Fate {
    bool arrives = false, mark = false, held = false;
  };

  double NsPerByte() const;
  void Transmit(const Frame& frame, Run run, int64_t now);
  Fate Decide(const Frame& frame, uint32_t segment, int64_t now);
  bool Lose();
  void Launch(const Frame& frame, Run run);
  void Enqueue(Run run);
  void Retime(double scale, int64_t now);
  void DropAll();
  bool LineIsNext() const;
  const Run* Next() const;
  Run Pop();

  bool ethernet_;
  Settings settings_;
  Counters counters_;
  FramePool pool_;
  Dice dice_;
  double idle_at_ = 0;
  bool bad_ = false;  // the state of the loss process
  uint64_t in_flight_ = 0;
  std::deque<Run> line_;                   // by due time, as they come
  std::multimap<int64_t, Run> overtaken_;  // by due time, out of order
};

}  // namespace longhaul::lab
