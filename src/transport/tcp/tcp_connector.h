// Opens flows to one peer. Each flow tries the peer's addresses in order, the
// next one after 250 ms or an error (RFC 8305), one handshake at a time, and
// begins again with growing pauses until the deadline. An address at which some
// flow got through is tried first from then on.
//
// Engine thread only. Destroying it cancels what is on its way; that may be
// done from within FlowOpener's calls.
#pragma once

#include <longhaul/status.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/address.h"
#include "base/log.h"
#include "base/time.h"
#include "base/unique_fd.h"
#include "engine/engine.h"
#include "transport/tcp/hello.h"
#include "transport/tcp/tcp_socket.h"

namespace longhaul {

/// Each flow ends in exactly one of these calls.
class FlowOpener {
 public:
  virtual ~FlowOpener() = default;
  /// The peer's answer has been verified; the flow is yours, not watched by any
  /// engine.
  virtual void FlowOpened(uint16_t flow, UniqueFd fd, const Hello& theirs,
                          TimePoint now) = 0;
  /// kTimedOut: the deadline has passed; kInvalidArgument or kUnsupported:
  /// every address has refused for good. The text names the peer and what each
  /// address said.
  virtual void FlowFailed(uint16_t flow, const Status& why, TimePoint now) = 0;
};

class TcpConnector {
 public:
  struct Config {
    std::string peer;                ///< for messages: "rank 3 (node7:4711)"
    std::vector<Address> addresses;  ///< at least one; the best first
    Address source;                  ///< bind to it, where the family fits
    TcpSettings settings;
    /// What to say: link, capabilities, credit and `flows` are used.
    Hello hello;
    /// Ours, and the peer's incarnation in `peer`, which must be set.
    HelloPolicy policy;
    uint16_t first_flow = 0;  ///< flows first .. first + count - 1 are opened
    uint16_t flow_count = 1;
    TimePoint deadline = kNever;
    /// Nobody listens at an address: for good, rather than not yet.
    bool refusal_is_final = false;
    Duration stagger = 250 * kMillisecond;     ///< before the next address
    Duration attempt_timeout = 5 * kSecond;    ///< to connect; again, to answer
    Duration first_pause = 50 * kMillisecond;  ///< before the second round;
    Duration longest_pause = 2 * kSecond;      ///< doubles up to this
  };

  /// Begins at once; calls come from engine turns. `opener` and `log` must
  /// outlive it.
  TcpConnector(Engine& engine, Config config, FlowOpener& opener, Logger& log);
  ~TcpConnector();
  TcpConnector(const TcpConnector&) = delete;
  TcpConnector& operator=(const TcpConnector&) = delete;

 private:
  class Flow;
  class Attempt;
  Hello Question(uint16_t flow) const;

  Engine& engine_;
  const Config config_;
  FlowOpener& opener_;
  Logger& log_;
  size_t preferred_ = 0;  // address to try first
  std::vector<std::unique_ptr<Flow>> flows_;
};

}  // namespace longhaul
