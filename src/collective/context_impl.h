// What is behind Context: the engine, the listening port, the connections to
// other processes of the job, and the rendezvous in the process of rank 0.
//
// Create, Join, Close and the destructor: the caller's threads. Everything
// marked so: engine thread only.
#pragma once

#include <longhaul/communicator.h>
#include <longhaul/options.h>

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/log.h"
#include "collective/peer.h"
#include "collective/process_card.h"
#include "collective/rendezvous.h"
#include "engine/engine.h"
#include "memory/block_pool.h"
#include "path/connection.h"
#include "path/pipe.h"
#include "topology/path_plan.h"
#include "topology/topology_file.h"
#include "transport/tcp/tcp_connector.h"
#include "transport/tcp/tcp_listener.h"

namespace longhaul {

/// Gets the private flows that are for one subject. Engine thread.
class PrivateFlowTaker {
 public:
  virtual ~PrivateFlowTaker() = default;
  /// What to answer in the hello's flags.
  virtual uint16_t flags() const = 0;
  virtual void Take(UniqueFd flow, const Hello& theirs, TimePoint now) = 0;
};

class Context::Impl final : private FlowAcceptor {
 public:
  /// `assisted`: callers turn the engine themselves (Engine::Assist).
  static Result<std::unique_ptr<Impl>> Create(Options options,
                                              bool assisted = false);
  ~Impl() override;

  const Options& options() const { return options_; }
  const TopologyFile* topology_file() const {
    return topology_file_ ? &*topology_file_ : nullptr;
  }
  const std::string& host() const { return host_; }
  Engine& engine() { return engine_; }
  Logger& log() { return *log_; }

  struct Joined {
    uint32_t communicator = 0;       ///< its id, unlike any other of the job
    std::vector<ProcessCard> cards;  ///< by rank
  };
  /// Meets the other ranks of a communicator.
  Result<Joined> Join(const std::string& name, Rank rank, Rank size,
                      const std::string& site, bool wan_access);

  // --- Processes that reach each other by cards that came another way than a
  // rendezvous (NCCL's handles): context_door.cc.

  /// Lets in whoever has this process's card. Once, before any other call;
  /// `site` is this process's, `pipes` hears of the pipes that peers open and
  /// must outlive the context.
  Status OpenDoor(const std::string& site, PipeAcceptor& pipes);
  /// What this process says of itself to others.
  ProcessCard Card(const std::string& site, bool wan_access) const;
  const std::optional<SipKey>& secret() const { return secret_file_key_; }
  /// The addresses of a rendezvous in this process, which is there from the
  /// first call on. Its key is the door's.
  Result<std::vector<Address>> OpenRendezvous();
  /// Engine thread. Private flows for `subject` go to `taker`, until it leaves.
  void Expect(uint64_t subject, PrivateFlowTaker& taker);
  void Unexpect(uint64_t subject);
  /// Engine thread. Opens a private flow to a process of the same site; `flags`
  /// are the hello's, kPrivate aside.
  std::unique_ptr<TcpConnector> OpenPrivate(const ProcessCard& to,
                                            uint64_t subject, uint16_t flags,
                                            FlowOpener& opener);
  /// Engine thread. A number for the next pipe to that process.
  uint32_t NextPipe(uint64_t incarnation);
  /// Engine thread. The process of this card is one of ours: where to call it,
  /// should its connection be lost.
  void Learn(const ProcessCard& card);

  /// Engine thread. The connection to a process, opened if there is none. Null
  /// if the two have no address in common to try. `line` leads to its site.
  Connection& ConnectionTo(const ProcessCard& card, const std::string& peer,
                           bool same_site, uint64_t line);
  /// Engine thread. Null if there is none.
  const Connection* Find(uint64_t incarnation) const;

 private:
  /// Capability bit of cards: BBR may be asked for on this host.
  static constexpr uint64_t kBbr = 1;
  uint64_t line_ = 0;  ///< to this process's site, as others know it
  std::string site_;   ///< this process's, by the last it has joined as

  /// The key by which the ranks meet for the next communicator of that name.
  std::string NextKey(const std::string& name, Rank rank);
  explicit Impl(Options options);
  Status Open(bool assisted);
  Status OpenListener();
  Status ProbeCongestionControl();
  Status ServeRendezvous(const HostPort& at);
  Status EnterJob(uint64_t job, const SipKey& secret);
  TcpSettings FlowSettings() const;
  uint16_t WanFlows(const ProcessCard& card) const;
  Duration PathTimeout() const {
    return options_.path_timeout.value_or(options_.timeout).count();
  }
  ConnectionConfig ConfigFor(uint64_t incarnation, uint64_t line,
                             const std::string& peer, bool same_site);
  TcpConnector::Config CallTo(const ProcessCard& card, const std::string& peer,
                              LinkClass link) const;
  PathEnd OwnEnd() const;
  Result<std::vector<PathDialer::Path>> PathsTo(const ProcessCard& card,
                                                const std::string& peer) const;
  PathInfo PathOf(int fd, uint64_t incarnation) const;
  Status Introduce(Peer& peer, const ProcessCard& card);
  std::unique_ptr<Peer> MakePeer(const ConnectionConfig& config,
                                 bool same_site);
  HelloPolicy PolicyFor(const ProcessCard& card) const;
  Result<Hello> AcceptPrivate(const Hello& theirs);
  void Close();
  bool CloseStep(TimePoint deadline);

  // FlowAcceptor
  Result<Hello> Accept(const Hello& theirs, TimePoint now) override;
  void Accepted(UniqueFd flow, const Hello& theirs, TimePoint now) override;

  Options options_;
  std::unique_ptr<Logger> log_;
  std::string host_;
  std::optional<TopologyFile> topology_file_;
  std::optional<SipKey> secret_file_key_;
  uint64_t incarnation_ = 0;
  bool bbr_ = false;

  Engine engine_;
  BlockPool pool_;
  std::unique_ptr<TcpListener> listener_;
  std::vector<std::string> labels_;  ///< of the listener's addresses
  std::unique_ptr<RendezvousServer> server_;
  HelloPolicy policy_;

  std::mutex join_mutex_;
  std::map<std::pair<std::string, Rank>, int> joins_;  ///< per name and rank

  // Engine thread only.
  std::map<uint64_t, ProcessCard> known_;  ///< by incarnation
  PaceBoard board_;
  Door door_;
  PipeAcceptor* pipes_ = nullptr;                 ///< null: the door is closed
  std::map<uint64_t, PrivateFlowTaker*> takers_;  ///< by subject
  std::map<uint64_t, std::unique_ptr<Peer>> peers_;
};

}  // namespace longhaul
