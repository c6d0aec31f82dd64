// A connect under way: NCCL calls again and again until there is a connection
// or a fault, and nothing in between blocks.
//
// Poll: one thread at a time. Made and destroyed on any thread.
#pragma once

#include <longhaul/status.h>

#include <atomic>
#include <memory>
#include <string>

#include "comm.h"
#include "delegation.h"
#include "handle.h"
#include "process.h"

namespace longhaul::nccl {

class Connecting final : public NetObject, private FlowOpener {
 public:
  /// Begins. A fault comes from Poll, at the latest after
  /// LONGHAUL_CONNECT_TIMEOUT. `site`: to whom traffic inside the site is left,
  /// or null.
  Connecting(Process& process, SitePlugin::Session* site, const Handle& to);
  /// Gives up, unless Poll has given a connection.
  ~Connecting() override;

  /// The connection; null: not yet.
  Result<std::unique_ptr<SendComm>> Poll();

 private:
  bool SameSite() const { return to_.site == process_.site_name(); }
  Result<std::unique_ptr<SendComm>> PollSite();
  Result<std::unique_ptr<SendComm>> PollWan();
  void FlowOpened(uint16_t flow, UniqueFd fd, const Hello& theirs,
                  TimePoint now) override;
  void FlowFailed(uint16_t flow, const Status& why, TimePoint now) override;

  Process& process_;
  SitePlugin::Session* const site_;
  const Handle to_;
  const std::string peer_;

  // Same site. The engine thread writes, then sets ended_.
  std::unique_ptr<TcpConnector> connector_;
  std::atomic<bool> ended_{false};
  UniqueFd socket_;
  Hello theirs_;
  Status fault_;
  const TimePoint deadline_;
  std::unique_ptr<DelegatedConnect> delegated_;

  // Another site.
  Connection* connection_ = nullptr;
  TimePoint look_again_ = 0;
};

}  // namespace longhaul::nccl
