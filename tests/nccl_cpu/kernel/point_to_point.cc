// Sends and receives between pairs of ranks.
#include <nccl.h>

#include <algorithm>
#include <cstring>

#include "kernel/families.h"

namespace nccl_cpu {
namespace {

using nccl_abi::DecodeChunkSize;
using nccl_abi::kMaxNetSize;
using nccl_abi::WorkP2p;

// One channel's share of a transfer with a peer. Sizes in bytes.
struct Transfer {
  int peer;
  char* address;
  ssize_t bytes;
  ssize_t chunk;
  bool net_reg;  // the network has the buffer registered
  int proto;
};

PrimitivesConfig ConfigOf(const Block& block, const Transfer& transfer) {
  PrimitivesConfig config;
  config.reduction.type = ncclInt8;
  config.step_size =
      transfer.net_reg ? kMaxNetSize : block.comm->p2p_chunk_size;
  return config;
}

Task Send(Block& block, Transfer transfer) {
  PrimitivesConfig config = ConfigOf(block, transfer);
  config.send_peers = {transfer.peer};
  config.send_conn = 1;
  config.input = transfer.address;
  config.send_net_reg = transfer.net_reg;
  const auto prims = MakePrimitives(block, config, transfer.proto);
  ssize_t done = 0;
  do {
    const ssize_t size = std::min(transfer.chunk, transfer.bytes - done);
    co_await prims->Send(done, size);
    done += size;
  } while (done < transfer.bytes);
  co_await prims->Finish();
}

Task Receive(Block& block, Transfer transfer) {
  PrimitivesConfig config = ConfigOf(block, transfer);
  config.recv_peers = {transfer.peer};
  config.recv_conn = 1;
  config.output = transfer.address;
  config.recv_net_reg = transfer.net_reg;
  const auto prims = MakePrimitives(block, config, transfer.proto);
  ssize_t done = 0;
  do {
    const ssize_t size = std::min(transfer.chunk, transfer.bytes - done);
    co_await prims->Recv(done, size);
    done += size;
  } while (done < transfer.bytes);
  co_await prims->Finish();
}

struct Range {
  size_t begin = 0, end = 0;
};

// Which bytes of a transfer are a channel's, when it is cut into `parts` of
// whole 4 KiB pages. Nothing for a channel beyond the parts.
Range RangeOf(int parts, int part, size_t bytes) {
  if (part >= parts) return {};
  const size_t size = RoundUp<size_t>(
      DivideUp<size_t>(bytes, static_cast<size_t>(parts)), 4096);
  const auto index = static_cast<size_t>(part);
  return {std::min(index * size, bytes), std::min((index + 1) * size, bytes)};
}

Transfer TransferOf(int peer, char* base, Range range, uint8_t chunk_code,
                    bool net_reg, bool low_latency) {
  return {peer,
          base + range.begin,
          static_cast<ssize_t>(range.end - range.begin),
          net_reg ? kMaxNetSize : ssize_t{DecodeChunkSize(chunk_code)},
          net_reg,
          low_latency ? nccl_abi::kProtoLl : nccl_abi::kProtoSimple};
}

void AddTransfers(FiberGroup& group, Block& block, const WorkP2p& work) {
  const int part =
      (block.channel_id - work.channel_base) & (work.n_p2p_channels - 1);
  const bool sends = part < work.n_send_channels;
  const bool receives = part < work.n_recv_channels;
  if (work.send_ipc_reg != 0 || work.recv_ipc_reg != 0) {
    Unsupported("send and receive on buffers shared between GPUs");
  }
  const Range out = RangeOf(work.n_send_channels, part, work.send_bytes);
  const Range in = RangeOf(work.n_recv_channels, part, work.recv_bytes);
  if (work.send_rank == block.comm->rank) {  // to itself
    if ((sends || receives) && work.send_address != work.recv_address) {
      memmove(work.recv_address + in.begin, work.send_address + out.begin,
              out.end - out.begin);
    }
    return;
  }
  if (sends) {
    group.Add(Send(
        block,
        TransferOf(work.send_rank, work.send_address, out, work.send_chunk_code,
                   work.send_net_reg != 0, work.send_proto_ll != 0)));
  }
  if (receives) {
    group.Add(Receive(
        block,
        TransferOf(work.recv_rank, work.recv_address, in, work.recv_chunk_code,
                   work.recv_net_reg != 0, work.recv_proto_ll != 0)));
  }
}

}  // namespace

Task PointToPoint(Block& block, const std::vector<const char*>& works) {
  FiberGroup group;
  for (const char* raw : works) {
    AddTransfers(group, block, *reinterpret_cast<const WorkP2p*>(raw));
  }
  co_await RunTogether(group);
}

}  // namespace nccl_cpu
