// What the plugin says of its devices, the same for the network and for its
// collectives: NCCL matches the two by name.
//
// Pure functions; any thread.
#pragma once

#include "abi/properties.h"

namespace longhaul::nccl {

/// One device: the host's way to all others, whatever interfaces it has.
inline constexpr int kDevices = 1;

/// kInvalidArgument unless device is below kDevices.
abi::ResultCode GetProperties(int device, abi::PropertiesV12* properties);

}  // namespace longhaul::nccl
