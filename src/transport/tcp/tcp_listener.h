// Accepts data flows from processes of the same job. Listens from Open, so that
// its addresses can be told to others; greets from Start on, when the job's
// nonce and secret are known (who comes earlier waits in the kernel's backlog).
//
// Whatever else connects (scanners, browsers, other jobs) is logged once per
// kind and dropped; half-open handshakes are bounded in number and time.
//
// Engine thread only. Must not be destroyed from within FlowAcceptor's calls.
#pragma once

#include <longhaul/status.h>

#include <memory>
#include <optional>
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

class FlowAcceptor {
 public:
  virtual ~FlowAcceptor() = default;
  /// A process of this job asks for a flow: our answer, of which capabilities,
  /// shared_credit and stream_reserve are used; or why not (kExhausted: it may
  /// try again). Accepted follows at once, unless the answer cannot be sent.
  virtual Result<Hello> Accept(const Hello& theirs, TimePoint now) = 0;
  /// The answer is written; the flow is yours, not watched by any engine.
  virtual void Accepted(UniqueFd flow, const Hello& theirs, TimePoint now) = 0;
};

class TcpListener {
 public:
  struct Config {
    std::vector<Address> addresses;  ///< port 0: from `ports`
    std::optional<PortRange> ports;  ///< nullopt: the kernel chooses
    TcpSettings settings;
    Duration hello_timeout = 5 * kSecond;
    size_t max_half_open = 64;  ///< beyond, the oldest is dropped
  };

  /// kUnreachable or kExhausted if an address cannot be listened on, with the
  /// reason.
  /// `acceptor` and `log` must outlive it.
  static Result<std::unique_ptr<TcpListener>> Open(Engine& engine,
                                                   Config config,
                                                   FlowAcceptor& acceptor,
                                                   Logger& log);
  ~TcpListener();
  TcpListener(const TcpListener&) = delete;
  TcpListener& operator=(const TcpListener&) = delete;

  /// Begins to accept hellos that fit `policy`. Again: replaces the policy.
  /// kExhausted if out of descriptors.
  Status Start(const HelloPolicy& policy);

  /// Where it listens, ports filled in, in the order of the configuration.
  const std::vector<Address>& addresses() const { return addresses_; }
  /// Handshakes in progress.
  size_t half_open() const { return half_open_.size(); }

 private:
  class Port;
  class HalfOpen;
  TcpListener(Engine& engine, Config config, FlowAcceptor& acceptor,
              Logger& log);
  void Admit(UniqueFd fd, TimePoint now);
  std::unique_ptr<HalfOpen> Take(HalfOpen& item);
  void Greet(HalfOpen& from, const HelloBytes& bytes, TimePoint now);
  Hello Ask(const Hello& theirs, const std::string& from, TimePoint now);
  bool Answer(int fd, const Hello& theirs, Hello answer) const;

  Engine& engine_;
  const Config config_;
  FlowAcceptor& acceptor_;
  Logger& log_;
  std::optional<HelloPolicy> policy_;
  std::vector<Address> addresses_;
  std::vector<std::unique_ptr<Port>> ports_;
  std::vector<std::unique_ptr<HalfOpen>> half_open_;  // oldest first
};

}  // namespace longhaul
