// The tree algorithm: sums go up to the root, the result comes down.
#include <algorithm>
#include <vector>

#include "kernel/families.h"

namespace nccl_cpu {
namespace {

using nccl_abi::Tree;
using nccl_abi::WorkColl;

std::vector<int> ChildrenOf(const Tree& tree) {
  std::vector<int> children;
  for (int child : tree.down) {
    if (child == -1) break;
    children.push_back(child);
  }
  return children;
}

ssize_t ChunkAt(const Part& part, ssize_t done) {
  return std::min(part.chunk, part.count - done);
}

Task Root(Block& block, const WorkColl& work, const FuncRow& row, Part part) {
  PrimitivesConfig config = CollectiveConfig(work, row);
  config.recv_peers = config.send_peers = ChildrenOf(block.channel->tree);
  const auto prims = MakePrimitives(block, config, row.proto);
  for (ssize_t done = 0; done < part.count; done += part.chunk) {
    const ssize_t at = part.offset + done;
    co_await prims->RecvReduceCopySend(at, at, ChunkAt(part, done), true);
  }
  co_await prims->Finish();
}

Task Up(Block& block, const WorkColl& work, const FuncRow& row, Part part) {
  PrimitivesConfig config = CollectiveConfig(work, row);
  config.recv_peers = ChildrenOf(block.channel->tree);
  config.send_peers = {block.channel->tree.up};
  const auto prims = MakePrimitives(block, config, row.proto);
  for (ssize_t done = 0; done < part.count; done += part.chunk) {
    const ssize_t at = part.offset + done, size = ChunkAt(part, done);
    if (config.recv_peers.empty()) {
      co_await prims->Send(at, size);
    } else {
      co_await prims->RecvReduceSend(at, size);
    }
  }
  co_await prims->Finish();
}

Task Down(Block& block, const WorkColl& work, const FuncRow& row, Part part) {
  PrimitivesConfig config = CollectiveConfig(work, row);
  config.recv_peers = {block.channel->tree.up};
  config.send_peers = ChildrenOf(block.channel->tree);
  const auto prims = MakePrimitives(block, config, row.proto);
  for (ssize_t done = 0; done < part.count; done += part.chunk) {
    const ssize_t at = part.offset + done, size = ChunkAt(part, done);
    if (config.send_peers.empty()) {
      co_await prims->Recv(at, size);
    } else {
      co_await prims->RecvCopySend(at, size);
    }
  }
  co_await prims->Finish();
}

}  // namespace

Task AllReduceTree(Block& block, const WorkColl& work, const FuncRow& row) {
  const Part part =
      PartOfChannel(work, block.channel_id,
                    static_cast<ssize_t>(TypeSize(row.type)), row.proto);
  if (block.channel->tree.up == -1) {
    co_await Root(block, work, row, part);
    co_return;
  }
  FiberGroup group;
  group.Add(Up(block, work, row, part));
  group.Add(Down(block, work, row, part));
  co_await RunTogether(group);
}

}  // namespace nccl_cpu
