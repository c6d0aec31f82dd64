#include "kernel/kernel.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <list>
#include <string>
#include <vector>

#include "kernel/block.h"
#include "kernel/families.h"
#include "kernel/fiber.h"
#include "kernel/func_row.h"
#include "kernel/nccl_abi.h"
#include "kernel/reduce.h"

namespace nccl_cpu {

void Unsupported(const std::string& what) {
  fprintf(stderr,
          "nccl_cpu: NCCL launched something that is not implemented: %s\n",
          what.c_str());
  abort();
}

namespace {

using nccl_abi::KernelArgs;
using nccl_abi::WorkBatch;
using nccl_abi::WorkColl;
using nccl_abi::WorkP2p;

Task RunCollective(Block& block, const WorkColl& work, const FuncRow& row) {
  using namespace nccl_abi;  // NOLINT: the constants of one switch
  if (row.proto == kProtoLl128) {
    Unsupported(ToString(row) + " (set NCCL_PROTO=^LL128)");
  }
  if (work.reg_used != 0) {
    Unsupported(ToString(row) + " on buffers shared between GPUs");
  }
  const bool ring = row.algo == kAlgoRing;
  const bool direct = row.algo == kAlgoCollNetDirect;
  switch (row.func) {
    case kFuncAllReduce:
      if (ring) return AllReduceRing(block, work, row);
      if (row.algo == kAlgoTree) return AllReduceTree(block, work, row);
      if (direct || row.algo == kAlgoCollNetChain) {
        return AllReduceCollNet(block, work, row);
      }
      break;
    case kFuncAllGather:
      if (ring) return AllGatherRing(block, work, row);
      if (direct) return AllGatherCollNet(block, work, row);
      break;
    case kFuncReduceScatter:
      if (ring) return ReduceScatterRing(block, work, row);
      if (direct) return ReduceScatterCollNet(block, work, row);
      break;
    case kFuncBroadcast:
      return BroadcastRing(block, work, row);
    case kFuncReduce:
      return ReduceRing(block, work, row);
    default:
      break;
  }
  Unsupported(ToString(row) + " (set NCCL_ALGO=Ring, or NCCL_PAT_ENABLE=0)");
}

// Tells NCCL's profiler, of each work that asks for it, that it begins or ends.
void Profile(const Block& block, nccl_abi::Profiler* table, uint32_t type,
             const std::vector<const char*>& works, uint64_t counter) {
  for (const char* raw : works) {
    ++counter;
    const bool wanted =
        type == nccl_abi::kWorkP2p
            ? reinterpret_cast<const WorkP2p*>(raw)->profiler_enabled != 0
            : reinterpret_cast<const WorkColl*>(raw)->profiler_enabled != 0;
    if (!wanted) continue;
    auto& slot = table[block.channel_id].data[counter % 64];
    slot.timestamp = static_cast<uint64_t>(NowNs());
    StoreCounter(&slot.counter, counter);
  }
}

size_t WorkSize(const WorkBatch& batch) {
  switch (batch.work_type) {
    case nccl_abi::kWorkP2p:
      return sizeof(WorkP2p);
    case nccl_abi::kWorkColl:
      return sizeof(WorkColl);
    default:
      return nccl_abi::kWorkCollRegSize;
  }
}

class NcclKernel final : public Op {
 public:
  NcclKernel(const void* args, size_t bytes, const int* row_to_id)
      : row_to_id_(row_to_id) {
    if (bytes < sizeof(KernelArgs)) {
      Unsupported("a kernel with arguments this short");
    }
    args_.resize(DivideUp(bytes, sizeof(WorkBatch)));
    memcpy(args_.data(), args, bytes);
  }

  Progress Poll() override {
    if (!started_) Start();
    const uint64_t before = Fiber::Resumes();
    if (fibers_.Poll()) return Progress::kDone;
    return Fiber::Resumes() != before ? Progress::kSome : Progress::kNone;
  }

 private:
  const KernelArgs& args() const {
    return *reinterpret_cast<const KernelArgs*>(args_.data());
  }
  const WorkBatch& BatchAt(size_t index) const {
    return args_[sizeof(KernelArgs) / sizeof(WorkBatch) + index];
  }

  void Start() {
    started_ = true;
    size_t index = 0;
    for (int channel = 0; channel < nccl_abi::kMaxChannels; ++channel) {
      if ((args().channel_mask >> channel & 1) == 0) continue;
      blocks_.push_back(
          {args().comm, &args().comm->channels[channel], channel});
      fibers_.Add(RunBlock(blocks_.back(), index++));
    }
  }

  const char* WorkAt(size_t offset) const {
    if (args().work_storage == nccl_abi::kWorkInArgs) {
      return reinterpret_cast<const char*>(args_.data()) + offset;
    }
    return args().work_buf + (offset & args().work_mask);
  }

  // The works of the batch at `index` and of those that say they extend it;
  // leaves `index` at the last of these.
  std::vector<const char*> GatherWorks(size_t& index) const {
    std::vector<const char*> works;
    for (;; index += BatchAt(index).next_jump) {
      const WorkBatch& batch = BatchAt(index);
      for (size_t i = 0; i < 64; ++i) {
        if ((batch.offset_bitset >> i & 1) == 0) continue;
        works.push_back(WorkAt(batch.offset_base + i * WorkSize(batch)));
      }
      if (batch.next_extends == 0) return works;
    }
  }

  Task RunCollectives(Block& block, const std::vector<const char*>& works,
                      FuncRow row) {
    for (const char* raw : works) {
      WorkColl work = *reinterpret_cast<const WorkColl*>(raw);
      if (work.red_op_arg_is_ptr != 0) {
        work.red_op_arg = LoadReductionArg(
            row.op, row.type, reinterpret_cast<const void*>(work.red_op_arg));
      }
      co_await RunCollective(block, work, row);
    }
  }

  Task RunBlock(Block& block, size_t index) {
    uint64_t counter = block.channel->work_counter;
    for (;;) {
      const std::vector<const char*> works = GatherWorks(index);
      const WorkBatch& batch = BatchAt(index);
      const FuncRow row = RowOfFunc(row_to_id_, batch.func_id);
      Profile(block, block.comm->work_started, batch.work_type, works, counter);
      if (batch.work_type == nccl_abi::kWorkP2p) {
        co_await PointToPoint(block, works);
      } else {
        co_await RunCollectives(block, works, row);
      }
      Profile(block, block.comm->work_completed, batch.work_type, works,
              counter);
      counter += works.size();
      if (batch.next_jump == 0 || block.aborted()) break;
      index += batch.next_jump;
    }
    block.channel->work_counter = counter;
  }

  const int* row_to_id_;
  std::vector<WorkBatch> args_;  // the argument block, in aligned memory
  bool started_ = false;
  std::list<Block> blocks_;
  FiberGroup fibers_;
};

}  // namespace

std::unique_ptr<Op> MakeNcclKernel(const void* args, size_t bytes,
                                   const int* row_to_id) {
  return std::make_unique<NcclKernel>(args, bytes, row_to_id);
}

}  // namespace nccl_cpu
