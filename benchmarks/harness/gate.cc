#include "harness/gate.h"

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <functional>
#include <memory>
#include <string_view>

#include "base/clock.h"

namespace longhaul::bench {
namespace {

// How long before the instant a rank should be there, for its sleep to end on
// time.
constexpr Duration kEnough = 300 * kMicrosecond;

void SleepUntil(TimePoint when) {
  timespec until{};
  until.tv_sec = static_cast<time_t>(when / kSecond);
  until.tv_nsec = when % kSecond;
  while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, nullptr) ==
         EINTR) {
  }
}

// A number that differs between machines, and between starts of one.
int64_t ClockIdentity() {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(
      std::fopen("/proc/sys/kernel/random/boot_id", "re"), std::fclose);
  char text[64] = {};
  if (file == nullptr || std::fgets(text, sizeof text, file.get()) == nullptr) {
    return Now();  // as good as unknown
  }
  return static_cast<int64_t>(
      std::hash<std::string_view>{}(std::string_view(text)) >> 1);
}

}  // namespace

Status Gate::SetUp() {
  const int64_t own = ClockIdentity();
  int64_t ends[2] = {own, -own};
  Status status = subject_.Combine(ends, 2, DataType::kInt64, ReduceOp::kMax);
  shares_clock_ = status.ok() && ends[0] == own && ends[1] == -own;
  // Equal everywhere: each rank compared its own with both ends.
  return status;
}

Status Gate::Pass() {
  if (!shares_clock_) {
    if (rest_ > 0) SleepUntil(Now() + rest_);
    Status started = subject_.StartBarrier();
    Status finished = subject_.Finish();
    return started.ok() ? finished : started;
  }
  int64_t start = Now() + std::max(margin_, rest_);
  Status status = subject_.Combine(&start, 1, DataType::kInt64, ReduceOp::kMax);
  if (!status.ok()) return status;
  const Duration slack = start - Now();
  if (slack < 0) ++late_;
  if (slack < kEnough) {
    margin_ += 2 * kEnough - slack;
  } else if (slack > 4 * kEnough) {
    margin_ -= slack / 8;
  }
  if (slack > 0) SleepUntil(start);
  return status;
}

}  // namespace longhaul::bench
