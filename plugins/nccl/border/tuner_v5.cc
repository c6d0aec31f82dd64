#include "abi/tuner_v5.h"

#include "border/export.h"
#include "border/tuner_context.h"

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

}  // namespace

LH_NCCL_EXPORT const abi::TunerV5 ncclTunerPlugin_v5 = {
    .name = kTunerName,
    .init = Init,
    .get_coll_info = GetCollInfo,
    .finalize = FreeTuner,

};

}  // namespace longhaul::nccl
