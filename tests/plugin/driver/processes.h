// Several processes that play the ranks of a job, forked off a test, with an
// out-of-band channel between each two: what NCCL's bootstrap is to a plugin.
//
// Thread contract: RunProcesses() before any thread is started; a Process by
// one thread.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "base/unique_fd.h"

namespace longhaul::nccl {

/// One of the processes, as it sees itself.
class Process {
 public:
  /// `peers[r]` leads to rank r; none at `rank`.
  Process(int rank, std::vector<UniqueFd> peers);

  int rank() const { return rank_; }
  int size() const { return static_cast<int>(peers_.size()); }

  /// At most 64 KiB. End the process with a failure if the peer is gone.
  void Send(int rank, std::span<const std::byte> bytes);
  std::vector<std::byte> Recv(int rank);

  /// What every rank gave, by rank.
  std::vector<std::vector<std::byte>> AllGather(
      std::span<const std::byte> bytes);
  void Barrier();
  /// Whether the value is the same on all ranks.
  bool Agree(uint64_t value);

 private:
  int rank_;
  std::vector<UniqueFd> peers_;
};

using Environment = std::map<std::string, std::string>;

/// How a process is meant to end.
enum class Ending {
  kReturns,  ///< from the body, without a failed expectation
  kDies,     ///< by a signal or with a status, in the body
};

struct Rank {
  Environment environment;
  Ending ending = Ending::kReturns;
};

/// Runs `body` in a process per rank, and waits for all. Expectations that fail
/// in a process fail the test here. A process that is still there after two
/// minutes is killed, and that is a failure too: it hangs.
void RunProcesses(const std::vector<Rank>& ranks,
                  const std::function<void(Process&)>& body);

/// `sites[r]` is LONGHAUL_SITE of rank r; the rest is what tests have in
/// common.
std::vector<Rank> InSites(const std::vector<std::string>& sites);

}  // namespace longhaul::nccl
