#include "collective/operation.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <ctime>

#include "base/check.h"
#include "base/clock.h"
#include "collective/schedule_runner.h"

namespace longhaul {
namespace {

static_assert(sizeof(std::atomic<uint32_t>) == sizeof(uint32_t));

uint32_t* Word(std::atomic<uint32_t>* word) {
  return reinterpret_cast<uint32_t*>(word);
}

void FutexWait(std::atomic<uint32_t>* word, uint32_t expected,
               Duration patience) {
  const timespec timeout{patience / kSecond, patience % kSecond};
  ::syscall(SYS_futex, Word(word), FUTEX_WAIT_PRIVATE, expected,
            patience == kNever ? nullptr : &timeout, nullptr, 0);
}

void FutexWakeAll(std::atomic<uint32_t>* word) {
  ::syscall(SYS_futex, Word(word), FUTEX_WAKE_PRIVATE, INT_MAX, nullptr,
            nullptr, 0);
}

}  // namespace

bool Operation::Wait(Duration patience) {
  const TimePoint until = patience == kNever ? kNever : Now() + patience;
  for (;;) {
    uint32_t seen = word_.load(std::memory_order_acquire);
    if (seen == kDone) return true;
    const Duration left = until == kNever ? kNever : until - Now();
    if (left <= 0) return false;
    if (seen == kPending && !word_.compare_exchange_strong(
                                seen, kAwaited, std::memory_order_acq_rel)) {
      continue;
    }
    FutexWait(&word_, kAwaited, left);
  }
}

void Operation::Complete(const Status& status) {
  status_ = status;
  // The holder may release, and the table end, as soon as the word says done:
  // this hold keeps it until the sleepers are woken.
  OperationTable* table = table_;
  table->holds_.fetch_add(1, std::memory_order_relaxed);
  if (word_.exchange(kDone, std::memory_order_acq_rel) == kAwaited) {
    FutexWakeAll(&word_);
  }
  table->Drop();
}

void Operation::Release() {
  OperationTable* table = table_;
  held_.store(false, std::memory_order_release);
  table->Drop();
}

void Operation::Run(TimePoint now) { runner_->Start(*this, now); }

OperationTable::OperationTable(ScheduleRunner* runner)
    : operations_(new Operation[kSize]) {
  for (size_t i = 0; i < kSize; ++i) {
    operations_[i].table_ = this;
    operations_[i].runner_ = runner;
  }
}

Operation* OperationTable::Acquire() {
  for (size_t i = 0; i < kSize; ++i) {
    Operation& operation = operations_[(next_ + i) % kSize];
    if (operation.held_.load(std::memory_order_acquire)) continue;
    next_ = (next_ + i + 1) % kSize;
    holds_.fetch_add(1, std::memory_order_relaxed);
    operation.held_.store(true, std::memory_order_relaxed);
    operation.word_.store(Operation::kPending, std::memory_order_relaxed);
    operation.status_ = Status();
    return &operation;
  }
  return nullptr;
}

void OperationTable::Drop() {
  if (holds_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
}

}  // namespace longhaul
