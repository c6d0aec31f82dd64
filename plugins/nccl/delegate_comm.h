// Ends of a connection inside a site that another plugin makes
// (site_plugin.h): calls are handed on to it.
//
// As comm.h says, and as the child permits.
#pragma once

#include <memory>

#include "comm.h"
#include "site_plugin.h"

namespace longhaul::nccl {

/// Both take over a comm of the child, which they close at their end. `session`
/// must outlive them.
std::unique_ptr<SendComm> MakeDelegateSend(SitePlugin::Session& session,
                                           void* child_comm);
std::unique_ptr<RecvComm> MakeDelegateRecv(SitePlugin::Session& session,
                                           void* child_comm);

}  // namespace longhaul::nccl
