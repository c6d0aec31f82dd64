#include "abi/collnet_v12.h"

#include "border/export.h"
#include "collnet.h"

namespace longhaul::nccl {

LH_NCCL_EXPORT const abi::CollNetV12 ncclCollNetPlugin_v12 = CollNet();

}  // namespace longhaul::nccl
