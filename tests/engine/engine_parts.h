// What tests give an engine to do, and wait for.
//
// Work, Probe: as their bases. Signal: any thread.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <utility>

#include "engine/engine.h"

namespace longhaul {

class Work final : public Command {
 public:
  explicit Work(std::function<void(TimePoint)> work) : work_(std::move(work)) {}
  void Run(TimePoint now) override { work_(now); }

 private:
  std::function<void(TimePoint)> work_;
};

class Probe final : public Pollable {
 public:
  using Pollable::Pollable;
  void Poll(uint32_t events, TimePoint now) override {
    ++polls;
    last_events = events;
    last_time = now;
    if (on_poll) on_poll();
  }
  std::function<void()> on_poll;
  int polls = 0;
  uint32_t last_events = 0;
  TimePoint last_time = 0;
};

// A flag that a thread can wait for.
class Signal {
 public:
  void Raise() {
    const std::lock_guard lock(mutex_);
    raised_ = true;
    condition_.notify_all();
  }
  void Wait() {
    std::unique_lock lock(mutex_);
    condition_.wait(lock, [this] { return raised_; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable condition_;
  bool raised_ = false;
};

}  // namespace longhaul
