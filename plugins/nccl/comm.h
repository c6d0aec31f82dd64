// What NCCL holds of a point-to-point connection: one end each, and requests.
// An end is one of several kinds, by where the peer is (site_comm.h,
// pipe_comm.h, delegate_comm.h); the border sees only these interfaces.
//
// One object by one thread at a time, as NCCL calls; RegMr and DeregMr may run
// beside the others.
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

/// Either end. A void* that NCCL holds of one is a Comm*.
class Comm : public NetObject {
 public:
  /// Makes host memory ready to be lent; what it gives goes with each message,
  /// and to DeregMr in the end. Never null, since NCCL wants to see something.
  virtual Result<void*> RegMr(void* /*data*/, size_t /*size*/) { return this; }
  virtual Status DeregMr(void* /*mr*/) { return {}; }
};

class SendComm : public Comm {
 public:
  /// Lends the bytes, which RegMr knows as `mr`, until the request is over.
  /// Null: not now.
  virtual Result<NetRequest*> Send(const void* data, size_t size, void* mr) = 0;
};

class RecvComm : public Comm {
 public:
  /// Lends room for a message of at most `size` bytes. Null: not now.
  /// `hint` is abi::kOptionalRecvCompletion as NCCL hands it in, or null.
  virtual Result<NetRequest*> Recv(void* data, size_t size, void* mr,
                                   void* hint) = 0;
  /// Makes what a receive has placed visible to a device. Null: it is.
  virtual Result<NetRequest*> Flush(void* /*data*/, int /*size*/,
                                    void* /*mr*/) {
    return static_cast<NetRequest*>(nullptr);
  }
};

}  // namespace longhaul::nccl
