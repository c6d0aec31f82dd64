#include "command/version.h"

namespace longhaul::command {

const char* Version() noexcept { return LONGHAUL_COMMAND_VERSION; }

}  // namespace longhaul::command
