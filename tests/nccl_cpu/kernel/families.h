// The families of NCCL's kernels, one source each: ring.cc, tree.cc,
// coll_net.cc, point_to_point.cc; and what they have in common.
//
// As a Block: the device's thread. The works must live until the tasks end.
#pragma once

#include <sys/types.h>

#include <vector>

#include "kernel/block.h"
#include "kernel/fiber.h"
#include "kernel/func_row.h"
#include "kernel/nccl_abi.h"
#include "kernel/primitives.h"

namespace nccl_cpu {

// One channel's share of a collective.
Task AllReduceRing(Block& block, const nccl_abi::WorkColl& work,
                   const FuncRow& row);
Task AllGatherRing(Block& block, const nccl_abi::WorkColl& work,
                   const FuncRow& row);
Task ReduceScatterRing(Block& block, const nccl_abi::WorkColl& work,
                       const FuncRow& row);
Task BroadcastRing(Block& block, const nccl_abi::WorkColl& work,
                   const FuncRow& row);
Task ReduceRing(Block& block, const nccl_abi::WorkColl& work,
                const FuncRow& row);
Task AllReduceTree(Block& block, const nccl_abi::WorkColl& work,
                   const FuncRow& row);
Task AllReduceCollNet(Block& block, const nccl_abi::WorkColl& work,
                      const FuncRow& row);
Task AllGatherCollNet(Block& block, const nccl_abi::WorkColl& work,
                      const FuncRow& row);
Task ReduceScatterCollNet(Block& block, const nccl_abi::WorkColl& work,
                          const FuncRow& row);

/// Sends and receives that run side by side; each of `works` is a WorkP2p.
Task PointToPoint(Block& block, const std::vector<const char*>& works);

/// A channel's part of a vector, in elements.
struct Part {
  ssize_t total;  ///< over all channels
  ssize_t offset, count, chunk;
};
Part PartOfChannel(const nccl_abi::WorkColl& work, int channel_id,
                   ssize_t element_size, int proto);

/// Buffers and operator of `work`; no peers.
PrimitivesConfig CollectiveConfig(const nccl_abi::WorkColl& work,
                                  const FuncRow& row);

}  // namespace nccl_cpu
