#include "path/connection.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "base/bytes.h"
#include "base/check.h"
#include "base/text.h"

namespace longhaul {
namespace {

constexpr uint32_t kPaddingFrame = 64 << 10;
constexpr std::array<uint8_t, kPaddingFrame> kZeros{};
/// How long the very last bytes and FINs may take once all is acknowledged.
constexpr Duration kFinishTime = 2 * kSecond;
/// How often what has no event of its own is looked at while closing.
constexpr Duration kCloseTick = kMillisecond;
/// A chunk on a flow that may lose frames goes again after this many RTTs.
constexpr Duration kFirstResend = 200 * kMillisecond;

// A notice's payload: what, scope, code, text.
constexpr uint8_t kNoticeFault = 0;
constexpr uint8_t kNoticeGoodbye = 1;
constexpr size_t kNoticeHeader = 4;

Status Violation(const char* what) {
  return {StatusCode::kCorrupt, Text("the peer broke the protocol: %s", what),
          FaultScope::kConnection};
}

}  // namespace

Connection::Connection(Engine& engine, BlockPool& pool, ConnectionConfig config)
    : Pollable(engine),
      config_(std::move(config)),
      inbox_(*this, pool, config_.inbox),
      outbox_(pool, config_.outbox),
      warm_up_(config_.warm_up_bytes) {
  padding_cookie_.retained = true;
  control_out_.resize(kMaxControlPayload);
}

Connection::~Connection() {
  for (const auto& flow : flows_) {
    if (flow->endpoint == nullptr) continue;
    flow->endpoint->Close();
    LoseFlow(*flow);
  }
}

void Connection::AddFlow(std::unique_ptr<Endpoint> endpoint, TimePoint now) {
  if (!status_.ok()) return;
  auto flow = std::make_unique<Flow>();
  flow->endpoint = std::move(endpoint);
  flow->control_in =
      std::make_unique<std::array<uint8_t, kMaxControlPayload>>();
  flows_.push_back(std::move(flow));
  last_heard_ = now;
  Wake();
}

void Connection::Break(const Status& why) {
  if (status_.ok()) Fault(why);
}

void Connection::Attach(uint32_t communicator, uint32_t rank,
                        MessageObserver& observer) {
  inbox_.Attach(communicator, rank, observer);
}

void Connection::Detach(uint32_t communicator, uint32_t rank) {
  inbox_.Detach(communicator, rank);
}

void Connection::Send(SendOp& op) {
  if (!status_.ok()) {
    op.listener->OnSent(op, status_);
    return;
  }
  outbox_.Send(op);
  Wake();
}

void Connection::Recv(RecvOp& op) {
  if (!status_.ok()) {
    op.listener->OnReceived(op, status_);
    return;
  }
  inbox_.Recv(op);
  Wake();
  if (op.posted && peer_left_) {
    Fault(Status(StatusCode::kUnreachable,
                 Text("%s has left", config_.peer.c_str()),
                 FaultScope::kConnection));
  }
}

void Connection::Cancel(SendOp& op, const Status& why) {
  outbox_.Cancel(op, why);
}

void Connection::Cancel(RecvOp& op, const Status& why) {
  inbox_.Cancel(op, why, flows_);
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
  if (!status_.ok()) return;
  std::array<uint8_t, Outbox::kMaxNotice> payload;
  payload[0] = kNoticeFault;
  payload[1] = static_cast<uint8_t>(notice.status.scope());
  payload[2] = static_cast<uint8_t>(notice.status.code());
  payload[3] = 0;
  const std::string& text = notice.status.text();
  const size_t length = std::min(text.size(), payload.size() - kNoticeHeader);
  std::memcpy(payload.data() + kNoticeHeader, text.data(), length);
  outbox_.SendNotice(
      {notice.communicator, notice.epoch, notice.sequence, 0, 0, notices_++},
      std::span(payload).first(kNoticeHeader + length));
  Wake();
}

void Connection::StartClose(TimePoint now) {
  if (closing_ != Closing::kOpen) return;
  warm_up_.Stop();
  closing_ = HasFlow() ? Closing::kFlushing : Closing::kClosed;
  expecting_since_ = now;
  Wake();
}

// --- What the engine asks

void Connection::Poll(uint32_t /*events*/, TimePoint now) {
  lost_.clear();
  if (!status_.ok() || closing_ == Closing::kClosed) return;
  if (last_heard_ == 0) last_heard_ = now;
  if (closing_ < Closing::kFinishing) {
    // Acknowledgements and grants first: they go ahead of data anyway.
    FlushControl();
    outbox_.Pump(flows_, now);
    SendPadding(now);
  }
  CheckLiveness(now);
  if (status_.ok() && closing_ != Closing::kOpen) AdvanceClose(now);
}

bool Connection::SendControl(const ChunkHeader& header,
                             std::span<const uint8_t> payload) {
  for (const auto& flow : flows_) {
    if (flow->endpoint != nullptr &&
        flow->endpoint->TrySendControl(header, payload)) {
      return true;
    }
  }
  return false;
}

template <typename Entry>
bool Connection::SendEntries(FrameKind kind, size_t entry_size,
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
    if (!SendControl(header, std::span(control_out_).first(header.size))) break;
    sent += count;
  }
  entries->erase(entries->begin(),
                 entries->begin() + static_cast<std::ptrdiff_t>(sent));
  return entries->empty();
}

