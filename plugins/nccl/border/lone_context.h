// The contexts behind the versions of the interface that have none (v8 to v10):
// one for the network and one for the collectives, opened by the first init()
// and shared by all that follow.
//
// These versions know no finalize either, so the process's exit closes what was
// opened here; not in a child that was forked off, which has our memory but not
// our threads.
//
// Any thread.
#pragma once

#include "abi/common.h"

namespace longhaul::nccl {

/// Calls Net().init once; later calls succeed and do nothing. After a failure
/// the next call tries again.
abi::ResultCode OpenNetOnce(abi::LogFn log, abi::ProfilerFn profiler) noexcept;
/// Null before OpenNetOnce() succeeded and after exit began.
void* NetContext() noexcept;

/// The same for CollNet().
abi::ResultCode OpenCollNetOnce(abi::LogFn log) noexcept;
void* CollNetContext() noexcept;

}  // namespace longhaul::nccl
