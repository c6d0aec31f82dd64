// What NCCL holds of a point-to-point connection: one end each, and requests.
// An end is one of several kinds, by where the peer is (site_comm.h,
// pipe_comm.h, delegate_comm.h); the border sees only these interfaces.
//
// One object by one thread at a time, as NCCL calls.
#pragma once

#include <longhaul/status.h>

#include <cstddef>

namespace longhaul::nccl {

/// A message under way.
class NetRequest {
 public:
  /// Moves things on. True once the request is over: it is gone then.
  /// `bytes` says how long the message was. A fault is said again at each call.
  virtual Result<bool> Test(size_t* bytes) = 0;

 protected:
  ~NetRequest() = default;
};

class NetContext;

/// What a context keeps track of, so that nothing outlives it.
class NetObject {
 public:
  virtual ~NetObject() = default;
  NetContext* owner = nullptr;
};

class SendComm : public NetObject {
 public:
  /// Lends the bytes until the request is over. Null: not now.
  virtual Result<NetRequest*> Send(const void* data, size_t size) = 0;
};

class RecvComm : public NetObject {
 public:
  /// Lends room for a message of at most `size` bytes. Null: not now.
  virtual Result<NetRequest*> Recv(void* data, size_t size) = 0;
};

}  // namespace longhaul::nccl
