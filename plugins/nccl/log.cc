#include "log.h"

#include <atomic>
#include <cstdarg>
#include <cstdio>

namespace longhaul::nccl {
namespace {

// One for the process, as NCCL's is: threads of the plugin may speak when no
// call of NCCL is under way.
std::atomic<abi::LogFn> nccl_log{nullptr};

void Write(abi::LogLevel level, const char* format, va_list arguments) {
  const abi::LogFn log = nccl_log.load(std::memory_order_acquire);
  if (log == nullptr) return;
  char text[1024];
  std::vsnprintf(text, sizeof text, format, arguments);
  // INIT is shown by default; NET alone would have to be asked for.
  log(level, abi::kLogInit | abi::kLogNet, "longhaul", 0, "NET/Longhaul : %s",
      text);
}

}  // namespace

void SetLog(abi::LogFn log) { nccl_log.store(log, std::memory_order_release); }

void Warn(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  Write(abi::LogLevel::kWarn, format, arguments);
  va_end(arguments);
}

void Info(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  Write(abi::LogLevel::kInfo, format, arguments);
  va_end(arguments);
}

}  // namespace longhaul::nccl
