// A piece of work that any thread hands to an engine. The caller owns the
// command and keeps it alive until it has run; the queue is intrusive, so
// posting neither allocates nor fails, and is bounded by the commands there
// are.
//
// Post: any thread. Take: engine thread only.
// Source: D. Vyukov, "Intrusive MPSC node-based queue".
#pragma once

#include <atomic>

#include "base/time.h"

namespace longhaul {

class Command {
 public:
  Command() = default;
  virtual ~Command() = default;
  Command(const Command&) = delete;
  Command& operator=(const Command&) = delete;

  /// Called once per post, on the engine's thread. May destroy the command.
  virtual void Run(TimePoint now) = 0;

 private:
  friend class CommandQueue;
  std::atomic<Command*> next_{nullptr};
};

class CommandQueue {
 public:
  CommandQueue() : head_(&stub_), tail_(&stub_) {}

  void Post(Command* command) noexcept {
    command->next_.store(nullptr, std::memory_order_relaxed);
    Command* previous = head_.exchange(command, std::memory_order_acq_rel);
    previous->next_.store(command, std::memory_order_release);
  }

  /// The oldest command, or nullptr if none is complete yet.
  Command* Take() noexcept {
    Command* tail = tail_;
    Command* next = tail->next_.load(std::memory_order_acquire);
    if (tail == &stub_) {
      if (next == nullptr) return nullptr;
      tail_ = next;
      tail = next;
      next = next->next_.load(std::memory_order_acquire);
    }
    if (next != nullptr) {
      tail_ = next;
      return tail;
    }
    if (tail != head_.load(std::memory_order_acquire)) return nullptr;
    Post(&stub_);
    next = tail->next_.load(std::memory_order_acquire);
    if (next == nullptr) return nullptr;
    tail_ = next;
    return tail;
  }

 private:
  class Stub final : public Command {
    void Run(TimePoint) override {}
  };
  Stub stub_;
  std::atomic<Command*> head_;
  Command* tail_;
};

}  // namespace longhaul
