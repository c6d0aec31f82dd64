// The release this was built from. Any thread.
#pragma once

namespace longhaul::command {

/// "0.1.0".
const char* Version() noexcept;

}  // namespace longhaul::command
