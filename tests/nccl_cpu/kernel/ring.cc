// The ring algorithms: every rank receives from one neighbour and sends to the
// other.
#include <algorithm>
#include <cstring>

#include "kernel/families.h"

namespace nccl_cpu {
namespace {

using nccl_abi::WorkColl;

// How the collectives that pass chunks on cut each of them.
constexpr int kSlices = 2;
constexpr int kStepsPerSlice = 2;

PrimitivesConfig RingConfig(const Block& block, const WorkColl& work,
                            const FuncRow& row, int slices,
                            int steps_per_slice) {
  PrimitivesConfig config = CollectiveConfig(work, row);
  config.recv_peers = {block.channel->ring.prev};
  config.send_peers = {block.channel->ring.next};
  config.slices_per_chunk = slices;
  config.steps_per_slice = steps_per_slice;
  return config;
}

ssize_t SizeOf(const FuncRow& row) {
  return static_cast<ssize_t>(TypeSize(row.type));
}

// With one rank per node and registered buffers the NIC sends from and receives
// into the user's memory: the kernel only counts steps.
bool Offloaded(const WorkColl& work) {
  return work.is_one_rank_per_node != 0 && work.net_reg_used != 0;
}

}  // namespace

Task AllReduceRing(Block& block, const WorkColl& work, const FuncRow& row) {
  const ssize_t element = SizeOf(row);
  const int n = block.comm->n_ranks, me = block.channel->ring.index;
  const Part part = PartOfChannel(work, block.channel_id, element, row.proto);
  PrimitivesConfig config =
      RingConfig(block, work, row, kSlices, kStepsPerSlice);
  config.send_net_reg = config.recv_net_reg = work.net_reg_used != 0;
  const auto prims = MakePrimitives(block, config, row.proto);
  const ssize_t loop = n * part.chunk;
  ssize_t chunk = part.chunk;
  for (ssize_t done = 0; done < part.count; done += loop) {
    const ssize_t left = part.count - done;
    if (left < loop) {
      chunk = RoundUp<ssize_t>(DivideUp<ssize_t>(left, n), 16 / element);
    }
    const auto at = [&](int i) { return part.offset + done + (i % n) * chunk; };
    const auto size = [&](int i) {
      return std::min(chunk, left - (i % n) * chunk);
    };
    // Reduce around the ring, then pass the results around it.
    co_await prims->Send(at(me + n - 1), size(me + n - 1));
    for (int j = 2; j < n; ++j) {
      co_await prims->RecvReduceSend(at(me + n - j), size(me + n - j));
    }
    co_await prims->RecvReduceCopySend(at(me), at(me), size(me), true);
    for (int j = 1; j < n - 1; ++j) {
      co_await prims->RecvCopySend(at(me + n - j), size(me + n - j));
    }
    co_await prims->Recv(at(me + 1), size(me + 1));
  }
  co_await prims->Finish();
}

Task AllGatherRing(Block& block, const WorkColl& work, const FuncRow& row) {
  const int n = block.comm->n_ranks;
  const int* ranks = block.channel->ring.user_ranks;
  Part part = PartOfChannel(work, block.channel_id, 1, row.proto);
  const bool offloaded = Offloaded(work);
  PrimitivesConfig config =
      RingConfig(block, work, row, kSlices, kStepsPerSlice);
  if (offloaded) {
    config = RingConfig(block, work, row, 1, 1);
    config.step_size = part.chunk = nccl_abi::kMaxNetSize;
    config.send_net_reg = config.recv_net_reg = true;
    char* mine = work.recv_buffer + ranks[0] * part.total;
    if (work.send_buffer != mine) {
      memmove(mine + part.offset, work.send_buffer + part.offset,
              static_cast<size_t>(part.count));
    }
  }
  const auto prims = MakePrimitives(block, config, row.proto);
  for (ssize_t done = 0; done < part.count; done += part.chunk) {
    const ssize_t size = std::min(part.chunk, part.count - done);
    const ssize_t data = part.offset + done;
    const auto at = [&](int i) { return data + ranks[i] * part.total; };
    if (offloaded || work.send_buffer + data == work.recv_buffer + at(0)) {
      co_await prims->Send(data, size);
    } else {
      co_await prims->CopySend(data, at(0), size);
    }
    for (int j = 1; j < n - 1; ++j) {
      co_await prims->RecvCopySend(at(n - j), size);
    }
    co_await prims->Recv(at(1), size);
  }
  co_await prims->Finish();
}

Task ReduceScatterRing(Block& block, const WorkColl& work, const FuncRow& row) {
  const int n = block.comm->n_ranks;
  const int* ranks = block.channel->ring.user_ranks;
  const Part part =
      PartOfChannel(work, block.channel_id, SizeOf(row), row.proto);
  const auto prims = MakePrimitives(
      block, RingConfig(block, work, row, kSlices, kStepsPerSlice), row.proto);
  for (ssize_t done = 0; done < part.count; done += part.chunk) {
    const ssize_t size = std::min(part.chunk, part.count - done);
    const ssize_t data = part.offset + done;
    const auto at = [&](int i) { return data + ranks[i] * part.total; };
    co_await prims->Send(at(n - 1), size);
    for (int j = 2; j < n; ++j) {
      co_await prims->RecvReduceSend(at(n - j), size);
    }
    co_await prims->RecvReduceCopy(at(0), data, size, true);
  }
  co_await prims->Finish();
}

Task BroadcastRing(Block& block, const WorkColl& work, const FuncRow& row) {
  const int rank = block.channel->ring.user_ranks[0];
  const int next = block.channel->ring.user_ranks[1];
  const int root = static_cast<int>(work.root);
  const Part part = PartOfChannel(work, block.channel_id, 1, row.proto);
  const bool offloaded = Offloaded(work);
  PrimitivesConfig config = RingConfig(block, work, row, 1, 1);
  config.send_net_reg = config.recv_net_reg = work.net_reg_used != 0;
  const auto prims = MakePrimitives(block, config, row.proto);
  if (offloaded && rank == root && work.send_buffer != work.recv_buffer) {
    memmove(work.recv_buffer + part.offset, work.send_buffer + part.offset,
            static_cast<size_t>(part.count));
  }
  for (ssize_t done = 0; done < part.count; done += part.chunk) {
    const ssize_t at = part.offset + done;
    const ssize_t size = std::min(part.chunk, part.count - done);
    if (next == root) {
      co_await prims->Recv(at, size);
    } else if (rank != root) {
      co_await prims->RecvCopySend(at, size);
    } else if (offloaded || work.send_buffer == work.recv_buffer) {
      co_await prims->Send(at, size);
    } else {
      co_await prims->CopySend(at, at, size);
    }
  }
  co_await prims->Finish();
}

Task ReduceRing(Block& block, const WorkColl& work, const FuncRow& row) {
  const int prev = block.channel->ring.user_ranks[block.comm->n_ranks - 1];
  const int root = static_cast<int>(work.root);
  const Part part =
      PartOfChannel(work, block.channel_id, SizeOf(row), row.proto);
  const auto prims =
      MakePrimitives(block, RingConfig(block, work, row, 1, 1), row.proto);
  for (ssize_t done = 0; done < part.count; done += part.chunk) {
    const ssize_t at = part.offset + done;
    const ssize_t size = std::min(part.chunk, part.count - done);
    if (prev == root) {
      co_await prims->Send(at, size);
    } else if (block.comm->rank == root) {
      co_await prims->RecvReduceCopy(at, at, size, true);
    } else {
      co_await prims->RecvReduceSend(at, size);
    }
  }
  co_await prims->Finish();
}

}  // namespace nccl_cpu
