// The library, as the harness drives it.
//
// Thread-compatible.
#pragma once

#include <longhaul/status.h>

#include <memory>

#include "harness/settings.h"
#include "harness/subject.h"

namespace longhaul::bench {

/// Joins as the environment says (LONGHAUL_RANK, ...): context, communicator.
Result<std::unique_ptr<Subject>> JoinLonghaul(const Settings& settings);

}  // namespace longhaul::bench
