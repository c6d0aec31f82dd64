// Faults as NCCL's border knows them.
//
// Pure functions; any thread.
#pragma once

#include <longhaul/status.h>

#include <exception>

#include "abi/common.h"
#include "log.h"

namespace longhaul::nccl {

inline abi::ResultCode CodeOf(const Status& status) {
  switch (status.code()) {
    case StatusCode::kOk:
      return abi::ResultCode::kSuccess;
    case StatusCode::kInvalidArgument:
    case StatusCode::kUnsupported:
      return abi::ResultCode::kInvalidUsage;
    case StatusCode::kExhausted:
      return abi::ResultCode::kSystemError;
    case StatusCode::kTimedOut:
    case StatusCode::kUnreachable:
    case StatusCode::kCorrupt:
    case StatusCode::kAborted:
      return abi::ResultCode::kRemoteError;
    case StatusCode::kInternal:
      break;
  }
  return abi::ResultCode::kInternalError;
}

/// Tells the user, since some versions of NCCL swallow codes, and gives the
/// code.
inline abi::ResultCode Refuse(const char* call, const Status& status) {
  Warn("%s: %s", call, status.text().c_str());
  return CodeOf(status);
}

/// Runs set-up work of which nothing may be thrown across the border.
template <typename Work>
abi::ResultCode Guarded(const char* call, Work work) noexcept {
  try {
    return work();
  } catch (const std::exception& e) {
    Warn("%s: %s", call, e.what());
    return abi::ResultCode::kSystemError;
  }
}

}  // namespace longhaul::nccl
