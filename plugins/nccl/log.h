// NCCL's log, as the plugin uses it: lines begin with "NET/Longhaul : ".
//
// Any thread.
#pragma once

#include "abi/common.h"

namespace longhaul::nccl {

/// Lines go to `log` from now on; null: to nobody. NCCL hands it to init().
void SetLog(abi::LogFn log);

/// Shown with NCCL_DEBUG=WARN or higher; for what a user must know.
[[gnu::format(printf, 1, 2)]] void Warn(const char* format, ...);
/// Shown with NCCL_DEBUG=INFO, whatever the subsystems.
[[gnu::format(printf, 1, 2)]] void Info(const char* format, ...);

}  // namespace longhaul::nccl
