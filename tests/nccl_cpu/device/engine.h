// The device: streams, events and the thread that executes what is queued on
// them. The thread sleeps while nothing is queued, and gives its core away
// while what is queued waits for the network.
//
// Engine is thread-safe; one per process, started on first use. Ops are polled
// by the device's thread only.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

namespace nccl_cpu {

/// How far a poll got.
enum class Progress : uint8_t { kNone, kSome, kDone };

/// A unit of work in a stream.
class Op {
 public:
  Op() = default;
  Op(const Op&) = delete;
  Op& operator=(const Op&) = delete;
  virtual ~Op() = default;

  /// Called until it returns kDone; must not block.
  virtual Progress Poll() = 0;
};

/// Complete when the latest record enqueued for it has been executed.
struct EventState {
  std::atomic<uint64_t> recorded{0};
  std::atomic<uint64_t> completed{0};
  std::atomic<int64_t> timestamp_ns{0};

  bool done() const { return completed.load() >= recorded.load(); }
};
using EventPtr = std::shared_ptr<EventState>;

/// Guarded by its engine's mutex, but for the constants.
struct Stream {
  Stream(bool as_default, bool as_blocking)
      : is_default(as_default), blocking(as_blocking) {}

  const bool is_default;  ///< the legacy NULL stream
  const bool blocking;    ///< synchronises with the NULL stream
  std::deque<std::unique_ptr<Op>> queue;
  uint64_t submitted = 0, finished = 0;
  bool destroyed = false;
};
using StreamPtr = std::shared_ptr<Stream>;

class Engine {
 public:
  static Engine& Get();

  StreamPtr DefaultStream();
  StreamPtr CreateStream(bool blocking);
  /// Work that is queued still runs.
  void DestroyStream(const StreamPtr& stream);

  void Submit(const StreamPtr& stream, std::unique_ptr<Op> op);
  void Submit(const StreamPtr& stream, std::function<void()> call);

  void Record(const EventPtr& event, const StreamPtr& stream);
  void WaitEvent(const StreamPtr& stream, const EventPtr& event);

  bool Idle(const StreamPtr& stream);
  void Synchronize(const StreamPtr& stream);
  void Synchronize(const EventPtr& event);
  void SynchronizeAll();

  /// Calls `call` once everything queued at this moment on any stream has
  /// finished; does not block.
  void WhenQuiet(std::function<void()> call);

 private:
  Engine() = default;
  void StartLocked();
  void SubmitLocked(const StreamPtr& stream, std::unique_ptr<Op> op);
  void AddTailWaitLocked(const StreamPtr& waiter, const StreamPtr& target);
  void Loop();
  /// Waits until some stream has work; those that have.
  std::vector<StreamPtr> ActiveStreams();
  /// Polls the first op of `stream`. True if it got anywhere.
  bool Advance(const StreamPtr& stream);

  std::mutex mutex_;
  std::condition_variable work_, done_;
  std::vector<StreamPtr> streams_;
  StreamPtr default_, cleanup_;
  bool started_ = false;
};

/// Nanoseconds of the monotonic clock.
int64_t NowNs();

}  // namespace nccl_cpu
