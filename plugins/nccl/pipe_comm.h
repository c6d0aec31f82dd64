// Ends of a point-to-point connection between sites: a pipe over the connection
// that the two processes share (path/pipe.h).
//
// As comm.h says; made and destroyed on any thread.
#pragma once

#include <memory>

#include "comm.h"
#include "path/pipe.h"
#include "process.h"

namespace longhaul::nccl {

/// A pipe to `cookie` over a connection that is there.
std::unique_ptr<SendComm> MakePipeSend(Process& process, Connection& connection,
                                       uint64_t incarnation, uint64_t cookie);
std::unique_ptr<RecvComm> MakePipeRecv(Process& process, PipeHub& hub,
                                       uint32_t number);

}  // namespace longhaul::nccl