void Connection::FlushControl() {
  if (!HasFlow()) return;
  if (pong_due_) {
    ChunkHeader pong;
    pong.kind = FrameKind::kPong;
    pong.offset = pong_value_;
    pong_due_ = !SendControl(pong, {});
  }
  inbox_.TakeCredit(&credits_, std::exchange(advertise_, false));
  SendEntries(FrameKind::kAck, kAckEntrySize, &inbox_.acks());
  SendEntries(FrameKind::kCredit, kCreditEntrySize, &credits_);
  SendEntries(FrameKind::kGrant, kGrantEntrySize, &inbox_.grants());
}

void Connection::SendPadding(TimePoint now) {
  if (warm_up_.done() || !outbox_.idle()) return;
  if (now >= warm_up_.next_sample()) {
    double rate = 0;
    Duration rtt = 0;
    for (const auto& flow : flows_) {
      if (flow->endpoint == nullptr) continue;
      const EndpointStats stats = flow->endpoint->Stats();
      rate += stats.delivery_rate;
      rtt = std::max(rtt, stats.rtt);
    }
    warm_up_.Sample(now, rate, rtt);
  }
  ChunkHeader padding;
  padding.kind = FrameKind::kPadding;
  padding.size = kPaddingFrame;
  for (const auto& flow : flows_) {
    while (flow->endpoint != nullptr && flow->writable && !warm_up_.done()) {
      flow->writable = flow->endpoint->TrySend(
          padding, {kZeros.data(), kZeros.size()}, &padding_cookie_);
      if (!flow->writable) break;
      warm_up_.Spent(kPaddingFrame);
      padding_bytes_ += kPaddingFrame;
    }
  }
}

bool Connection::Expecting() const {
  return inbox_.posted() > 0 || !outbox_.idle() || closing_ != Closing::kOpen;
}

void Connection::CheckLiveness(TimePoint now) {
  if (!Expecting()) {
    expecting_since_ = kNever;
    SetDeadline(kNever);
    return;
  }
  if (expecting_since_ == kNever) expecting_since_ = now;
  const TimePoint since = std::max(last_heard_, expecting_since_);
  if (now - since >= config_.timeout) {
    Fault(Status(
        StatusCode::kUnreachable,
        Text("%s has been silent for %.1f s (LONGHAUL_TIMEOUT)",
             config_.peer.c_str(), static_cast<double>(now - since) / kSecond),
        FaultScope::kConnection));
    return;
  }
  const Duration every = config_.timeout / 4;
  if (now - std::max(since, last_ping_) >= every && HasFlow() &&
      closing_ < Closing::kFinishing) {
    ChunkHeader ping;
    ping.kind = FrameKind::kPing;
    ping.offset = static_cast<uint64_t>(now);
    if (SendControl(ping, {})) last_ping_ = now;
  }
  TimePoint next = std::max(since, last_ping_) + every;
  next = std::min(next, since + config_.timeout);
  const Duration patience = rtt_ > 0 ? 2 * rtt_ + kMillisecond : kFirstResend;
  const TimePoint oldest = outbox_.Resend(flows_, now - patience);
  if (oldest != kNever) next = std::min(next, oldest + patience);
  const bool lossy =
      std::any_of(flows_.begin(), flows_.end(), [](const auto& flow) {
        return flow->endpoint != nullptr && !flow->endpoint->reliable();
      });
  if (lossy && now - last_ping_ >= patience) {
    // What told us of credit or grants may have been lost: a ping has the peer
    // say it all again.
    ChunkHeader ping;
    ping.kind = FrameKind::kPing;
    ping.offset = static_cast<uint64_t>(now);
    if (closing_ < Closing::kFinishing && SendControl(ping, {})) {
      last_ping_ = now;
    }
  }
  if (lossy) next = std::min(next, last_ping_ + patience);
  SetDeadline(std::max(next, now + 1));
}

