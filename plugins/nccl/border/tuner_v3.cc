#include "abi/tuner_v3.h"

#include "border/export.h"
#include "border/tuner_context.h"

namespace longhaul::nccl {
namespace {

using abi::ResultCode;

ResultCode Init(size_t ranks, size_t nodes, abi::LogFn log,
                void** context) noexcept {
  return MakeTuner(0, ranks, nodes, log, context);
}

ResultCode GetCollInfo(void* context, abi::FuncCode function, size_t /*bytes*/,
                       int /*pipelined*/, float** costs, int algorithms,
                       int protocols, int* channels) noexcept {
  return PriceWith(context, function, costs, algorithms, protocols, channels);
}

}  // namespace

LH_NCCL_EXPORT const abi::TunerV3 ncclTunerPlugin_v3 = {
    .name = kTunerName,
    .init = Init,
    .get_coll_info = GetCollInfo,
    .destroy = FreeTuner,

};

}  // namespace longhaul::nccl
