// Another process, as this one knows it: the connection to it, the paths there,
// and who opens the flows.
//
// Engine thread only.
#pragma once

#include <longhaul/status.h>

#include <cstdint>
#include <optional>

#include "base/log.h"
#include "collective/path_dialer.h"
#include "engine/engine.h"
#include "memory/block_pool.h"
#include "path/connection.h"
#include "path/pipe.h"

namespace longhaul {

class Peer final : public FlowSource, private FlowTaker {
 public:
  struct Config {
    ConnectionConfig connection;
    bool same_site = true;
    /// Unsent bytes a socket between sites may hold.
    uint64_t notsent_lowat = 0;
    PipeAcceptor* pipes = nullptr;  ///< null: there are no pipes
  };

  /// All must outlive it, the acceptor of pipes as well.
  Peer(Engine& engine, BlockPool& pool, Logger& log, Config config);

  Connection& connection() { return connection_; }
  const Connection& connection() const { return connection_; }
  bool same_site() const { return same_site_; }

  /// Where to call it. Until then its own calls are waited for.
  void Know(PathDialer::Config paths);
  bool known() const { return dialer_.has_value(); }
  /// This side calls.
  void Call(TimePoint now) { dialer_->Start(now); }

  /// It asks for a flow. kExhausted if calls cross and ours counts, which the
  /// lower incarnation's does; kInvalidArgument if it is not welcome.
  Status Accept(const Hello& theirs, bool ours_counts);
  /// The answer to that is written.
  void Accepted(UniqueFd fd, const Hello& theirs, const PathInfo& path,
                TimePoint now);

  /// A number for the next pipe there.
  uint32_t NextPipe() { return ++last_pipe_; }

  // FlowSource
  void Reopen(const Status& why, TimePoint now) override;
  bool Want(FlowId flow, TimePoint now) override;
  void Spare(FlowId flow) override;

 private:
  // FlowTaker
  void TakeFlow(FlowId id, const PathInfo& path, UniqueFd fd,
                const Hello& theirs, TimePoint now) override;
  ConnectionConfig WithSource(ConnectionConfig config) {
    config.source = this;
    return config;
  }

  Engine& engine_;
  Logger& log_;
  const bool same_site_;
  const uint64_t notsent_lowat_;
  Connection connection_;
  std::optional<PipeHub> pipes_;
  std::optional<PathDialer> dialer_;
  uint32_t last_pipe_ = 0;
};

}  // namespace longhaul
