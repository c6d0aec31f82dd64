#include "engine/engine.h"

#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <condition_variable>
#include <csignal>
#include <cstring>
#include <ctime>
#include <mutex>

#include "base/check.h"
#include "base/clock.h"
#include "base/text.h"

namespace longhaul {
namespace {

/// How long the engine's thread leaves the turns to assistants at a time.
constexpr Duration kStandBack = kMillisecond;
/// Waits without a deadline end after this, and are begun again.
constexpr Duration kLongestNap = 3600 * kSecond;
/// What an assistant does before it goes back to its own work.
constexpr int kTurnsOfAssistant = 4;

Status OutOfDescriptors(const char* what) {
  return {StatusCode::kExhausted,
          Text("%s: %s; raise the limit on open files (ulimit -n)", what,
               std::strerror(errno))};
}

void CloseIfOpen(int& fd) {
  if (fd >= 0) ::close(fd);
  fd = -1;
}

}  // namespace

Pollable::~Pollable() { engine_.Forget(*this); }

void Pollable::Wake() {
  if (ready_) return;
  ready_ = true;
  engine_.ready_.push_back(this);
}

void Pollable::SetDeadline(TimePoint deadline) {
  if (deadline != deadline_) engine_.timers_.Set(*this, deadline);
}

Engine::~Engine() {
  Stop();
  CloseIfOpen(bell_);
  CloseIfOpen(wakeup_);
  CloseIfOpen(epoll_);
}

Status Engine::Open() {
  epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
  if (epoll_ < 0) return OutOfDescriptors("epoll_create1");
  wakeup_ = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (wakeup_ < 0) return OutOfDescriptors("eventfd");
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.ptr = nullptr;
  if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, wakeup_, &event) != 0) {
    return OutOfDescriptors("epoll_ctl");
  }
  // Linux before 5.11 has no epoll_pwait2.
  fine_waits_ = Await(std::span(&event, 1), 0) >= 0 || errno != ENOSYS;
  return {};
}

Status Engine::Start(Duration spin, bool assisted) {
  LH_CHECK(epoll_ >= 0 && !thread_.joinable());
  assisted_ = assisted;
  if (assisted && bell_ < 0) {
    bell_ = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (bell_ < 0) return OutOfDescriptors("eventfd");
  }
  stop_.store(false, std::memory_order_relaxed);
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  thread_ = std::thread([this, spin] {
    if (assisted_) {
      LoopAssisted(spin);
    } else {
      Loop(spin);
    }
  });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  pthread_setname_np(thread_.native_handle(), "longhaul");
  return {};
}

void Engine::Stop() {
  if (!thread_.joinable()) return;
  Call([this](TimePoint) { stop_.store(true, std::memory_order_relaxed); });
  thread_.join();
}

void Engine::Post(Command* command) noexcept {
  commands_.Post(command);
  // Both sides exchange: whoever comes second sees what the first has done, so
  // either the engine finds the command before it sleeps, or we wake it.
  if (asleep_.exchange(false, std::memory_order_acq_rel)) Ring();
}

void Engine::Ring() {
  const uint64_t one = 1;
  (void)!::write(assisted_ ? bell_ : wakeup_, &one, sizeof one);
}

void Engine::Call(const std::function<void(TimePoint)>& work) {
  class Once final : public Command {
   public:
    explicit Once(const std::function<void(TimePoint)>& to_do) : work_(to_do) {}
    void Run(TimePoint now) override {
      work_(now);
      const std::lock_guard lock(mutex_);
      done_ = true;
      condition_.notify_one();
    }
    void Wait() {
      std::unique_lock lock(mutex_);
      condition_.wait(lock, [this] { return done_; });
    }

   private:
    const std::function<void(TimePoint)>& work_;
    std::mutex mutex_;
    std::condition_variable condition_;
    bool done_ = false;
  };
  const std::thread::id self = std::this_thread::get_id();
  if (!thread_.joinable() || thread_.get_id() == self ||
      turner_.load(std::memory_order_relaxed) == self) {
    work(Now());
    return;
  }
  Once once(work);
  Post(&once);
  if (assisted_) Assist(Now());
  once.Wait();
}

// NOLINTNEXTLINE(readability-make-member-function-const): not logically
Status Engine::Watch(int fd, Pollable& owner) {
  epoll_event event{};
  event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
  event.data.ptr = &owner;
  if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) != 0) {
    return OutOfDescriptors("epoll_ctl");
  }
  return {};
}

// NOLINTNEXTLINE(readability-make-member-function-const): not logically
void Engine::Unwatch(int fd) {
  ::epoll_ctl(epoll_, EPOLL_CTL_DEL, fd, nullptr);
}

bool Engine::Turn(TimePoint now) {
  bool worked = RunCommands(now);
  while (Pollable* due = timers_.TakeDue(now)) due->Wake();
  worked |= RunReady(now);
  return worked;
}

bool Engine::RunCommands(TimePoint now) {
  bool worked = false;
  while (Command* command = commands_.Take()) {
    command->Run(now);
    worked = true;
  }
  return worked;
}

bool Engine::RunReady(TimePoint now) {
  // What is woken while this batch runs waits for the next one, so that no
  // object starves another.
  turning_.swap(ready_);
  for (size_t i = 0; i < turning_.size(); ++i) {
    Pollable* item = turning_[i];
    if (item == nullptr) continue;
    turning_[i] = nullptr;
    item->ready_ = false;
    const uint32_t events = item->events_;
    item->events_ = 0;
    item->Poll(events, now);
  }
  const bool worked = !turning_.empty();
  turning_.clear();
  return worked;
}

