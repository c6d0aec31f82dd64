#include "device/engine.h"

#include <pthread.h>
#include <sched.h>

#include <chrono>
#include <thread>
#include <utility>

namespace nccl_cpu {
namespace {

class CallOp final : public Op {
 public:
  explicit CallOp(std::function<void()> call) : call_(std::move(call)) {}
  Progress Poll() override {
    call_();
    return Progress::kDone;
  }

 private:
  std::function<void()> call_;
};

class WaitOp final : public Op {
 public:
  explicit WaitOp(std::function<bool()> ready) : ready_(std::move(ready)) {}
  Progress Poll() override {
    return ready_() ? Progress::kDone : Progress::kNone;
  }

 private:
  std::function<bool()> ready_;
};

// Gives the core away, the longer the more rounds have been in vain.
void Rest(int rounds) {
  if (rounds < 200) {
    sched_yield();
  } else {
    std::this_thread::sleep_for(
        std::chrono::microseconds(rounds < 2000 ? 20 : 100));
  }
}

}  // namespace

int64_t NowNs() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

Engine& Engine::Get() {
  // Outlives static destructors: NCCL may still call in at exit.
  static Engine* const engine = new Engine;
  return *engine;
}

void Engine::StartLocked() {
  if (started_) return;
  started_ = true;
  default_ = std::make_shared<Stream>(true, true);
  cleanup_ = std::make_shared<Stream>(false, false);
  streams_ = {default_, cleanup_};
  std::thread([this] {
    pthread_setname_np(pthread_self(), "cpu-gpu");
    Loop();
  }).detach();
}

StreamPtr Engine::DefaultStream() {
  const std::lock_guard lock(mutex_);
  StartLocked();
  return default_;
}

StreamPtr Engine::CreateStream(bool blocking) {
  const std::lock_guard lock(mutex_);
  StartLocked();
  return streams_.emplace_back(std::make_shared<Stream>(false, blocking));
}

void Engine::DestroyStream(const StreamPtr& stream) {
  const std::lock_guard lock(mutex_);
  stream->destroyed = true;
  if (stream->queue.empty()) std::erase(streams_, stream);
}

void Engine::AddTailWaitLocked(const StreamPtr& waiter,
                               const StreamPtr& target) {
  if (target->queue.empty()) return;
  waiter->queue.push_back(
      std::make_unique<WaitOp>([this, target, sequence = target->submitted] {
        const std::lock_guard lock(mutex_);
        return target->finished >= sequence;
      }));
  ++waiter->submitted;
}

void Engine::SubmitLocked(const StreamPtr& stream, std::unique_ptr<Op> op) {
  StartLocked();
  if (stream->is_default) {
    for (const StreamPtr& other : streams_) {
      if (other != stream && other->blocking) AddTailWaitLocked(stream, other);
    }
  } else if (stream->blocking) {
    AddTailWaitLocked(stream, default_);
  }
  stream->queue.push_back(std::move(op));
  ++stream->submitted;
  work_.notify_one();
}

void Engine::Submit(const StreamPtr& stream, std::unique_ptr<Op> op) {
  const std::lock_guard lock(mutex_);
  SubmitLocked(stream, std::move(op));
}

void Engine::Submit(const StreamPtr& stream, std::function<void()> call) {
  Submit(stream, std::make_unique<CallOp>(std::move(call)));
}

void Engine::Record(const EventPtr& event, const StreamPtr& stream) {
  const std::lock_guard lock(mutex_);
  const uint64_t version = ++event->recorded;
  SubmitLocked(stream, std::make_unique<CallOp>([this, event, version] {
                 event->timestamp_ns = NowNs();
                 const std::lock_guard relock(mutex_);
                 if (event->completed < version) event->completed = version;
               }));
}

void Engine::WaitEvent(const StreamPtr& stream, const EventPtr& event) {
  const uint64_t version = event->recorded;
  if (event->completed >= version) return;
  Submit(stream, std::make_unique<WaitOp>(
                     [event, version] { return event->completed >= version; }));
}

bool Engine::Idle(const StreamPtr& stream) {
  const std::lock_guard lock(mutex_);
  return stream->queue.empty();
}

void Engine::Synchronize(const StreamPtr& stream) {
  std::unique_lock lock(mutex_);
  const uint64_t sequence = stream->submitted;
  done_.wait(lock, [&] { return stream->finished >= sequence; });
}

void Engine::Synchronize(const EventPtr& event) {
  std::unique_lock lock(mutex_);
  const uint64_t version = event->recorded;
  done_.wait(lock, [&] { return event->completed >= version; });
}

void Engine::SynchronizeAll() {
  std::unique_lock lock(mutex_);
  const std::vector<StreamPtr> streams = streams_;
  for (const StreamPtr& stream : streams) {
    const uint64_t sequence = stream->submitted;
    done_.wait(lock, [&] { return stream->finished >= sequence; });
  }
}

void Engine::WhenQuiet(std::function<void()> call) {
  const std::lock_guard lock(mutex_);
  StartLocked();
  for (const StreamPtr& stream : streams_) {
    if (stream != cleanup_) AddTailWaitLocked(cleanup_, stream);
  }
  SubmitLocked(cleanup_, std::make_unique<CallOp>(std::move(call)));
}

std::vector<StreamPtr> Engine::ActiveStreams() {
  std::unique_lock lock(mutex_);
  for (;;) {
    std::vector<StreamPtr> active;
    for (const StreamPtr& stream : streams_) {
      if (!stream->queue.empty()) active.push_back(stream);
    }
    if (!active.empty()) return active;
    work_.wait(lock);
  }
}

bool Engine::Advance(const StreamPtr& stream) {
  Op* op = nullptr;
  {
    const std::lock_guard lock(mutex_);
    op = stream->queue.front().get();
  }
  const Progress progress = op->Poll();
  if (progress != Progress::kDone) return progress == Progress::kSome;
  std::unique_ptr<Op> finished;  // destroyed behind the lock
  const std::lock_guard lock(mutex_);
  finished = std::move(stream->queue.front());
  stream->queue.pop_front();
  ++stream->finished;
  if (stream->destroyed && stream->queue.empty()) {
    std::erase(streams_, stream);
  }
  done_.notify_all();
  return true;
}

void Engine::Loop() {
  for (int idle_rounds = 0;;) {
    bool progress = false;
    for (const StreamPtr& stream : ActiveStreams()) {
      if (Advance(stream)) progress = true;
    }
    idle_rounds = progress ? 0 : idle_rounds + 1;
    if (!progress) Rest(idle_rounds);
  }
}

}  // namespace nccl_cpu