void Connection::AdvanceClose(TimePoint now) {
  if (closing_ == Closing::kFlushing && outbox_.idle() &&
      inbox_.acks().empty()) {
    const std::array<uint8_t, kNoticeHeader> goodbye{kNoticeGoodbye, 0, 0, 0};
    outbox_.SendNotice({0, 0, 0, 0, 0, notices_++}, goodbye);
    outbox_.Pump(flows_, now);
    closing_ = Closing::kGoodbye;
  }
  if (closing_ == Closing::kGoodbye && outbox_.idle() &&
      inbox_.acks().empty()) {
    for (const auto& flow : flows_) {
      if (flow->endpoint != nullptr) flow->endpoint->Finish();
    }
    closing_ = Closing::kFinishing;
    close_deadline_ = now + kFinishTime;
  }
  if (closing_ == Closing::kFinishing) {
    const bool drained =
        std::all_of(flows_.begin(), flows_.end(), [](const auto& flow) {
          return flow->endpoint == nullptr || flow->endpoint->Drained();
        });
    if (drained || now >= close_deadline_) closing_ = Closing::kClosed;
  }
  if (closing_ != Closing::kClosed) {
    SetDeadline(std::min(deadline(), now + kCloseTick));
  }
}

// --- What the endpoints bring

Flow* Connection::FlowOf(const Endpoint& endpoint) {
  for (const auto& flow : flows_) {
    if (flow->endpoint.get() == &endpoint) return flow.get();
  }
  return nullptr;
}

Buffer Connection::Place(Endpoint& from, const ChunkHeader& header,
                         TimePoint now) {
  last_heard_ = now;
  Flow* flow = FlowOf(from);
  if (flow == nullptr) return {};
  const bool notice = (header.flags & ChunkHeader::kNotice) != 0;
  if (header.kind != FrameKind::kData || notice) {
    if (header.size > flow->control_in->size()) return {};
    return {flow->control_in->data(), header.size};
  }
  Result<Buffer> place = inbox_.Place(*flow, header, flows_);
  if (place.ok()) return *place;
  Fault(place.status());
  return {};
}

void Connection::Arrived(Endpoint& from, const ChunkHeader& header,
                         Buffer payload, TimePoint now) {
  last_heard_ = now;
  Flow* flow = FlowOf(from);
  if (flow == nullptr) return;
  Status taken;
  if (header.kind == FrameKind::kData &&
      (header.flags & ChunkHeader::kNotice) == 0) {
    taken = inbox_.Arrived(*flow, header, flows_);
  } else if (header.kind == FrameKind::kData) {
    taken = TakeNotice(header, static_cast<const uint8_t*>(payload.data));
  } else if (header.kind == FrameKind::kPing) {
    pong_due_ = true;
    pong_value_ = header.offset;
    if (!from.reliable()) advertise_ = true;
  } else if (header.kind == FrameKind::kPong) {
    const auto sent = static_cast<TimePoint>(header.offset);
    if (sent > 0 && sent <= now) rtt_ = now - sent;
  } else if (header.kind != FrameKind::kPadding) {
    taken = TakeEntries(header, static_cast<const uint8_t*>(payload.data));
  }
  if (!taken.ok()) {
    Fault(taken);
    return;
  }
  Wake();
}

