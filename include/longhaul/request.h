// The receipt for buffers lent to an operation: they come back when Done()
// turns true, always, whatever happened; status() then says what did.
//
// Done, Wait and status: any thread. Moving and destroying: the owner.
#pragma once

#include <longhaul/status.h>

#include <chrono>
#include <cstddef>
#include <utility>

namespace longhaul {

class Operation;

class [[nodiscard]] Request {
 public:
  /// Done, without a fault.
  Request() = default;
  /// Done, with this fault: nothing was lent.
  explicit Request(Status fault) : fault_(std::move(fault)) {}
  Request(Request&& other) noexcept
      : operation_(std::exchange(other.operation_, nullptr)),
        fault_(std::move(other.fault_)) {}
  Request& operator=(Request&& other) noexcept;
  /// Waits until done, so that buffers that go out of scope with it are safe.
  ~Request();

  /// One acquire-load. Once true, nothing reads or writes the lent buffers any
  /// more, and what was written is visible to the caller.
  bool Done() const noexcept;

  /// Sleeps until done; the operation's status. A peer that is dead or silent
  /// ends the wait within LONGHAUL_TIMEOUT; one that is alive, but has not
  /// called yet, is waited for without limit.
  Status Wait();
  /// Sleeps until done or for `patience`; kTimedOut if it is not done by then,
  /// and goes on.
  Status Wait(std::chrono::nanoseconds patience);

  /// What became of it; OK while it is not done.
  Status status() const;

 private:
  friend class Communicator;
  explicit Request(Operation* operation) : operation_(operation) {}
  void Release();

  Operation* operation_ = nullptr;  ///< held; null: never was one
  Status fault_;
};

}  // namespace longhaul
