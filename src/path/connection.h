// All there is between this process and one other: messages matched by name,
// over one or several flows, with retention, credit and acknowledgements
// between sites (docs/adr/0001), liveness, notices and an orderly end.
//
// A connection may be used before its first flow is there: sends wait. It is
// broken for good, and says so to every observer, when its last flow is lost
// without a goodbye and none takes its place in time, when the peer is silent
// for the time-out while something is expected of it, or when the peer breaks
// the protocol. Without retention the loss of any flow breaks it: what that
// flow carried cannot be sent again.
// Every op handed in comes back through its listener, whatever happens.
//
// Engine thread only.
#pragma once

#include <longhaul/counters.h>
#include <longhaul/status.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "path/access_meter.h"
#include "path/flow.h"
#include "path/inbox.h"
#include "path/message.h"
#include "path/outbox.h"
#include "path/pace_board.h"
#include "path/path.h"

namespace longhaul {

/// Where flows come from.
class FlowSource {
 public:
  virtual ~FlowSource() = default;
  /// The last flow was lost: another is wanted. Add one when there is one, or
  /// Break the connection when there can be none.
  virtual void Reopen(const Status& why, TimePoint now) = 0;
  /// While there are others: this flow is lost, silent, or would be one more.
  /// Add it when it is open, however long that takes. False if this side does
  /// not open flows: the peer is asked then. Asking again changes nothing.
  virtual bool Want(FlowId flow, TimePoint now) = 0;
  /// It speaks again, or is of no use: not wanted any more.
  virtual void Spare(FlowId flow) = 0;
};

struct ConnectionConfig {
  std::string peer;  ///< for messages: "rank 3 (node7, site paris)"
  OutboxConfig outbox;
  InboxConfig inbox;
  Duration timeout = 60 * kSecond;  ///< a silent peer is given up after this
  /// How long it may be without a flow that gets anything through, if it
  /// retains; 0: not at all.
  Duration reopen = 0;
  FlowSource* source = nullptr;  ///< asked then; outlives the connection
  uint64_t warm_up_bytes = 0;    ///< padding sent at the start, at most
  bool pace = false;             ///< flows, so that they share a line well
  /// Where paces are agreed upon; null: nowhere. Outlives the connection.
  PaceBoard* board = nullptr;
  uint64_t line = 0;  ///< PaceBoard::LineTo the peer's site; 0: it is a mate
  /// Told what flows to another site do; null: nobody. Outlives the connection.
  AccessMeter* access = nullptr;
  bool grow_flows = false;  ///< more on each path, as long as they help
};

struct ConnectionCounters {
  OutboxCounters out;
  InboxCounters in;
  uint64_t padding_bytes = 0;
  uint64_t flows_lost = 0;
  size_t flows = 0;
  double pace = 0;          ///< of all flows together; 0: none
  double peer_pace = 0;     ///< what the peer has told of its own
  EndpointStats transport;  ///< summed over flows; times of the best one
  std::vector<PathCounters> paths;
};

class Connection final : public ChunkSink, private Pollable {
 public:
  Connection(Engine& engine, BlockPool& pool, ConnectionConfig config);
  ~Connection() override;

  /// What the peer's hello grants; before its first flow is added.
  void Welcome(uint64_t shared_credit, uint64_t stream_reserve) {
    outbox_.Welcome(shared_credit, stream_reserve);
  }
  /// How many flows every path has at first; before its first flow is added.
  void StartFlows(uint16_t flows) { start_flows_ = flows; }
  /// Takes over an endpoint whose sink is this connection; in the turn of the
  /// engine in which the endpoint was started, so that nothing has arrived yet.
  /// It takes the place of the flow of the same `id`, if there is one: the peer
  /// has given that one up. `path`: of the path that the flow is on, if it is
  /// the first on it.
  void AddFlow(std::unique_ptr<Endpoint> endpoint, TimePoint now,
               std::optional<FlowId> id = std::nullopt,
               const PathInfo& path = {});
  /// Breaks the connection from outside: it could not be opened, say.
  void Break(const Status& why);

  const std::string& peer() const { return config_.peer; }
  /// Ok, or what broke it, or kAborted once it is closed.
  const Status& status() const { return status_; }

  /// Joins `rank` of this process to the connection; it hears of messages to it
  /// and of notices to its communicator, from within the call of those that
  /// came before. Any pair of communicator and rank may join only once.
  void Attach(uint32_t communicator, uint32_t rank, MessageObserver& observer);
  /// What still comes for that rank is thrown away. Its ops must be back.
  void Detach(uint32_t communicator, uint32_t rank);

  void Send(SendOp& op);
  void Recv(RecvOp& op);
  /// Takes an op back. A receive's listener is called before this returns, and
  /// its message is thrown away from then on; a send's when no endpoint reads
  /// the source any more. Nothing if the op is not handed in.
  void Cancel(SendOp& op, const Status& why);
  void Cancel(RecvOp& op, const Status& why);
  /// An operation is over, its observer says so already, its ops are back: what
  /// is kept of it goes.
  void Forget(const OperationId& operation);
  /// The same for one received message, where operations are not what counts.
  void ForgetMessage(const MessageId& received);
  void ForgetEpoch(uint32_t communicator, uint32_t rank, uint32_t epoch);
  /// Is there a flow to the peer?
  bool connected() const { return HasFlow(); }
  void ForEachUnexpected(const OperationId& operation,
                         const std::function<void(const ChunkHeader&)>& visit);

  /// Has the warm-up ended, or can it not begin?
  bool warm() const { return padding_left_ == 0 || !status_.ok(); }
  /// Tells the peer, a mate, how fast this process sends; the latest counts.
  void TellPace(uint64_t line, double pace);

