// A network in virtual time: endpoints joined by links of a given rate, delay
// and temper, deterministic for a seed. What happens is an event; whoever owns
// time moves it (Advance), see sim_world.h for engines and network together.
//
// Frames are really encoded and decoded. A frame's payload is read from the
// sender's memory until its last byte has left (Sent), and the receiver is
// asked for a place when the first byte arrives: between Place and Arrived lies
// the time that the frame takes on the line.
//
// Engine thread only (one thread for all engines that share a network).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <queue>
#include <random>
#include <utility>
#include <vector>

#include "base/time.h"
#include "memory/object_pool.h"
#include "transport/sim/sim_endpoint.h"
#include "transport/sim/sim_side.h"

namespace longhaul {

class SimNetwork {
 public:
  explicit SimNetwork(uint64_t seed);
  /// Every endpoint must have been destroyed.
  ~SimNetwork();
  SimNetwork(const SimNetwork&) = delete;
  SimNetwork& operator=(const SimNetwork&) = delete;

  using Pair =
      std::pair<std::unique_ptr<SimEndpoint>, std::unique_ptr<SimEndpoint>>;
  /// Two endpoints, a and b, that send to each other.
  Pair Connect(const SimLink& a_to_b, const SimLink& b_to_a);

  /// When something happens next; kNever if nothing will.
  TimePoint NextEvent() const {
    return events_.empty() ? kNever : events_.top().time;
  }
  /// Moves time to `now` and lets everything due until then happen, in order.
  void Advance(TimePoint now);
  TimePoint now() const { return now_; }
  /// Events that have happened.
  uint64_t event_count() const { return event_count_; }

  /// Replaces the link on which `from` sends, for frames not yet begun.
  void Change(SimEndpoint& from, const SimLink& link);
  /// The process that owns `at` dies: its sink hears of it at once, the peer's
  /// after the link's delay; what has not left is lost.
  void Kill(SimEndpoint& at);
  /// Silence in both directions: nothing is delivered, nothing fails. On a
  /// reliable link what is under way waits, on others it is lost; the news that
  /// an end has closed waits on both.
  void Blackhole(SimEndpoint& at);
  /// Ends a blackhole.
  void Restore(SimEndpoint& at);
  /// A bit of the next header that arrives at `at` flips.
  void CorruptNext(SimEndpoint& at);

 private:
  friend class SimEndpoint;
  using Frame = SimFrame;

  enum class EventKind : uint8_t {
    kLeft,       // a frame's last byte has left `side`
    kArriving,   // a frame's first byte arrives at `side`
    kArrived,    // the last byte of the frame that `side` receives
    kConfirmed,  // `side` hears that the frame has arrived
    kPoke,       // `side` may have something to do
  };
  struct Event {
    TimePoint time;
    uint64_t order;
    EventKind kind;
    SimSide* side;
    Frame* frame;
    friend bool operator<(const Event& a, const Event& b) {
      return a.time != b.time ? a.time > b.time : a.order > b.order;
    }
  };

  void Schedule(TimePoint time, EventKind kind, SimSide& side, Frame* frame);
  void Happen(const Event& event);
  static void NoteRoundTrip(SimSide& side);
  double Uniform();
  bool Chance(double probability);

  // Sending (sim_sending.cc).
  void StartSending(SimSide& side);
  void Launch(SimSide& side, Frame& frame);
  void Fly(SimSide& side, Frame& frame);
  void Left(SimSide& side, Frame& frame);
  void OfferRoom(SimSide& side);
  void SendMark(SimSide& side, Frame::Kind kind);
  void Arriving(SimSide& side, Frame& frame);
  void Confirmed(SimSide& side, Frame& frame);

  // Receiving (sim_receiving.cc).
  void StartReceiving(SimSide& side);
  void Receive(SimSide& side, Frame& frame);
  void Arrived(SimSide& side, Frame& frame);
  void LetGo(SimSide& side);
  void Fail(SimSide& side, StatusCode code, const char* what);
  void Release(Frame& frame);

  std::mt19937_64 random_;
  TimePoint now_ = 0;
  uint64_t next_order_ = 0;
  uint64_t event_count_ = 0;
  std::priority_queue<Event> events_;
  ObjectPool<Frame> frames_;
  std::vector<std::unique_ptr<SimSide>> sides_;
  size_t alive_ = 0;  // endpoints
};

}  // namespace longhaul
