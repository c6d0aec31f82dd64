// The arguments of all-gather and reduce-scatter, checked.
//
// Pure functions; any thread.
#pragma once

#include <longhaul/communicator.h>
#include <longhaul/status.h>
#include <longhaul/types.h>

#include "collective/operation.h"

namespace longhaul {

/// What a caller has passed; `op` is of no account to an all-gather.
struct BlockArguments {
  const void* input = nullptr;
  void* output = nullptr;
  size_t block = 0;
  Window window;
  DataType type = DataType::kInt8;
  ReduceOp op = ReduceOp::kSum;
};

/// The call of rank `self` of `size`. kInvalidArgument: no such type or
/// operator; more bytes than memory can hold; a window that is not in the
/// vector; a null pointer to some elements; input and output that overlap
/// without one being its place in the other.
Result<OperationCall> MakeBlockCall(Collective collective,
                                    const BlockArguments& arguments, Rank self,
                                    Rank size);

}  // namespace longhaul
