// CollNet: the network does the reducing, the kernel feeds it. The GPUs of a
// node form a chain to the one that talks to the network (CollNetChain); in
// CollNetDirect each has a share of the data and a network port of its own,
// which is here for a single GPU per node only.
#include <algorithm>
#include <cstring>

#include "kernel/families.h"
#include "kernel/simple_primitives.h"

namespace nccl_cpu {
namespace {

using nccl_abi::ConnInfo;
using nccl_abi::Direct;
using nccl_abi::WorkColl;

constexpr int kNobody = -1;

[[noreturn]] void SeveralGpus() {
  Unsupported("CollNetDirect with several GPUs in a node");
}

int ChannelsOf(const WorkColl& work) {
  return static_cast<int>(work.channel_hi) - static_cast<int>(work.channel_lo) +
         1;
}
int ShareOf(const Block& block, const WorkColl& work) {
  return block.channel_id - static_cast<int>(work.channel_lo);
}

// Registered buffers: one step tells the proxy to go, one tells the kernel that
// all is done.
Task NotifyNet(Block& block, int peer) {
  ConnInfo* conn = &block.channel->peers[peer]->send[1];
  conn->step += 1;
  StoreCounter(conn->tail, conn->step);
  co_return;
}

Task AwaitNet(Block& block, int peer) {
  ConnInfo* conn = &block.channel->peers[peer]->recv[0];
  conn->step += 1;
  StoreCounter(conn->head, conn->step);
  co_await WaitUntil([&block, conn] {
    return LoadCounter(conn->tail) >= conn->step || block.aborted();
  });
}

// The chunks that one channel takes in turn with the others, in elements.
struct ChunkWalk {
  ssize_t first, chunk, stride, size;

  ssize_t At(ssize_t grid) const { return grid + first; }
  ssize_t SizeAt(ssize_t grid) const {
    return std::min(chunk, size - At(grid));
  }
};

// `from`: the GPU further down the chain, or kNobody.
Task ToNet(Block& block, const WorkColl& work, const FuncRow& row, int from,
           int to, ChunkWalk walk) {
  PrimitivesConfig config = CollectiveConfig(work, row);
  if (from != kNobody) config.recv_peers = {from};
  config.send_peers = {to};
  config.recv_conn = config.send_conn = 1;
  SimplePrimitives prims(block, config);
  for (ssize_t grid = 0; grid < walk.size; grid += walk.stride) {
    if (from == kNobody) {
      co_await prims.Send(walk.At(grid), walk.SizeAt(grid));
    } else {
      co_await prims.RecvReduceSend(walk.At(grid), walk.SizeAt(grid));
    }
  }
  co_await prims.Finish();
}

Task FromNet(Block& block, const WorkColl& work, const FuncRow& row, int from,
             int to, ChunkWalk walk) {
  PrimitivesConfig config = CollectiveConfig(work, row);
  config.recv_peers = {from};
  if (to != kNobody) config.send_peers = {to};
  SimplePrimitives prims(block, config);
  const bool first = from == block.comm->n_ranks;
  for (ssize_t grid = 0; grid < walk.size; grid += walk.stride) {
    const ssize_t at = walk.At(grid), size = walk.SizeAt(grid);
    if (to == kNobody) {
      co_await prims.Recv(at, size, first);
    } else {
      co_await prims.RecvCopySend(at, size, first);
    }
  }
  co_await prims.Finish();
}

// All-gather and reduce-scatter: the nodes' parts lie one after the other in a
// global range, which the channels walk through in chunks. A chunk may span the
// parts of several nodes. In units of `unit` bytes each; all members in bytes.
class GlobalWalk {
 public:
  GlobalWalk(const Block& block, const WorkColl& work, size_t unit)
      : block_(block),
        per_rank_(static_cast<ssize_t>(work.collnet.count * unit)),
        total_(block.comm->n_nodes * per_rank_),
        chunk_(static_cast<ssize_t>(work.collnet.chunk_count * unit)),
        stride_(ChannelsOf(work) * chunk_),
        first_(ShareOf(block, work) * chunk_) {}

