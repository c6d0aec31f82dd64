// Opens the flows of a connection, on every path from its own address, and
// opens again what was lost, for as long as the connection lives.
//
// One side of a connection calls: it dials all flows at the start and from then
// on those that the connection wants, until they are open or it wants them no
// more. When all are gone both sides dial all of them; which of two calls that
// cross counts is for whoever accepts to say.
//
// A path that cannot be opened is told of once, and does no harm as long as
// there is another. The connection is broken if none is open and none can be:
// at the start when time is up or every path has refused for good, later when
// the peer's host refuses on every path, for then the process is no more.
//
// Engine thread only.
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
#include "path/connection.h"
#include "transport/tcp/tcp_connector.h"

namespace longhaul {

class FlowTaker {
 public:
  virtual ~FlowTaker() = default;
  /// A flow is open and yours, not watched by any engine.
  virtual void TakeFlow(FlowId id, const PathInfo& path, UniqueFd fd,
                        const Hello& theirs, TimePoint now) = 0;
};

class PathDialer final : private Pollable {
 public:
  struct Path {
    uint16_t number = 0;
    std::vector<Address> to;  ///< one, or several to be tried in turn
    Address from;             ///< none: as the host routes
    PathInfo info;
    bool guessed = false;  ///< it may never work: no reason for a warning
  };
  struct Config {
    std::vector<Path> paths;  ///< at least one
    uint16_t flows = 1;       ///< on each path
    /// What all calls have in common: peer, settings, policy and hello are
    /// used.
    TcpConnector::Config call;
    Duration connect_timeout = 60 * kSecond;  ///< for the first flow of all
    Duration path_timeout = 60 * kSecond;     ///< when all are gone
    /// Once one flow is open, others that are about to be have this long before
    /// they are tried in haste:
    Duration grace = kSecond;
    Duration shortest_round = 3 * kSecond;  ///< before the outcome is looked at
    Duration least_attempt = 700 * kMillisecond;  ///< or 3 round trips
    Duration first_pause = 100 * kMillisecond;    ///< doubles up to
    Duration longest_pause = 300 * kMillisecond;
    Duration pause_if_guessed = 5 * kSecond;  ///< and never open yet
    Duration pause_if_final = 30 * kSecond;   ///< somebody else is there
  };

  /// Does nothing yet. All must outlive it.
  PathDialer(Engine& engine, Connection& connection, Config config,
             FlowTaker& taker, Logger& log);
  ~PathDialer() override;

  /// This side calls, from now on.
  void Start(TimePoint now);
  /// No flow is left: dials all, whichever side this is.
  void Reopen(TimePoint now);
  /// As FlowSource's.
  bool Want(FlowId flow, TimePoint now);
  void Spare(FlowId flow);

  /// Is a call of ours on its way there?
  bool Dialing(uint16_t path) const;
  /// The peer's own calls are taken in place of ours.
  void Stop(uint16_t path);
  /// The peer's call has been taken: a flow is about to be added.
  void Accepted(uint16_t path, TimePoint now);

 private:
  class Call;
  struct State {
    bool refused = false;  ///< by the peer's host, or for good
    bool was_open = false;
    bool told = false;  ///< that it cannot be opened
    std::string why;    ///< it could not be, last
  };

  void Poll(uint32_t events, TimePoint now) override;
  void DialAll(TimePoint now);
  void Dial(Call& call, TimePoint now);
  void Opened(const Call& call, UniqueFd fd, const Hello& theirs,
              TimePoint now);
  void Failed(Call& call, const Status& why, TimePoint now);
  void NoteOpen(size_t path, TimePoint now);
  void NoteFailure(size_t path, const Status& why);
  TimePoint NextTry(size_t path, const Status& why, TimePoint now) const;
  bool IsHopeless(TimePoint now) const;
  Status Summary() const;
  std::unique_ptr<Call> Take(const Call& call);
  Call* Find(FlowId flow) const;
  size_t PlaceOf(uint16_t path) const;
  void LearnRtt();
  void Schedule();

  Connection& connection_;
  const Config config_;
  FlowTaker& taker_;
  Logger& log_;
  std::vector<State> states_;  ///< of the paths
  std::vector<std::unique_ptr<Call>> calls_;
  bool calls_first_ = false;     ///< this is the side that calls
  bool cut_ = false;             ///< all flows were lost, none is back
  TimePoint deadline_ = kNever;  ///< by which there must be a flow
  TimePoint hurry_at_ = kNever;  ///< what began without haste begins anew
  Duration rtt_ = 0;             ///< as last seen; 0: not known
};

}  // namespace longhaul
