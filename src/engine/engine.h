// One progress engine: a turn takes posted commands, polls what is ready and
// what is due; between turns it sleeps in epoll. It runs on a thread of its
// own (Start), or is driven inline by whoever owns time (Turn), which is how
// simulations play minutes in milliseconds.
//
// Post: any thread. Start, Stop: the owner. Everything else: engine thread
// only (the thread in Turn).
//
// The engine's thread blocks all signals, so that a program's handlers run on
// the program's own threads.
#pragma once

#include <longhaul/status.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <span>
#include <thread>
#include <vector>

#include "base/time.h"
#include "engine/command.h"
#include "engine/pollable.h"
#include "engine/timer_queue.h"

struct epoll_event;

namespace longhaul {

class Engine {
 public:
  Engine() {
    ready_.reserve(kUsuallyReady);
    turning_.reserve(kUsuallyReady);
  }
  /// Stops. Every pollable must have left.
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  /// Makes the epoll set. Needed before Watch and Start; a simulation does
  /// without. kExhausted if the process is out of descriptors.
  Status Open();
  /// Starts the thread. `spin` is how long it keeps turning without work
  /// before it sleeps.
  Status Start(Duration spin);
  /// Ends the thread after the turn in progress; commands posted before are
  /// run. Idempotent.
  void Stop();

  /// Hands over a command. Never blocks, never fails.
  void Post(Command* command) noexcept;
  /// Runs `work` on the engine's thread and returns when it has: at once if
  /// that is the caller's own, or if there is none. For set-up and tear-down.
  /// Any thread, between Start and Stop.
  void Call(const std::function<void(TimePoint now)>& work);

  /// Watches `fd` for input and output, edge-triggered, for `owner`.
  Status Watch(int fd, Pollable& owner);
  void Unwatch(int fd);

  /// One turn: commands, due deadlines, ready pollables, until nothing is
  /// ready or a fair share of work is done. True if anything was done.
  bool Turn(TimePoint now);
  /// Is anything ready without waiting? (Deadlines aside.)
  bool HasReady() const { return !ready_.empty(); }
  TimePoint NextDeadline() const { return timers_.Next(); }
  /// Wakes the owners of descriptors that are ready; waits up to `timeout`
  /// (kNever: without end) for one to be, or for a command. For whoever drives
  /// the engine inline, between turns; needs Open. True if anything was ready.
  bool TakeEvents(Duration timeout);

 private:
  friend class Pollable;
  /// Pollables that may be ready before there is an allocation.
  static constexpr size_t kUsuallyReady = 256;
  void Loop(Duration spin);
  bool Sleep(TimePoint now, Duration spin, TimePoint idle_since);
  int Await(std::span<epoll_event> events, Duration timeout) const;
  bool RunCommands(TimePoint now);
  bool RunReady(TimePoint now);
  void Forget(Pollable& item);

  CommandQueue commands_;
  std::vector<Pollable*> ready_;    // to poll, in order of waking
  std::vector<Pollable*> turning_;  // being polled in this turn
  TimerQueue timers_;
  int epoll_ = -1;
  int wakeup_ = -1;
  bool fine_waits_ = true;  ///< to the nanosecond, not the millisecond
  std::atomic<bool> asleep_{false};
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

}  // namespace longhaul
