// Every option as it would be read here and now, and where its value is from.
//
// Pure function of its arguments; any thread.
#pragma once

#include <longhaul/options.h>

#include <string>

namespace longhaul::command {

/// One line per option: NAME=value and where that is from, in groups. `full`
/// puts its help above each. `environment` holds "NAME=value", ended by a null
/// pointer; `options` is what was read from it.
std::string InfoText(const Options& options, const char* const* environment,
                     bool full);

}  // namespace longhaul::command
