// One listener of NCCL's: whoever has its handle gets through to it, by a
// socket of his own from the same site, by a pipe from another. Any number of
// peers may come; each accept gives one of them.
//
// Accept: one thread at a time. Made and destroyed on any thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>

#include "comm.h"
#include "process.h"

namespace longhaul::nccl {

class Listener final : public NetObject,
                       private PrivateFlowTaker,
                       private Process::PipeTaker {
 public:
  explicit Listener(Process& process);
  /// Those that have come and were not accepted are turned away.
  ~Listener() override;

  /// For HandleFor.
  uint64_t cookie() const { return cookie_; }
  /// The next peer's connection; null: nobody has come yet.
  std::unique_ptr<RecvComm> Accept();

 private:
  struct Arrival {
    UniqueFd socket;         ///< from the same site
    uint64_t from = 0;       ///< its process
    PipeHub* hub = nullptr;  ///< from another
    uint32_t pipe = 0;
  };
  void Take(UniqueFd flow, const Hello& theirs, TimePoint now) override;
  void TakePipe(PipeHub& hub, uint32_t number) override;
  void Add(Arrival arrival);

  Process& process_;
  const uint64_t cookie_;
  std::atomic<size_t> waiting_{0};
  std::mutex mutex_;
  std::deque<Arrival> arrivals_;
};

}  // namespace longhaul::nccl
