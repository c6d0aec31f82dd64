// Ends of a point-to-point connection inside a site: a TCP socket of its own,
// moved on by whoever sends, receives or tests, without a change of thread. On
// the wire every message is its length (8 bytes, little-endian) and its bytes.
//
// As comm.h says. Test of any request moves all of its comm.
#pragma once

#include <memory>
#include <string>

#include "base/unique_fd.h"
#include "comm.h"

namespace longhaul::nccl {

/// Both take a connected, nonblocking socket; `peer` is for messages.
std::unique_ptr<SendComm> MakeSiteSend(UniqueFd socket, std::string peer);
std::unique_ptr<RecvComm> MakeSiteRecv(UniqueFd socket, std::string peer);

}  // namespace longhaul::nccl