  /// Tells the peer's ranks of the communicator, each once and reliably. May
  /// overtake messages sent before.
  void Tell(const Notice& notice);

  /// Begins the end: what was sent is seen off, goodbye is said; ops handed in
  /// from now on come back with kAborted. `closed()` turns true when the peer
  /// has heard it, or is known not to, at the latest after the time-out.
  void StartClose(TimePoint now);
  bool closed() const { return closing_ == Closing::kClosed; }

  ConnectionCounters Counters() const;

  // ChunkSink
  Buffer Place(Endpoint& from, const ChunkHeader& header,
               TimePoint now) override;
  void Arrived(Endpoint& from, const ChunkHeader& header, Buffer payload,
               TimePoint now) override;
  void Sent(Endpoint& from, void* cookie) override;
  void Writable(Endpoint& from) override;
  void Failed(Endpoint& from, const Status& why) override;

 private:
  enum class Closing : uint8_t {
    kOpen,
    kFlushing,
    kGoodbye,
    kFinishing,
    kClosed
  };

  void Poll(uint32_t events, TimePoint now) override;
  void FlushControl();
  template <typename Entry>
  void SendEntries(Flow* over, FrameKind kind, size_t entry_size,
                   std::vector<Entry>* entries);
  bool SendControl(Flow* over, const ChunkHeader& header,
                   std::span<const uint8_t> payload);
  TimePoint LookAtFlows(TimePoint now);
  void SettlePace(TimePoint now);
  void SettlePace(Path& path, TimePoint now);
  void PaceFlow(Flow& flow, bool resumed, const EndpointStats& stats,
                TimePoint now);
  void LimitPace(Flow& flow) const;
  void CheckHealth(TimePoint now);
  Flow* SoonestFlow() const;
  bool Speaks(const Flow& flow) const;
  bool AllSpeak() const;
  bool Mute() const;
  void GiveUp(Flow& flow);
  void Want(Flow& flow, TimePoint now);
  void Spare(Flow& flow);
  void TakeWant(const WantEntry& entry, TimePoint now);
  void TellProgress(Flow& flow, const EndpointStats& stats,
                    TimePoint now) const;
  void GrowFlows(bool busy, TimePoint now);
  FlowGrowth::Look LookAt(const Path& path) const;
  void UseFlows(Path& path);
  void LetRest(Flow& flow, bool resting) const;
  bool MayBeGrown(FlowId id) const;
  Path& PathOf(uint16_t number, const PathInfo& info);
  Flow* PlaceFor(std::optional<FlowId> id);
  void CountPaths(std::vector<PathCounters>* out) const;
  void CountFlow(const Flow& flow, PathCounters* path) const;
  void SendPadding();
  void TakePace(const PaceEntry& entry, TimePoint now);
  bool HasLine() const { return config_.board != nullptr && config_.line != 0; }
  double PaceShare(const Path& path, TimePoint now) const;
  uint64_t LineOf(const Path& path) const;
  Duration Patience() const;
  bool Expecting() const;
  TimePoint CheckCut(TimePoint now);
  TimePoint CheckLiveness(TimePoint now);
  TimePoint CheckFlow(Flow& flow, TimePoint now);
  TimePoint AdvanceClose(TimePoint now);
  bool AllAcknowledged() const;
  Status Take(Flow& flow, const ChunkHeader& header, const uint8_t* payload,
              TimePoint now);
  Status TakeEntries(const ChunkHeader& header, const uint8_t* payload,
                     TimePoint now);
  Status TakeNotice(Flow& flow, const ChunkHeader& header,
                    const uint8_t* payload);
  Flow* FlowOf(const Endpoint& endpoint);
  Status Refusal() const;
  bool HasFlow() const;
  void LoseFlow(Flow& flow);
  void CountLoss(Flow& flow);
  void DropFlow(Flow& flow, const Status& why);
  void End(const Status& why);
  void Fault(const Status& why);

  ConnectionConfig config_;
  Inbox inbox_;
  Outbox outbox_;
  std::vector<std::unique_ptr<Flow>> flows_;
  std::vector<std::unique_ptr<Path>> paths_;
  std::vector<std::unique_ptr<Endpoint>> lost_;  ///< destroyed in Poll
  Status status_;

  std::vector<CreditEntry> credits_;
  std::vector<uint8_t> control_out_;
  bool advertise_ = false;    ///< tell the peer all credit and grants again
  uint64_t notices_ = 0;      ///< sent
  RangeSet notices_taken_;    ///< by number
  std::vector<Notice> told_;  ///< the latest, for those who attach later

  Status cut_;  ///< why there is no flow; ok: there is
  TimePoint cut_since_ = kNever;
  TimePoint mute_since_ = kNever;  ///< when the last flow fell silent

  bool resumed_ = false;          ///< there was nothing to send until now
  std::vector<PaceEntry> paces_;  ///< to be told
  std::vector<WantEntry> wants_;  ///< likewise
  FrameCookie padding_cookie_;
  uint64_t padding_left_ = 0;  ///< 0: the warm-up is over
  uint64_t padding_bytes_ = 0;
  uint64_t flows_lost_ = 0;

  TimePoint last_heard_ = 0;
  TimePoint expecting_since_ = kNever;
  Duration rtt_ = 0;  ///< by ping; 0: unknown
  bool peer_left_ = false;
  uint16_t start_flows_ = 1;
  Closing closing_ = Closing::kOpen;
  TimePoint close_deadline_ = kNever;
};

}  // namespace longhaul
