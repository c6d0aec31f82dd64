// What moves is polled: an object that an Engine calls when one of its
// descriptors is ready, its deadline has come, or somebody woke it.
//
// Engine thread only, from construction with an engine to destruction.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/time.h"

namespace longhaul {

class Engine;

class Pollable {
 public:
  explicit Pollable(Engine& engine) : engine_(engine) {}
  /// Leaves the engine: takes back wake-ups and deadlines. Descriptors must be
  /// unwatched by their owner first.
  virtual ~Pollable();
  Pollable(const Pollable&) = delete;
  Pollable& operator=(const Pollable&) = delete;

  /// Does what can be done now without waiting. `events` are the epoll bits
  /// seen since the last call (edge-triggered); 0 after a wake-up or deadline.
  virtual void Poll(uint32_t events, TimePoint now) = 0;

  /// Asks for one Poll in this turn of the engine or the next.
  void Wake();
  /// Asks for a Poll at `deadline`, replacing the deadline asked for before;
  /// kNever takes it back.
  void SetDeadline(TimePoint deadline);
  TimePoint deadline() const { return deadline_; }

 protected:
  Engine& engine() const { return engine_; }

 private:
  friend class Engine;
  friend class TimerQueue;
  static constexpr size_t kNotQueued = ~size_t{0};

  Engine& engine_;
  uint32_t events_ = 0;
  bool ready_ = false;
  TimePoint deadline_ = kNever;
  size_t heap_index_ = kNotQueued;
};

}  // namespace longhaul
