#include "abi/tuner_v6.h"

#include "border/export.h"
#include "border/tuner_context.h"
#include "tuner.h"

namespace longhaul::nccl {
namespace {

using abi::ResultCode;

ResultCode Init(void** context, uint64_t comm_id, size_t ranks, size_t nodes,
                abi::LogFn log, abi::NvlDomains* /*domains*/,
                abi::TunerConstants* /*constants*/) noexcept {
  return MakeTuner(comm_id, ranks, nodes, log, context);
}

ResultCode GetCollInfo(void* context, abi::FuncCode function, size_t /*bytes*/,
                       int /*pipelined*/, float** costs, int algorithms,
                       int protocols, int /*registered*/,
                       int* channels) noexcept {
  return PriceWith(context, function, costs, algorithms, protocols, channels);
}

ResultCode GetChunkSize(void* context, abi::FuncCode /*function*/, size_t bytes,
                        int algorithm, int protocol, int channels,
                        size_t* chunk_bytes) noexcept {
  const auto* const tuner = static_cast<const Tuner*>(context);
  if (tuner) {
    tuner->ChunkBytes(bytes, algorithm, protocol, channels, chunk_bytes);
  }
  return ResultCode::kSuccess;
}

}  // namespace

LH_NCCL_EXPORT const abi::TunerV6 ncclTunerPlugin_v6 = {
    .name = kTunerName,
    .init = Init,
    .get_coll_info = GetCollInfo,
    .finalize = FreeTuner,
    .get_chunk_size = GetChunkSize,
};

}  // namespace longhaul::nccl