  ssize_t per_rank() const { return per_rank_; }
  ssize_t total() const { return total_; }
  ssize_t stride() const { return stride_; }
  ssize_t Begin(ssize_t grid) const { return std::min(grid + first_, total_); }
  ssize_t End(ssize_t grid) const {
    return std::min(Begin(grid) + chunk_, total_);
  }

  /// Calls use(rank, offset in its part, offset in the chunk, size) for each
  /// rank that a chunk touches.
  template <typename Use>
  void ForPieces(ssize_t grid, Use use) const {
    for (ssize_t at = Begin(grid); at < End(grid);) {
      const ssize_t node = at / per_rank_;
      const ssize_t size = std::min(End(grid), (node + 1) * per_rank_) - at;
      use(block_.comm->collnet_dense_to_user_rank[node], at - node * per_rank_,
          at - Begin(grid), size);
      at += size;
    }
  }

  struct Piece {
    ssize_t at, size;
  };
  /// Where a chunk meets this node's part, relative to the part.
  Piece Mine(ssize_t grid) const {
    const ssize_t base = block_.comm->node * per_rank_;
    const ssize_t from = std::max(Begin(grid), base);
    const ssize_t to = std::min(End(grid), base + per_rank_);
    return {from - base, std::max<ssize_t>(0, to - from)};
  }

