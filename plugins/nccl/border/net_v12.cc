#include "abi/net_v12.h"

#include "border/export.h"
#include "net.h"

namespace longhaul::nccl {

LH_NCCL_EXPORT const abi::NetV12 ncclNetPlugin_v12 = Net();

}  // namespace longhaul::nccl
