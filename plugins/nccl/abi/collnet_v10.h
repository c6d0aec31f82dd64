// ncclCollNetPlugin_v10, which NCCL 2.26 and 2.27 load. The same shape as v9.
//
// A table of functions.
#pragma once

#include "abi/collnet_v9.h"

namespace longhaul::nccl::abi {

using CollNetV10 = CollNetV9;

}  // namespace longhaul::nccl::abi