Status Connection::TakeEntries(const ChunkHeader& header,
                               const uint8_t* payload) {
  const size_t entry_size = header.kind == FrameKind::kAck ? kAckEntrySize
                            : header.kind == FrameKind::kCredit
                                ? kCreditEntrySize
                                : kGrantEntrySize;
  if (header.size % entry_size != 0) return Violation("control frame's length");
  for (size_t at = 0; at < header.size; at += entry_size) {
    bool fits = true;
    if (header.kind == FrameKind::kAck) {
      fits = outbox_.OnAck(DecodeAck(payload + at));
    } else if (header.kind == FrameKind::kCredit) {
      fits = outbox_.OnCredit(DecodeCredit(payload + at));
    } else {
      fits = outbox_.OnGrant(DecodeGrant(payload + at));
    }
    if (!fits) return Violation("control entry");
  }
  return {};
}

Status Connection::TakeNotice(const ChunkHeader& header,
                              const uint8_t* payload) {
  if (header.size < kNoticeHeader || header.size != header.total ||
      payload == nullptr) {
    return Violation("notice");
  }
  inbox_.Acknowledge(header);
  if (payload[0] == kNoticeGoodbye) {
    peer_left_ = true;
    if (inbox_.posted() > 0) {
      return {StatusCode::kUnreachable,
              Text("%s has left", config_.peer.c_str()),
              FaultScope::kConnection};
    }
    return {};
  }
  if (payload[0] != kNoticeFault ||
      payload[1] > static_cast<uint8_t>(FaultScope::kCommunicator) ||
      payload[2] == 0 ||
      payload[2] > static_cast<uint8_t>(StatusCode::kInternal)) {
    return Violation("notice");
  }
  const auto* text = reinterpret_cast<const char*>(payload) + kNoticeHeader;
  const Notice notice{header.id.communicator, header.id.epoch,
                      header.id.sequence,
                      Status(static_cast<StatusCode>(payload[2]),
                             std::string(text, header.size - kNoticeHeader),
                             static_cast<FaultScope>(payload[1]))};
  inbox_.ForEachObserver([&](uint32_t communicator, MessageObserver& observer) {
    if (communicator == notice.communicator) {
      observer.OnNotice(*this, notice);
    }
  });
  return {};
}

void Connection::Sent(Endpoint& /*from*/, void* cookie) {
  auto* frame = static_cast<FrameCookie*>(cookie);
  if (frame != &padding_cookie_) outbox_.OnSent(frame);
}

void Connection::Writable(Endpoint& from) {
  if (Flow* flow = FlowOf(from)) flow->writable = true;
  Wake();
}

void Connection::Failed(Endpoint& from, const Status& why) {
  Flow* flow = FlowOf(from);
  if (flow == nullptr) return;
  LoseFlow(*flow);
  ++flows_lost_;
  advertise_ = true;  // what the flow carried of credit may be lost
  Wake();
  if (HasFlow()) return;
  if (peer_left_ && inbox_.posted() == 0) {
    closing_ = Closing::kClosed;
    status_ = Status(StatusCode::kUnreachable,
                     Text("%s has left", config_.peer.c_str()),
                     FaultScope::kConnection);
    outbox_.Fail(status_);
    return;
  }
  Fault(Status(why.code(),
               Text("lost %s: %s", config_.peer.c_str(), why.text().c_str()),
               FaultScope::kConnection));
}

bool Connection::HasFlow() const {
  return std::any_of(flows_.begin(), flows_.end(), [](const auto& flow) {
    return flow->endpoint != nullptr;
  });
}

void Connection::LoseFlow(Flow& flow) {
  inbox_.OnFlowLost(flow);
  outbox_.OnFlowLost(flow);
  lost_.push_back(std::move(flow.endpoint));
}

void Connection::Fault(const Status& why) {
  if (!status_.ok()) return;
  status_ = why.scope() < FaultScope::kConnection
                ? Status(why.code(), why.text(), FaultScope::kConnection)
                : why;
  closing_ = Closing::kClosed;
  for (const auto& flow : flows_) {
    if (flow->endpoint == nullptr) continue;
    flow->endpoint->Close();
    LoseFlow(*flow);
  }
  outbox_.Fail(status_);
  inbox_.Fail(status_);
  inbox_.ForEachObserver(
      [this](uint32_t /*communicator*/, MessageObserver& observer) {
        observer.OnFault(*this, status_);
      });
  SetDeadline(kNever);
  Wake();
}

ConnectionCounters Connection::Counters() const {
  ConnectionCounters counters;
  counters.out = outbox_.counters();
  counters.in = inbox_.counters();
  counters.padding_bytes = padding_bytes_;
  counters.flows_lost = flows_lost_;
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
