// Rank 0 and a TCP connection to each other rank: how the bare exchange's ranks
// meet and agree on small numbers. Not what is measured.
//
// Thread-compatible; all calls block, for a minute at most.
#pragma once

#include <longhaul/options.h>
#include <longhaul/status.h>
#include <longhaul/types.h>

#include <cstddef>
#include <vector>

#include "base/address.h"
#include "base/unique_fd.h"

namespace longhaul::bench {

class Star {
 public:
  /// Rank 0 listens at options.rendezvous, the others connect to it.
  static Result<Star> Join(const Options& options);

  int rank() const { return rank_; }
  int size() const { return size_; }
  /// This host's end of the connection to rank 0; no address on rank 0.
  const Address& local() const { return local_; }

  /// Element-wise over all ranks, in place; all ranks get the result. Sums and
  /// maxima of i64, u64, f64 and u8.
  Status Combine(void* data, size_t count, DataType type, ReduceOp op);

 private:
  Star(int rank, int size) : rank_(rank), size_(size) {}
  Status Listen(const HostPort& where);
  Status Connect(const HostPort& where);

  int rank_;
  int size_;
  Address local_;
  std::vector<UniqueFd> spokes_;  ///< by rank; of others than 0: only [0]
};

/// Sends or receives all of it; false at the end of the stream or a fault.
bool SendAll(int fd, const void* data, size_t size);
bool ReceiveAll(int fd, void* data, size_t size);

}  // namespace longhaul::bench
