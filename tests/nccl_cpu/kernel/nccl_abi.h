// Memory layout of the structures that libnccl's host code hands to its device
// kernels: NCCL 2.28.9, CUDA 13.0, x86-64. The kernels are private to NCCL, so
// these layouts are no stable interface: every size and offset was measured by
// compiling NCCL's own headers (tag v2.28.9-1) and is pinned by a
// static_assert, and redirect.cc refuses any other version. Only members that
// are read or written here have names; the rest is padding.
//
// Plain data. NCCL's proxy threads and the device's thread (engine.h) share
// counters and ConnFifo slots: those are read and written atomically.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>

namespace nccl_abi {

constexpr int kNcclVersionCode = 22809;

constexpr int kSteps = 8;  // slots in a connection's buffer
constexpr int kMaxChannels = 64;

constexpr int kProtoLl = 0;
constexpr int kProtoLl128 = 1;
constexpr int kProtoSimple = 2;
constexpr int kNumProtos = 3;

constexpr int kAlgoTree = 0;
constexpr int kAlgoRing = 1;
constexpr int kAlgoCollNetDirect = 2;
constexpr int kAlgoCollNetChain = 3;
constexpr int kAlgoNvls = 4;
constexpr int kAlgoNvlsTree = 5;
constexpr int kAlgoPat = 6;

constexpr int kFuncBroadcast = 0;
constexpr int kFuncReduce = 1;
constexpr int kFuncAllGather = 2;
constexpr int kFuncReduceScatter = 3;
constexpr int kFuncAllReduce = 4;
constexpr int kFuncSendRecv = 5;

constexpr int kNumTypes = 12;  // ncclDataType_t values 0..11, fp8 included

constexpr int kOpSum = 0;
constexpr int kOpProd = 1;
constexpr int kOpMinMax = 2;
constexpr int kOpPreMulSum = 3;
constexpr int kOpSumPostDiv = 4;
constexpr int kNumOps = 5;

/// ConnInfo::flags: the NIC itself reads and writes registered user buffers.
constexpr int kConnFlagDirectNic = 0x04;
/// ConnFifo::mode: `offset`, not the step number, says where the slot is.
constexpr int kFifoModeOffset = 1;
constexpr ssize_t kMaxNetSize = ssize_t{1} << 30;

/// One slot of the mailbox between a kernel and the network proxy thread.
struct ConnFifo {
  int mode;
  int offset;
  ssize_t size;
  void* ptr;
};
static_assert(sizeof(ConnFifo) == 24);

/// One direction of one connection with one peer.
struct ConnInfo {
  char* buffs[kNumProtos];
  void* mhandles[kNumProtos];
  uint64_t* tail;  ///< steps written by the sending side
  uint64_t* head;  ///< steps released by the receiving side
  int flags;
  int shared;
  int step_size;  ///< bytes of one Simple slot
  int pad0;
  void** ptr_exchange;
  uint64_t* red_op_arg_exchange;
  ConnFifo* conn_fifo;
  uint64_t step;  ///< survives from one kernel to the next
  uint64_t ll_last_cleaning;
  struct {
    int type, version;
    void* handle;
    size_t size;
    int needs_proxy_progress, pad;
  } net_device_handle;
};
static_assert(sizeof(ConnInfo) == 152 && offsetof(ConnInfo, tail) == 48 &&
              offsetof(ConnInfo, flags) == 64 &&
              offsetof(ConnInfo, step_size) == 72 &&
              offsetof(ConnInfo, ptr_exchange) == 80 &&
              offsetof(ConnInfo, conn_fifo) == 96 &&
              offsetof(ConnInfo, step) == 104 &&
              offsetof(ConnInfo, net_device_handle) == 120);

struct ChannelPeer {
  ConnInfo send[2];
  ConnInfo recv[2];
};
static_assert(sizeof(ChannelPeer) == 608);

struct Ring {
  int prev, next;
  int* user_ranks;
  int index;
  int pad;
};
static_assert(sizeof(Ring) == 24);

constexpr int kTreeArity = 3;
struct Tree {
  int depth;
  int up;
  int down[kTreeArity];
};
static_assert(sizeof(Tree) == 20);

constexpr int kDirectArity = 7;
struct Direct {
  int depth;
  int out;
  int n_heads;
  int head_rank;
  int shift;
  int heads[kDirectArity + 1];
  int up[kDirectArity];
  int down[kDirectArity];
};
static_assert(sizeof(Direct) == 108);

struct alignas(16) Channel {
  ChannelPeer** peers;
  Ring ring;
  Tree tree;
  Tree collnet_chain;
  Direct collnet_direct;
  char nvls[160];
  char pad0[4];
  uint32_t* work_fifo_done;
  uint64_t work_counter;
};
static_assert(sizeof(Channel) == 368 && offsetof(Channel, ring) == 8 &&
              offsetof(Channel, tree) == 32 &&
              offsetof(Channel, collnet_chain) == 52 &&
              offsetof(Channel, collnet_direct) == 72 &&
              offsetof(Channel, work_fifo_done) == 344 &&
              offsetof(Channel, work_counter) == 352);

struct Profiler {
  struct {
    uint64_t counter, timestamp;
  } data[64];
};
static_assert(sizeof(Profiler) == 1024);

struct Comm {
  int rank, n_ranks, node, n_nodes;
  int buff_sizes[kNumProtos];
  int p2p_chunk_size;
  int is_all_nvlink;
  int pad0;
  int* collnet_dense_to_user_rank;
  volatile uint32_t* abort_flag;
  Channel* channels;
  int* rank_to_local_rank;
  Profiler* work_started;
  Profiler* work_completed;
};
static_assert(sizeof(Comm) == 88 && offsetof(Comm, buff_sizes) == 16 &&
              offsetof(Comm, p2p_chunk_size) == 28 &&
              offsetof(Comm, collnet_dense_to_user_rank) == 40 &&
              offsetof(Comm, abort_flag) == 48 &&
              offsetof(Comm, channels) == 56 &&
              offsetof(Comm, work_completed) == 80);

// Kernel arguments.

enum WorkStorage : uint8_t {
  kWorkInArgs = 0,
  kWorkInFifo = 1,
  kWorkPersistent = 2,
};

struct alignas(16) KernelArgs {
  Comm* comm;
  uint64_t channel_mask;
  WorkStorage work_storage;
  char pad0[3];
  uint32_t work_mask;
  char* work_buf;
};
static_assert(sizeof(KernelArgs) == 32 &&
              offsetof(KernelArgs, work_storage) == 16 &&
              offsetof(KernelArgs, work_mask) == 20 &&
              offsetof(KernelArgs, work_buf) == 24);

enum WorkType : uint32_t { kWorkP2p = 0, kWorkColl = 1, kWorkCollReg = 2 };

/// A list of these follows KernelArgs; block b starts at entry b.
struct alignas(16) WorkBatch {
  uint32_t next_jump : 14, next_extends : 1, work_type : 2, func_id : 15;
  uint32_t offset_base;
  uint64_t offset_bitset;
};
static_assert(sizeof(WorkBatch) == 16);

/// How channels share a collective: parts of different size.
struct PartPerChannel {
  size_t count_lo, count_mid, count_hi;
  uint64_t grains_lo : 21, grains_mid : 21, grains_hi : 21;
};

/// How channels share a CollNet operation: chunks in turn.
struct ChunksInTurn {
  size_t count;
  uint32_t chunk_count;
};

struct alignas(16) WorkColl {
  uint32_t channel_lo : 8, channel_hi : 8, n_warps : 8;
  uint32_t red_op_arg_is_ptr : 1, reg_used : 1, net_reg_used : 1, one_node : 1;
  uint32_t direct : 2, is_one_rank_per_node : 1, profiler_enabled : 1;
  uint32_t root;
  char* recv_buffer;
  char* send_buffer;
  uintptr_t send_buffer_offset;
  uintptr_t recv_buffer_offset;
  uintptr_t* send_buffer_remote;
  uintptr_t* recv_buffer_remote;
  union {
    PartPerChannel parts;
    ChunksInTurn collnet;
  };
  uint64_t red_op_arg;
};
static_assert(sizeof(WorkColl) == 96 && offsetof(WorkColl, root) == 4 &&
              offsetof(WorkColl, recv_buffer) == 8 &&
              offsetof(WorkColl, send_buffer) == 16 &&
              offsetof(WorkColl, parts) == 56 &&
              offsetof(WorkColl, red_op_arg) == 88);
constexpr size_t kWorkCollRegSize = 288;

struct alignas(16) WorkP2p {
  char *send_address, *recv_address;
  size_t send_bytes, recv_bytes;
  int send_rank, recv_rank;
  uint8_t n_p2p_channels, channel_base;
  uint8_t n_send_channels, n_recv_channels;
  uint8_t send_chunk_code, recv_chunk_code;  ///< see DecodeChunkSize
  uint8_t send_proto_ll : 1, recv_proto_ll : 1, send_net_reg : 1,
      recv_net_reg : 1, send_ipc_reg : 1, recv_ipc_reg : 1,
      profiler_enabled : 1;
};
static_assert(sizeof(WorkP2p) == 48 && offsetof(WorkP2p, send_rank) == 32 &&
              offsetof(WorkP2p, n_p2p_channels) == 40 &&
              offsetof(WorkP2p, send_chunk_code) == 44);

/// Unsigned 8-bit float: 5 bits of exponent, 3 of mantissa with a hidden
/// leading one. Bytes.
constexpr uint32_t DecodeChunkSize(uint8_t code) {
  const uint32_t exponent = code >> 3, mantissa = code & 7;
  return exponent == 0 ? mantissa : (8 + mantissa) << (exponent - 1);
}

}  // namespace nccl_abi
