// A job's ranks as forked processes, watched until all have ended.
//
// For the only thread of a process, before it has any other.
#pragma once

#include <functional>

namespace nccl_cpu {

/// Forks `ranks` processes that call `run` with their rank; they end with what
/// it returns. True if all have ended with 0 within `timeout` seconds. With the
/// first failure, or then, the others are killed.
bool RunRanks(int ranks, int timeout, const std::function<int(int rank)>& run);

}  // namespace nccl_cpu
