// The moves that collectives are made of: one chunk is received from peers,
// combined with local memory, and stored and sent on. A protocol says how the
// bytes lie in a connection's buffer and how their arrival is known.
//
// As a Block: the device's thread. A Primitives must live until its tasks end.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "kernel/block.h"
#include "kernel/fiber.h"
#include "kernel/nccl_abi.h"
#include "kernel/reduce.h"

namespace nccl_cpu {

enum class Local : uint8_t { kNone, kInput, kOutput };

/// What happens to a chunk.
struct Move {
  bool recv = false, send = false;
  Local source = Local::kNone, target = Local::kNone;
  bool post_op = false;  ///< the operator's last step, such as dividing
};

struct PrimitivesConfig {
  int slices_per_chunk = 1, steps_per_slice = 1;
  std::vector<int> recv_peers, send_peers;  ///< ranks; n_ranks: CollNet's root
  int recv_conn = 0, send_conn = 0;         ///< which connection with a peer
  char* input = nullptr;
  char* output = nullptr;
  Reduction reduction;
  ssize_t step_size = 0;  ///< elements in a slot; 0: from the buffer size
  bool send_net_reg = false, recv_net_reg = false;  ///< registered buffers
};

class Primitives {
 public:
  Primitives(const Primitives&) = delete;
  Primitives& operator=(const Primitives&) = delete;
  virtual ~Primitives() = default;

  /// Moves `count` elements; source and target index are elements in the local
  /// buffers.
  virtual Task Run(Move move, ssize_t source_index, ssize_t target_index,
                   ssize_t count) = 0;
  /// To be awaited after the last Run().
  virtual Task Finish() = 0;

  Task Send(ssize_t index, ssize_t count);
  Task CopySend(ssize_t source, ssize_t target, ssize_t count);
  Task Recv(ssize_t index, ssize_t count, bool post_op = false);
  Task RecvCopySend(ssize_t index, ssize_t count, bool post_op = false);
  Task RecvReduceCopy(ssize_t source, ssize_t target, ssize_t count,
                      bool post_op = false);
  Task RecvReduceSend(ssize_t index, ssize_t count);
  Task RecvReduceCopySend(ssize_t source, ssize_t target, ssize_t count,
                          bool post_op = false);

 protected:
  static constexpr size_t kMaxLinks = nccl_abi::kDirectArity + 1;

  /// A connection and this kernel's place in its steps.
  struct Link {
    nccl_abi::ConnInfo* conn;
    uint64_t step;
    bool net_reg = false;

    nccl_abi::ConnFifo* fifo_slot() const {
      return conn->conn_fifo ? &conn->conn_fifo[step % nccl_abi::kSteps]
                             : nullptr;
    }
  };

  Primitives(Block& block, const PrimitivesConfig& config);

  char* LocalAt(Local which, ssize_t index) const {
    return (which == Local::kInput ? config_.input : config_.output) +
           index * element_size_;
  }
  /// May every sending link fill `steps` more slots?
  bool HasRoom(uint64_t steps) const;
  void SaveSteps();

  Block& block_;
  const PrimitivesConfig config_;
  const ssize_t element_size_;  // bytes
  std::vector<Link> recv_, send_;
};

/// `proto`: kProtoLl or kProtoSimple.
std::unique_ptr<Primitives> MakePrimitives(Block& block,
                                           const PrimitivesConfig& config,
                                           int proto);

}  // namespace nccl_cpu
