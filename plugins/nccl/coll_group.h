// A CollNet group: one head of each node, joined into a communicator of the
// core, which knows the sites.
//
// Joining blocks, by NCCL's contract, and is all or nothing: the members meet
// at a rendezvous in the process of the first handle, exchange their cards,
// build the communicator, and meet once more to say whether they could; if any
// could not, or is not heard of within LONGHAUL_CONNECT_TIMEOUT, all refuse.
// (Who hears nothing of the last word refuses alone; its peers then learn of it
// from the first operation.)
//
// Operations: one thread at a time. Join and destruction: any thread.
#pragma once

#include <longhaul/communicator.h>
#include <longhaul/status.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "comm.h"
#include "handle.h"
#include "process.h"

namespace longhaul::nccl {

/// Listens for a group to come: a place in the rendezvous of this process.
class CollListener final : public NetObject {
 public:
  static Result<std::unique_ptr<CollListener>> Make(Process& process);
  const Handle& handle() const { return handle_; }

 private:
  explicit CollListener(Handle handle) : handle_(std::move(handle)) {}
  const Handle handle_;
};

class CollGroup;

/// A call under way.
class CollRequest {
 public:
  /// True once it is over: it is gone then. `bytes`: of its result.
  Result<bool> Test(size_t* bytes);

 private:
  friend class CollGroup;
  Process* process_ = nullptr;
  Request request_;
  size_t bytes_ = 0;
  bool taken_ = false;
};

class CollGroup final : public NetObject {
 public:
  /// `handles` of all members, in an order that is the same for all; `rank` is
  /// this one's among them as results count it. `comm_id`: NCCL's communicator,
  /// 0 if it does not say.
  static Result<std::unique_ptr<CollGroup>> Join(Process& process,
                                                 uint64_t comm_id,
                                                 std::span<void* const> handles,
                                                 int rank,
                                                 const CollListener& listener);
  ~CollGroup() override;

  // Each lends its buffers until the request is over. Null: not now.
  Result<CollRequest*> AllReduce(const void* send, void* recv, size_t count,
                                 DataType type, ReduceOp op);
  /// The group's bytes are ranks x `block`; fills `recv` with those of the
  /// window. `send`: this rank's of them.
  Result<CollRequest*> AllGather(const void* send, void* recv, size_t block,
                                 Window window);
  /// The reverse, in elements: `send` is a window's worth of contributions,
  /// `recv` gets this rank's part of their reduction.
  Result<CollRequest*> ReduceScatter(const void* send, void* recv, size_t block,
                                     Window window, DataType type, ReduceOp op);

 private:
  CollGroup(Process& process, uint64_t comm_id,
            std::unique_ptr<Communicator> communicator)
      : process_(process),
        comm_id_(comm_id),
        communicator_(std::move(communicator)) {}
  CollRequest* Free();
  Result<CollRequest*> Follow(CollRequest* request, Request issued,
                              size_t bytes);

  Process& process_;
  const uint64_t comm_id_;
  bool published_ = false;
  // Behind the communicator: requests wait for their operations, which the
  // communicator ends.
  std::array<CollRequest, Communicator::kMaxRequests> requests_;
  size_t next_ = 0;
  std::unique_ptr<Communicator> communicator_;
};

}  // namespace longhaul::nccl