 private:
  const Block& block_;
  ssize_t per_rank_, total_, chunk_, stride_, first_;
};

PrimitivesConfig ToNetConfig(const Block& block, const WorkColl& work,
                             const FuncRow& row) {
  PrimitivesConfig config = CollectiveConfig(work, row);
  config.send_peers = {block.channel->collnet_direct.out};
  config.send_conn = 1;
  return config;
}

PrimitivesConfig FromNetConfig(const Block& block, const WorkColl& work,
                               const FuncRow& row) {
  PrimitivesConfig config = CollectiveConfig(work, row);
  config.recv_peers = {block.channel->collnet_direct.out};
  return config;
}

// All-gather: this node's part goes out.
Task PartToNet(Block& block, const WorkColl& work, const FuncRow& row) {
  SimplePrimitives prims(block, ToNetConfig(block, work, row));
  const GlobalWalk walk(block, work, 1);
  for (ssize_t grid = 0; grid < walk.total(); grid += walk.stride()) {
    const GlobalWalk::Piece mine = walk.Mine(grid);
    co_await prims.Send(mine.at, mine.size);
  }
  co_await prims.Finish();
}

// All-gather: everybody's parts come in.
Task AllFromNet(Block& block, const WorkColl& work, const FuncRow& row) {
  SimplePrimitives prims(block, FromNetConfig(block, work, row));
  const GlobalWalk walk(block, work, 1);
  const int me = block.comm->rank;
  const bool in_place =
      work.send_buffer == work.recv_buffer + me * walk.per_rank();
  for (ssize_t grid = 0; grid < walk.total(); grid += walk.stride()) {
    co_await prims.RecvStep([&](const char* slot) {
      walk.ForPieces(grid,
                     [&](int rank, ssize_t at, ssize_t from, ssize_t size) {
                       if (in_place && rank == me) return;
                       memcpy(work.recv_buffer + rank * walk.per_rank() + at,
                              slot + from, static_cast<size_t>(size));
                     });
    });
  }
  co_await prims.Finish();
}

// Reduce-scatter: what this node has for everybody goes out.
Task AllToNet(Block& block, const WorkColl& work, const FuncRow& row) {
  const PrimitivesConfig config = ToNetConfig(block, work, row);
  SimplePrimitives prims(block, config);
  const size_t element = TypeSize(row.type);
  const GlobalWalk walk(block, work, element);
  for (ssize_t grid = 0; grid < walk.total(); grid += walk.stride()) {
    co_await prims.SendStep([&](char* slot) {
      walk.ForPieces(grid, [&](int rank, ssize_t at, ssize_t to, ssize_t size) {
        char* source = work.send_buffer + rank * walk.per_rank() + at;
        char* target = slot + to;
        ReduceCopy(config.reduction, {.pre = true}, {&source, 1}, {&target, 1},
                   static_cast<size_t>(size) / element);
      });
      return walk.End(grid) - walk.Begin(grid);
    });
  }
  co_await prims.Finish();
}

// Reduce-scatter: this node's part comes in, reduced.
Task PartFromNet(Block& block, const WorkColl& work, const FuncRow& row) {
  SimplePrimitives prims(block, FromNetConfig(block, work, row));
  const size_t element = TypeSize(row.type);
  const GlobalWalk walk(block, work, element);
  for (ssize_t grid = 0; grid < walk.total(); grid += walk.stride()) {
    const GlobalWalk::Piece mine = walk.Mine(grid);
    co_await prims.Recv(mine.at / static_cast<ssize_t>(element),
                        mine.size / static_cast<ssize_t>(element), true);
  }
  co_await prims.Finish();
}

// The only GPU of a node, and so its head.
void CheckSingle(const Direct& direct) {
  if (direct.n_heads != 1 || direct.down[0] >= 0 || direct.out < 0) {
    SeveralGpus();
  }
}

// One side's tasks, or with registered buffers a step to and fro.
Task Exchange(Block& block, const WorkColl& work, int peer, Task to_net,
              Task from_net) {
  FiberGroup group;
  if (work.net_reg_used != 0) {
    group.Add(NotifyNet(block, peer));
    group.Add(AwaitNet(block, peer));
  } else {
    group.Add(std::move(to_net));
    group.Add(std::move(from_net));
  }
  co_await RunTogether(group);
}

}  // namespace

Task AllReduceCollNet(Block& block, const WorkColl& work, const FuncRow& row) {
  const auto chunk = static_cast<ssize_t>(work.collnet.chunk_count);
  const auto size = static_cast<ssize_t>(work.collnet.count);
  const ssize_t share = ShareOf(block, work), channels = ChannelsOf(work);
  int up = 0, down = kNobody;  // towards the network, away from it
  ChunkWalk walk{};
  if (row.algo == nccl_abi::kAlgoCollNetDirect) {
    const Direct& direct = block.channel->collnet_direct;
    if (direct.up[0] >= 0 || direct.down[0] >= 0) SeveralGpus();
    up = direct.out;
    walk = {(share * direct.n_heads + direct.head_rank) * chunk, chunk,
            channels * direct.n_heads * chunk, size};
  } else {
    up = block.channel->collnet_chain.up;
    down = block.channel->collnet_chain.down[0];
    walk = {share * chunk, chunk, channels * chunk, size};
  }
  if (work.net_reg_used != 0 &&
      (up != block.comm->n_ranks || down != kNobody)) {
    Unsupported("CollNet on registered buffers with several GPUs in a node");
  }
  return Exchange(block, work, up, ToNet(block, work, row, down, up, walk),
                  FromNet(block, work, row, up, down, walk));
}

Task AllGatherCollNet(Block& block, const WorkColl& work, const FuncRow& row) {
  CheckSingle(block.channel->collnet_direct);
  return Exchange(block, work, block.channel->collnet_direct.out,
                  PartToNet(block, work, row), AllFromNet(block, work, row));
}

Task ReduceScatterCollNet(Block& block, const WorkColl& work,
                          const FuncRow& row) {
  CheckSingle(block.channel->collnet_direct);
  return Exchange(block, work, block.channel->collnet_direct.out,
                  AllToNet(block, work, row), PartFromNet(block, work, row));
}

}  // namespace nccl_cpu