void Engine::Forget(Pollable& item) {
  timers_.Remove(item);
  if (!item.ready_) return;
  std::replace(ready_.begin(), ready_.end(), &item,
               static_cast<Pollable*>(nullptr));
  std::replace(turning_.begin(), turning_.end(), &item,
               static_cast<Pollable*>(nullptr));
}

void Engine::Loop(Duration spin) {
  TimePoint now = Now();
  TimePoint last_work = now;
  for (;;) {
    if (Turn(now)) last_work = now;
    if (stop_.load(std::memory_order_relaxed)) break;
    if (Sleep(now, spin, last_work)) last_work = now;
    now = Now();
  }
  RunCommands(now);
}

// As Loop, but the engine is anybody's while this thread waits.
void Engine::LoopAssisted(Duration spin) {
  const std::thread::id self = std::this_thread::get_id();
  TimePoint last_work = Now();
  for (;;) {
    std::unique_lock lock(turn_);
    turner_.store(self, std::memory_order_relaxed);
    const TimePoint now = Now();
    bool worked = TakeEvents(0);
    worked |= Turn(now);
    if (worked) last_work = now;
    const bool stop = stop_.load(std::memory_order_relaxed);
    bool idle = !stop && !HasReady() && now - last_work >= spin;
    if (idle) {
      asleep_.exchange(true, std::memory_order_acq_rel);
      if (RunCommands(now)) {
        asleep_.exchange(false, std::memory_order_acq_rel);
        idle = false;
      }
    }
    const TimePoint deadline = timers_.Next();
    turner_.store({}, std::memory_order_relaxed);
    lock.unlock();
    if (stop) return;
    if (idle) WaitAssisted(now, deadline);
  }
}

// Deaf to events while there are assistants; they may have set a deadline
// nearer than the one known here, so this is short.
void Engine::WaitAssisted(TimePoint now, TimePoint deadline) {
  const bool stands_back =
      now - last_assist_.load(std::memory_order_relaxed) < kStandBack;
  Duration wait =
      deadline == kNever ? kLongestNap : std::max<Duration>(0, deadline - now);
  if (stands_back) {
    // Nobody need ring: assistants run what is posted, or this thread, soon.
    asleep_.exchange(false, std::memory_order_acq_rel);
    wait = std::min(wait, kStandBack);
  }
  std::array<pollfd, 2> doors = {
      {{bell_, POLLIN, 0}, {stands_back ? -1 : epoll_, POLLIN, 0}}};
  const timespec timeout{wait / kSecond, wait % kSecond};
  ::ppoll(doors.data(), doors.size(), &timeout, nullptr);
  asleep_.exchange(false, std::memory_order_acq_rel);
  uint64_t ignored = 0;
  if (doors[0].revents != 0) (void)!::read(bell_, &ignored, sizeof ignored);
}

void Engine::Assist(TimePoint now) {
  last_assist_.store(now, std::memory_order_relaxed);
  std::unique_lock lock(turn_, std::try_to_lock);
  if (!lock.owns_lock()) return;
  turner_.store(std::this_thread::get_id(), std::memory_order_relaxed);
  TakeEvents(0);
  for (int i = 0; i < kTurnsOfAssistant; ++i) {
    if (!Turn(now) || !HasReady()) break;
  }
  turner_.store({}, std::memory_order_relaxed);
  lock.unlock();
  // It may sleep until a deadline that is not the nearest any more.
  if (asleep_.load(std::memory_order_relaxed) &&
      asleep_.exchange(false, std::memory_order_acq_rel)) {
    Ring();
  }
}

// Collects events; waits for them only if nothing is ready and the time to
// spin is over.
bool Engine::Sleep(TimePoint now, Duration spin, TimePoint idle_since) {
  if (HasReady() || now - idle_since < spin) return TakeEvents(0);
  asleep_.exchange(true, std::memory_order_acq_rel);
  if (RunCommands(now)) {
    asleep_.exchange(false, std::memory_order_acq_rel);
    return true;
  }
  const TimePoint deadline = timers_.Next();
  const bool worked = TakeEvents(
      deadline == kNever ? kNever : std::max<Duration>(0, deadline - now));
  // Exchanged, not stored: a store would cut the chain by which the next
  // exchange sees what was posted before this one.
  asleep_.exchange(false, std::memory_order_acq_rel);
  return worked;
}

int Engine::Await(std::span<epoll_event> events, Duration timeout) const {
  const int most = static_cast<int>(events.size());
  if (fine_waits_) {
    const timespec wait{timeout / kSecond, timeout % kSecond};
    return ::epoll_pwait2(epoll_, events.data(), most,
                          timeout == kNever ? nullptr : &wait, nullptr);
  }
  // Rounded up: rather a deadline a little late than a busy loop before it.
  const Duration wait =
      timeout / kMillisecond + (timeout % kMillisecond > 0 ? 1 : 0);
  return ::epoll_wait(
      epoll_, events.data(), most,
      timeout == kNever ? -1
                        : static_cast<int>(std::min<Duration>(wait, INT_MAX)));
}

// NOLINTNEXTLINE(readability-make-member-function-const): not logically
bool Engine::TakeEvents(Duration timeout) {
  std::array<epoll_event, 64> events;
  const int count = Await(events, timeout);
  for (int i = 0; i < count; ++i) {
    const epoll_event& event = events[static_cast<size_t>(i)];
    auto* owner = static_cast<Pollable*>(event.data.ptr);
    if (owner == nullptr) {
      uint64_t ignored = 0;
      (void)!::read(wakeup_, &ignored, sizeof ignored);
      continue;
    }
    owner->events_ |= event.events;
    owner->Wake();
  }
  return count > 0;
}

}  // namespace longhaul
