// Cooperative fibers, built on C++20 coroutines. A GPU runs many blocks, and
// several groups of warps in each, at once. Here each such group is a Fiber,
// and one thread polls them all. A fiber that has to wait, for a peer or for
// NCCL's proxy thread, suspends on a predicate; later polls evaluate it, and
// resume the fiber once it holds.
//
// A fiber belongs to the thread that polls it.
#pragma once

#include <coroutine>
#include <cstdint>
#include <exception>
#include <functional>
#include <list>
#include <utility>

namespace nccl_cpu {

class Fiber;

/// A coroutine that may be awaited by another coroutine of the same fiber. Not
/// as `co_await (a ? b() : c())`: GCC 12 destroys such a temporary twice.
class [[nodiscard]] Task {
 public:
  // The names of the coroutine's parts are the language's.
  struct promise_type {  // NOLINT(readability-identifier-naming)
    Fiber* fiber = nullptr;
    std::coroutine_handle<> continuation;

    Task get_return_object() {
      return Task(std::coroutine_handle<promise_type>::from_promise(*this));
    }
    std::suspend_always initial_suspend() noexcept { return {}; }
    auto final_suspend() noexcept {
      struct Resume {
        bool await_ready() noexcept { return false; }
        std::coroutine_handle<> await_suspend(
            std::coroutine_handle<promise_type> self) noexcept {
          auto next = self.promise().continuation;
          return next ? next : std::noop_coroutine();
        }
        void await_resume() noexcept {}
      };
      return Resume{};
    }
    void return_void() {}
    void unhandled_exception() { std::terminate(); }
  };

  Task(Task&& other) noexcept : handle_(std::exchange(other.handle_, {})) {}
  Task(const Task&) = delete;
  Task& operator=(const Task&) = delete;
  ~Task() {
    if (handle_) handle_.destroy();
  }

  bool await_ready() const { return false; }
  std::coroutine_handle<> await_suspend(
      std::coroutine_handle<promise_type> parent) {
    handle_.promise().fiber = parent.promise().fiber;
    handle_.promise().continuation = parent;
    return handle_;
  }
  void await_resume() const {}

 private:
  friend class Fiber;
  explicit Task(std::coroutine_handle<promise_type> handle) : handle_(handle) {}

  std::coroutine_handle<promise_type> handle_;
};

class Fiber {
 public:
  explicit Fiber(Task task) : task_(std::move(task)), leaf_(task_.handle_) {
    task_.handle_.promise().fiber = this;
  }
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  bool done() const { return task_.handle_.done(); }

  /// Runs until the next unsatisfied wait. True if anything ran.
  bool Poll() {
    if (done()) return false;
    if (ready_ && !ready_()) return false;
    ready_ = nullptr;
    ++Resumes();
    leaf_.resume();
    return true;
  }

  /// How often this thread has resumed fibers, nested ones included: tells
  /// whether a poll got anywhere.
  static uint64_t& Resumes() {
    static thread_local uint64_t count = 0;
    return count;
  }

 private:
  friend class WaitUntil;
  Task task_;
  std::coroutine_handle<> leaf_;
  std::function<bool()> ready_;
};

/// co_await WaitUntil(predicate). Not an aggregate: GCC 12 destroys aggregate
/// temporaries of a co_await expression twice.
class WaitUntil {
 public:
  explicit WaitUntil(std::function<bool()> predicate)
      : predicate_(std::move(predicate)) {}

  bool await_ready() const { return predicate_(); }
  void await_suspend(std::coroutine_handle<Task::promise_type> self) {
    Fiber* fiber = self.promise().fiber;
    fiber->leaf_ = self;
    fiber->ready_ = std::move(predicate_);
  }
  void await_resume() const {}

 private:
  std::function<bool()> predicate_;
};

/// Tasks that run side by side, the way groups of warps in one block do.
class FiberGroup {
 public:
  void Add(Task task) { fibers_.emplace_back(std::move(task)); }

  /// One pass over the members; true when all are finished.
  bool Poll() {
    bool all = true;
    for (Fiber& fiber : fibers_) {
      while (fiber.Poll()) {
      }
      all = all && fiber.done();
    }
    return all;
  }

 private:
  std::list<Fiber> fibers_;
};

/// Done when all of `group` are. `group` must live until then.
inline Task RunTogether(FiberGroup& group) {
  co_await WaitUntil([&group] { return group.Poll(); });
}

}  // namespace nccl_cpu
