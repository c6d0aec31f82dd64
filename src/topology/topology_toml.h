// The TOML reader behind TopologyFile, apart so that one source file includes
// the TOML library.
//
// Any thread.
#pragma once

#include <longhaul/status.h>

#include <string_view>

#include "topology/topology_file.h"

namespace longhaul {

/// `name` stands before the line in messages.
Result<TopologyFile> ParseTopologyToml(std::string_view text,
                                       std::string_view name);

}  // namespace longhaul
