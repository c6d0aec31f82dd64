// Writes NCCL's configuration file (NCCL_CONF_FILE, ~/.nccl.conf or
// /etc/nccl.conf): one NAME=value per line, taken as it stands, without quotes
// or blanks; a comment has its own line.
//
// NcclConf is pure; WriteNewFile one thread at a time.
#pragma once

#include <longhaul/status.h>

#include <string>

#include "nccl/advice/advice.h"

namespace longhaul::command {

/// The file's text. `topology` is the absolute path that LONGHAUL_TOPOLOGY is
/// set to. kInvalidArgument if NCCL cannot read a value so long, or a line
/// end is in it.
Result<std::string> NcclConf(const nccl::Advice& advice, const nccl::Job& job,
                             const std::string& topology);

/// Writes all of `text` to `path` or leaves `path` as it was. Without `replace`
/// a file that is there stays: kInvalidArgument, as for a path that cannot be
/// written.
Status WriteNewFile(const std::string& path, const std::string& text,
                    bool replace);

}  // namespace longhaul::command
