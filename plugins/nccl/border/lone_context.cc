#include "border/lone_context.h"

#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <mutex>

#include "collnet.h"
#include "net.h"

namespace longhaul::nccl {
namespace {

using abi::ResultCode;

class LoneContext {
 public:
  // `open` fills a context; `at_exit` will be called when the process ends.
  template <typename Open>
  ResultCode OpenOnce(Open open, void (*at_exit)()) {
    const std::lock_guard lock(mutex_);
    if (context_.load(std::memory_order_relaxed)) return ResultCode::kSuccess;
    void* context = nullptr;
    const ResultCode code = open(&context);
    if (code != ResultCode::kSuccess) return code;
    context_.store(context, std::memory_order_release);
    owner_ = getpid();
    // Registered after the implementation has made what it needs: what was
    // made first is destroyed last.
    if (!registered_) registered_ = std::atexit(at_exit) == 0;
    return ResultCode::kSuccess;
  }

  void* get() const { return context_.load(std::memory_order_acquire); }

  template <typename Finalize>
  void Close(Finalize finalize) {
    if (owner_ != getpid()) return;
    void* context = context_.exchange(nullptr, std::memory_order_acq_rel);
    if (context) finalize(context);
  }

 private:
  std::mutex mutex_;
  std::atomic<void*> context_ = nullptr;
  pid_t owner_ = 0;
  bool registered_ = false;
};

// Never destroyed: threads of NCCL may still call while the process ends.
LoneContext& OfNet() {
  static auto* const context = new LoneContext;
  return *context;
}

LoneContext& OfCollNet() {
  static auto* const context = new LoneContext;
  return *context;
}

}  // namespace

ResultCode OpenNetOnce(abi::LogFn log, abi::ProfilerFn profiler) noexcept {
  return OfNet().OpenOnce(
      [&](void** context) {
        return Net().init(context, 0, nullptr, log, profiler);
      },
      [] { OfNet().Close(Net().finalize); });
}

void* NetContext() noexcept { return OfNet().get(); }

ResultCode OpenCollNetOnce(abi::LogFn log) noexcept {
  return OfCollNet().OpenOnce(
      [&](void** context) { return CollNet().init(context, 0, log); },
      [] { OfCollNet().Close(CollNet().finalize); });
}

void* CollNetContext() noexcept { return OfCollNet().get(); }

}  // namespace longhaul::nccl
