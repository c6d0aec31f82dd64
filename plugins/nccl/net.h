// The plugin's p2p network, in the newest shape of the interface. The files
// net_vN.cc offer it to each version of NCCL.
//
// Any thread, as NCCL calls: one comm object by one thread at a time, except
// that reg_mr() and dereg_mr() may run beside the others.
#pragma once

#include "abi/net_v12.h"

namespace longhaul::nccl {

/// What NCCL shows as the network's name, and what NCCL_NET must say (in any
/// case) if it is set.
inline constexpr const char* kNetName = "Longhaul";

/// No member is null. The same reference at every call; may be called while the
/// library is being loaded.
const abi::NetV12& Net();

}  // namespace longhaul::nccl
