// One progress engine: a turn takes posted commands, polls what is ready and
// what is due; between turns it sleeps in epoll. It runs on a thread of its
// own (Start), or is driven inline by whoever owns time (Turn), which is how
// simulations play minutes in milliseconds.
//
// Threads that wait for what the engine does may turn it themselves (Assist): a
// caller that polls anyway, as NCCL's does, then needs no change of thread for
// its messages, which on a busy machine costs more than all else. The engine's
// own thread stands back meanwhile.
//
// Post, Call, Assist: any thread. Start, Stop: the owner. Everything else:
// engine thread only (the thread in Turn, one at a time).
//
// The engine's thread blocks all signals, so that a program's handlers run on
// the program's own threads.
#pragma once

#include <longhaul/status.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
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
  /// before it sleeps. `assisted`: Assist may be called.
  Status Start(Duration spin, bool assisted = false);
  /// Ends the thread after the turn in progress; commands posted before are
  /// run. Idempotent.
  void Stop();

  /// Hands over a command. Never blocks, never fails.
  void Post(Command* command) noexcept;
  /// A turn, unless another thread is at it. Never waits; for callers that come
  /// again and again. Without an assistant for a millisecond, the engine's own
  /// thread goes on.
  void Assist(TimePoint now);
  /// Runs `work` as the engine's thread would and returns when it is done: at
  /// once if the caller is in a turn, or if there is no thread. For set-up and
  /// tear-down. Between Start and Stop.
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
  void LoopAssisted(Duration spin);
  void WaitAssisted(TimePoint now, TimePoint deadline);
  void Ring();
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
  int wakeup_ = -1;  ///< in the epoll set
  // With assistants: who takes events must not take the thread's wake-up.
  bool assisted_ = false;
  int bell_ = -1;  ///< wakes the engine's thread, read by it alone
  std::mutex turn_;
  std::atomic<std::thread::id> turner_{};  ///< who holds turn_
  std::atomic<TimePoint> last_assist_{0};
  bool fine_waits_ = true;  ///< to the nanosecond, not the millisecond
  std::atomic<bool> asleep_{false};
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

}  // namespace longhaul
