#include "path/connection.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "base/text.h"
#include "path/notice.h"

namespace longhaul {
namespace {

/// How long the very last bytes and FINs may take once all is acknowledged.
constexpr Duration kFinishTime = 2 * kSecond;
/// A flow between sites on which nothing comes is asked so often.
constexpr Duration kProbe = 250 * kMillisecond;
/// How often what has no event of its own is looked at.
constexpr Duration kTick = kMillisecond;
/// Before the round trip is known, a chunk on a flow that may lose frames goes
/// again after this.
constexpr Duration kFirstPatience = 200 * kMillisecond;
/// No deadline is nearer: what is overdue for want of room waits for an event.
constexpr Duration kShortestWait = 100 * kMicrosecond;

}  // namespace

Connection::Connection(Engine& engine, BlockPool& pool, ConnectionConfig config)
    : Pollable(engine),
      config_(std::move(config)),
      inbox_(*this, pool, config_.inbox),
      outbox_(pool, config_.outbox),
      padding_left_(config_.warm_up_bytes) {
  padding_cookie_.retained = true;
  if (config_.board != nullptr && config_.line == 0) config_.board->Join(*this);
  control_out_.resize(kMaxControlPayload);
}

Connection::~Connection() {
  if (config_.board != nullptr) {
    config_.board->Leave(*this);
    config_.board->Withdraw(*this);
  }
  for (const auto& flow : flows_) {
    if (flow->endpoint == nullptr) continue;
    flow->endpoint->Close();
    LoseFlow(*flow);
  }
}

void Connection::Break(const Status& why) { Fault(why); }

void Connection::Attach(uint32_t communicator, uint32_t rank,
                        MessageObserver& observer) {
  inbox_.Attach(communicator, rank, observer);
  for (const Notice& notice : told_) {
    if (notice.communicator == communicator) observer.OnNotice(*this, notice);
  }
}

void Connection::Detach(uint32_t communicator, uint32_t rank) {
  inbox_.Detach(communicator, rank, flows_);
  outbox_.Forget(communicator, rank);
  Wake();
}

// Why no op is taken any more, if none is.
Status Connection::Refusal() const {
  if (!status_.ok() || closing_ == Closing::kOpen) return status_;
  return {StatusCode::kAborted,
          Text("the connection to %s is being closed", config_.peer.c_str()),
          FaultScope::kConnection};
}

void Connection::Send(SendOp& op) {
  const Status refusal = Refusal();
  resumed_ |= outbox_.idle();
  if (!refusal.ok()) {
    op.listener->OnSent(op, refusal);
  } else if (!outbox_.Send(op)) {
    op.listener->OnSent(
        op, Status(StatusCode::kExhausted,
                   Text("too many pairs of ranks have used the connection to "
                        "%s",
                        config_.peer.c_str())));
  }
  Wake();
}

void Connection::Recv(RecvOp& op) {
  const Status refusal = Refusal();
  if (!refusal.ok()) {
    op.listener->OnReceived(op, refusal);
    return;
  }
  inbox_.Recv(op);
  Wake();
}

void Connection::Cancel(SendOp& op, const Status& why) {
  outbox_.Cancel(op, why);
  Wake();
}

void Connection::Cancel(RecvOp& op, const Status& why) {
  inbox_.Cancel(op, why, flows_);
  Wake();
}

void Connection::ForgetMessage(const MessageId& received) {
  inbox_.Forget(received, flows_);
}

void Connection::ForgetEpoch(uint32_t communicator, uint32_t rank,
                             uint32_t epoch) {
  inbox_.Forget(communicator, rank, epoch, flows_);
  Wake();
}

void Connection::Forget(const OperationId& operation) {
  inbox_.Forget(operation, flows_);
  outbox_.Forget(operation);
  Wake();
}

void Connection::ForEachUnexpected(
    const OperationId& operation,
    const std::function<void(const ChunkHeader&)>& visit) {
  inbox_.ForEachUnexpected(operation, visit);
}

void Connection::Tell(const Notice& notice) {
  if (!Refusal().ok()) return;
  std::array<uint8_t, Outbox::kMaxNotice> payload;
  const size_t size = EncodeNotice(notice.status, payload);
  outbox_.SendNotice(
      NoticeId(notice.communicator, notice.epoch, notice.sequence, notices_++),
      std::span(payload).first(size));
  Wake();
}

void Connection::StartClose(TimePoint now) {
  if (closing_ != Closing::kOpen) return;
  padding_left_ = 0;
  closing_ = Closing::kFlushing;
  close_deadline_ = HasFlow() || !cut_.ok() ? now + config_.timeout : now;
  Wake();
}

// --- What the engine asks

void Connection::Poll(uint32_t /*events*/, TimePoint now) {
  lost_.clear();
  if (!status_.ok()) return;
  TimePoint next = kNever;
  if (closing_ < Closing::kFinishing) {
    // Acknowledgements and grants first: they go ahead of data anyway.
    FlushControl();
    next = std::min(outbox_.Resend(flows_, Patience(), now), LookAtFlows(now));
    CheckHealth(now);
    outbox_.Pump(flows_, now);
    if (outbox_.starved()) next = std::min(next, now + kTick);
    SendPadding();
  }
  next = std::min({next, CheckCut(now), CheckLiveness(now)});
  if (closing_ != Closing::kOpen) next = std::min(next, AdvanceClose(now));
  if (!status_.ok()) return;
  SetDeadline(next == kNever ? kNever : std::max(next, now + kShortestWait));
}

// The flow that gets something through soonest; null if none does.
Flow* Connection::SoonestFlow() const {
  Flow* soonest = nullptr;
  for (const auto& flow : flows_) {
    if (Speaks(*flow) &&
        (soonest == nullptr ||
         flow->meter.round_trip() < soonest->meter.round_trip())) {
      soonest = flow.get();
    }
  }
  return soonest;
}

// Over a given flow, or over any.
bool Connection::SendControl(Flow* over, const ChunkHeader& header,
                             std::span<const uint8_t> payload) {
  if (over != nullptr) return over->endpoint->TrySendControl(header, payload);
  Flow* soonest = SoonestFlow();
  if (soonest != nullptr &&
      soonest->endpoint->TrySendControl(header, payload)) {
    return true;
  }
  return std::any_of(flows_.begin(), flows_.end(), [&](const auto& flow) {
    return flow->endpoint != nullptr &&
           flow->endpoint->TrySendControl(header, payload);
  });
}

template <typename Entry>
void Connection::SendEntries(Flow* over, FrameKind kind, size_t entry_size,
                             std::vector<Entry>* entries) {
  const size_t most = kMaxControlPayload / entry_size;
  size_t sent = 0;
  while (sent < entries->size()) {
    const size_t count = std::min(most, entries->size() - sent);
    for (size_t i = 0; i < count; ++i) {
      Encode((*entries)[sent + i], &control_out_[i * entry_size]);
    }
    ChunkHeader header;
    header.kind = kind;
    header.size = static_cast<uint32_t>(count * entry_size);
    if (!SendControl(over, header,
                     std::span(control_out_).first(header.size))) {
      break;
    }
    sent += count;
  }
  entries->erase(entries->begin(),
                 entries->begin() + static_cast<std::ptrdiff_t>(sent));
}

void Connection::FlushControl() {
  if (!HasFlow()) return;
  for (const auto& flow : flows_) {
    if (flow->endpoint == nullptr) continue;
    if (flow->pong_due) {
      ChunkHeader pong;
      pong.kind = FrameKind::kPong;
      pong.offset = flow->pong_value;
      flow->pong_due = !SendControl(flow.get(), pong, {});
    }
    SendEntries(flow.get(), FrameKind::kAck, kAckEntrySize, &flow->acks);
  }
  inbox_.TakeCredit(&credits_, std::exchange(advertise_, false));
  SendEntries(nullptr, FrameKind::kCredit, kCreditEntrySize, &credits_);
  SendEntries(nullptr, FrameKind::kGrant, kGrantEntrySize, &inbox_.grants());
  SendEntries(nullptr, FrameKind::kPace, kPaceEntrySize, &paces_);
  SendEntries(nullptr, FrameKind::kWant, kWantEntrySize, &wants_);
}

Duration Connection::Patience() const {
  return rtt_ > 0 ? 2 * rtt_ + kMillisecond : kFirstPatience;
}

bool Connection::Expecting() const {
  return inbox_.posted() > 0 || !outbox_.idle() || closing_ != Closing::kOpen;
}

// Without a flow that gets anything through: asks for one, and gives up in
// time. When to look again.
TimePoint Connection::CheckCut(TimePoint now) {
  if (!cut_.ok() && cut_since_ == kNever) {
    cut_since_ = std::min(now, mute_since_);
    for (const auto& flow : flows_) flow->wanted = false;  // all are, or none
    if (config_.source != nullptr) config_.source->Reopen(cut_, now);
  }
  const TimePoint since = cut_.ok() ? mute_since_ : cut_since_;
  if (since == kNever || config_.reopen == 0) return kNever;
  if (now - since < config_.reopen) return since + config_.reopen;
  Fault(Status(
      StatusCode::kUnreachable,
      Text("lost %s on every path, and none has come back within %.1f s "
           "(LONGHAUL_PATH_TIMEOUT): %s",
           config_.peer.c_str(), static_cast<double>(config_.reopen) / kSecond,
           cut_.ok() ? "nothing is confirmed any more" : cut_.text().c_str()),
      FaultScope::kConnection));
  return kNever;
}

// When to look again.
TimePoint Connection::CheckLiveness(TimePoint now) {
  if (!Expecting()) {
    expecting_since_ = kNever;
    return kNever;
  }
  if (expecting_since_ == kNever) expecting_since_ = now;
  const TimePoint since = std::max(last_heard_, expecting_since_);
  // Whether the paths come back is CheckCut's to wait for.
  const bool paths_gone =
      config_.reopen > 0 && (!cut_.ok() || mute_since_ != kNever);
  if (now - since >= config_.timeout && !paths_gone) {
    Fault(Status(
        StatusCode::kUnreachable,
        Text("%s has been silent for %.1f s (LONGHAUL_TIMEOUT)",
             config_.peer.c_str(), static_cast<double>(now - since) / kSecond),
        FaultScope::kConnection));
    return kNever;
  }
  TimePoint next = paths_gone ? kNever : since + config_.timeout;
  if (closing_ >= Closing::kFinishing) return next;
  for (const auto& flow : flows_) {
    if (flow->endpoint != nullptr) next = std::min(next, CheckFlow(*flow, now));
  }
  return next;
}

// Pings a flow when it is time to. One that stays silent while others do not is
// given up.
TimePoint Connection::CheckFlow(Flow& flow, TimePoint now) {
  const TimePoint since = std::max(flow.heard, expecting_since_);
  if (now - since >= config_.timeout / 2 &&
      last_heard_ - since >= config_.timeout / 4) {
    GiveUp(flow);
    return kNever;
  }
  // On flows that may lose frames, credit and grants may have been lost: a ping
  // has the peer say it all again.
  const bool reliable = flow.endpoint->reliable();
  Duration every = reliable ? config_.timeout / 4 : Patience();
  if (reliable && config_.outbox.retain) {
    // What is not confirmed tells that a path is gone.
    every = std::min(every, std::max(kProbe, 2 * flow.meter.round_trip()));
  }
  const TimePoint last = reliable ? std::max(since, flow.pinged) : flow.pinged;
  if (now - last < every) return last + every;
  ChunkHeader ping;
  ping.kind = FrameKind::kPing;
  ping.offset = static_cast<uint64_t>(now);
  if (SendControl(&flow, ping, {})) flow.pinged = now;
  return now + every;
}

bool Connection::AllAcknowledged() const {
  return outbox_.idle() &&
         std::all_of(flows_.begin(), flows_.end(),
                     [](const auto& flow) { return flow->acks.empty(); });
}

// When to look again.
TimePoint Connection::AdvanceClose(TimePoint now) {
  if (!status_.ok()) return kNever;
  if (closing_ < Closing::kFinishing && now >= close_deadline_) {
    End(Status(StatusCode::kTimedOut,
               Text("%s has not taken what was sent before the connection was "
                    "closed",
                    config_.peer.c_str()),
               FaultScope::kConnection));
    return kNever;
  }
  if (closing_ == Closing::kFlushing && AllAcknowledged()) {
    outbox_.SendNotice(NoticeId(0, 0, 0, notices_++), kGoodbye);
    outbox_.Pump(flows_, now);
    closing_ = Closing::kGoodbye;
  } else if (closing_ == Closing::kGoodbye && AllAcknowledged()) {
    for (const auto& flow : flows_) {
      if (flow->endpoint != nullptr) flow->endpoint->Finish();
    }
    closing_ = Closing::kFinishing;
    close_deadline_ = now + kFinishTime;
  }
  if (closing_ != Closing::kFinishing) return close_deadline_;
  const bool drained =
      std::all_of(flows_.begin(), flows_.end(), [](const auto& flow) {
        return flow->endpoint == nullptr || flow->endpoint->Drained();
      });
  if (!drained && now < close_deadline_) return now + kTick;
  End(Status(StatusCode::kAborted,
             Text("the connection to %s is closed", config_.peer.c_str()),
             FaultScope::kConnection));
  return kNever;
}

// --- How it ends

bool Connection::HasFlow() const {
  return std::any_of(flows_.begin(), flows_.end(), [](const auto& flow) {
    return flow->endpoint != nullptr;
  });
}

void Connection::LoseFlow(Flow& flow) {
  inbox_.OnFlowLost(flow);
  outbox_.OnFlowLost(flow);
  const EndpointStats stats = flow.endpoint->Stats();
  flow.path->past_sent += stats.bytes_sent;
  flow.path->past_received += stats.bytes_received;
  flow.path->past_retransmits += stats.retransmits;
  flow.fell = flow.wanted = false;
  lost_.push_back(std::move(flow.endpoint));
}

// A flow is gone. The others go on, unless it took something with it.
void Connection::DropFlow(Flow& flow, const Status& why) {
  CountLoss(flow);
  LoseFlow(flow);
  advertise_ = true;  // what the flow carried of credit may be lost
  Wake();
  const bool leaving = peer_left_ || closing_ >= Closing::kFinishing;
  if (HasFlow() && (leaving || config_.outbox.retain)) return;
  if (leaving && !HasFlow() &&
      (inbox_.posted() == 0 || closing_ >= Closing::kFinishing)) {
    End(Status(StatusCode::kUnreachable,
               Text("%s has left", config_.peer.c_str()),
               FaultScope::kConnection));
    return;
  }
  if (config_.outbox.retain && config_.reopen > 0 && !peer_left_) {
    cut_ = why;
    return;
  }
  Fault(Status(why.code(),
               Text(peer_left_ ? "%s has left: %s" : "lost %s: %s",
                    config_.peer.c_str(), why.text().c_str()),
               FaultScope::kConnection));
}

void Connection::End(const Status& why) {
  status_ = why;
  closing_ = Closing::kClosed;
  for (const auto& flow : flows_) {
    if (flow->endpoint == nullptr) continue;
    flow->endpoint->Close();
    LoseFlow(*flow);
  }
  outbox_.Fail(status_);
  inbox_.Fail(status_);
  SetDeadline(kNever);
  Wake();
}

void Connection::Fault(const Status& why) {
  if (!status_.ok()) return;
  End(why.scope() < FaultScope::kConnection
          ? Status(why.code(), why.text(), FaultScope::kConnection)
          : why);
  inbox_.ForEachObserver(
      [this](uint32_t /*communicator*/, MessageObserver& observer) {
        observer.OnFault(*this, status_);
      });
}

ConnectionCounters Connection::Counters() const {
  ConnectionCounters counters;
  counters.out = outbox_.counters();
  counters.in = inbox_.counters();
  counters.padding_bytes = padding_bytes_;
  counters.flows_lost = flows_lost_;
  for (const auto& path : paths_) {
    counters.pace += path->pace;
    counters.peer_pace += path->peer_pace;
  }
  if (config_.outbox.retain) CountPaths(&counters.paths);
  for (const auto& flow : flows_) {
    if (flow->endpoint == nullptr) continue;
    const EndpointStats stats = flow->endpoint->Stats();
    EndpointStats& sum = counters.transport;
    ++counters.flows;
    sum.bytes_sent += stats.bytes_sent;
    sum.bytes_received += stats.bytes_received;
    sum.retransmits += stats.retransmits;
    sum.delivery_rate += stats.delivery_rate;
    sum.bytes_in_flight += stats.bytes_in_flight;
    if (sum.rtt == 0 || (stats.rtt != 0 && stats.rtt < sum.rtt)) {
      sum.rtt = stats.rtt;
    }
    if (sum.min_rtt == 0 ||
        (stats.min_rtt != 0 && stats.min_rtt < sum.min_rtt)) {
      sum.min_rtt = stats.min_rtt;
    }
  }
  return counters;
}

}  // namespace longhaul
