// Everything: what a program includes.
#pragma once

#include <longhaul/buffer.h>
#include <longhaul/communicator.h>
#include <longhaul/options.h>
#include <longhaul/request.h>
#include <longhaul/status.h>
#include <longhaul/types.h>

namespace longhaul {

/// The version of the library, "0.1.0".
inline constexpr const char* kVersion = "0.1.0";

}  // namespace longhaul
