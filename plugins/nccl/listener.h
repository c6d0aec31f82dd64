// One listener of NCCL's: whoever has its handle gets through to it, by a
// socket of his own from the same site, by a pipe from another. Any number of
// peers may come; each accept gives one of them. Traffic inside the site may be
// left to another plugin (delegation.h): then a socket only introduces.
//
// Accept: one thread at a time. Made and destroyed on any thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <list>
#include <memory>
#include <mutex>
#include <optional>

#include "comm.h"
#include "delegation.h"
#include "process.h"

namespace longhaul::nccl {

class Listener final : public NetObject,
                       private PrivateFlowTaker,
                       private Process::PipeTaker {
 public:
  /// `site`: to whom traffic inside the site is left, or null.
  Listener(Process& process, SitePlugin::Session* site);
  /// Those that have come and were not accepted are turned away.
  ~Listener() override;

  /// For HandleFor.
  uint64_t cookie() const { return cookie_; }
  /// The next peer's connection; null: nobody has come yet. A fault is that of
  /// one who came: others still may.
  Result<std::unique_ptr<RecvComm>> Accept();

 private:
  struct Arrival {
    UniqueFd socket;         ///< from the same site
    Hello theirs;            ///< with which it came
    PipeHub* hub = nullptr;  ///< from another
    uint32_t pipe = 0;
  };
  uint16_t flags() const override { return FlagsOf(site_); }
  void Take(UniqueFd flow, const Hello& theirs, TimePoint now) override;
  void TakePipe(PipeHub& hub, uint32_t number) override;
  void Add(Arrival arrival);
  std::optional<Arrival> Next();
  Result<std::unique_ptr<RecvComm>> Admit(Arrival arrival);
  Result<std::unique_ptr<RecvComm>> PollDelegated();

  Process& process_;
  SitePlugin::Session* const site_;
  const uint64_t cookie_;
  std::atomic<size_t> waiting_{0};
  std::mutex mutex_;
  std::deque<Arrival> arrivals_;
  /// Of Accept's thread: those that the other plugin has yet to connect.
  std::list<DelegatedAccept> delegated_;
};

}  // namespace longhaul::nccl
