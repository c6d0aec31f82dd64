// Yielding, where cores are few. NCCL's proxy threads poll without end and
// yield in between, which is right on a host with cores to spare. Here all
// ranks of a job share a core or two, and a scheduler that has only such
// threads to choose from lets each use up its time while the one that has work
// waits. So who yields sleeps for a moment instead: for NCCL's own transports
// and for plugins alike.
//
//   NCCL_CPU_YIELD   how long, in microseconds (100); 0: yields, as the system
//                    does
//
// Any thread.
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdlib>
#include <ctime>

namespace nccl_cpu {
namespace {

constexpr long kUsualPause = 100;  // us

long Pause() {
  const char* const said = std::getenv("NCCL_CPU_YIELD");
  return said == nullptr ? kUsualPause : std::strtol(said, nullptr, 10);
}

// Once per thread: by default a sleep may be 50 us late.
bool SleepExactly() { return ::prctl(PR_SET_TIMERSLACK, 1000UL) == 0; }

}  // namespace
}  // namespace nccl_cpu

extern "C" __attribute__((visibility("default"))) int sched_yield() noexcept {
  static const long pause = nccl_cpu::Pause();
  if (pause <= 0) return static_cast<int>(::syscall(SYS_sched_yield));
  thread_local const bool exact = nccl_cpu::SleepExactly();
  (void)exact;
  const timespec time{0, pause * 1000};
  ::nanosleep(&time, nullptr);
  return 0;
}
