// The plugin's collectives over the network, in the newest shape of the
// interface. The files collnet_vN.cc offer it to each version of NCCL.
//
// Any thread, as NCCL calls: one comm object by one thread at a time, except
// that reg_mr() and dereg_mr() may run beside the others. connect() blocks.
#pragma once

#include "abi/collnet_v12.h"

namespace longhaul::nccl {

/// No member is null. The same reference at every call; may be called while the
/// library is being loaded. Devices are those of Net(), by name and in order.
const abi::CollNetV12& CollNet();

}  // namespace longhaul::nccl
