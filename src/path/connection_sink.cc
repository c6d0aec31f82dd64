// What the endpoints of a connection bring.
#include "base/text.h"
#include "path/connection.h"
#include "path/notice.h"

namespace longhaul {
namespace {

/// A peer that has more acknowledgements coming does not read them.
constexpr size_t kMostAcks = 1 << 20;
/// Notices that overtake others, at most.
constexpr size_t kMostNoticeGaps = 1 << 12;
/// Notices kept for ranks that attach later.
constexpr size_t kKeptNotices = 64;

size_t EntrySizeOf(FrameKind kind) {
  switch (kind) {
    case FrameKind::kAck:
      return kAckEntrySize;
    case FrameKind::kCredit:
      return kCreditEntrySize;
    case FrameKind::kPace:
      return kPaceEntrySize;
    case FrameKind::kWant:
      return kWantEntrySize;
    default:
      return kGrantEntrySize;
  }
}

bool IsNotice(const ChunkHeader& header) {
  return header.kind == FrameKind::kData &&
         (header.flags & ChunkHeader::kNotice) != 0;
}

}  // namespace

Flow* Connection::FlowOf(const Endpoint& endpoint) {
  for (const auto& flow : flows_) {
    if (flow->endpoint.get() == &endpoint) return flow.get();
  }
  return nullptr;
}

Buffer Connection::Place(Endpoint& from, const ChunkHeader& header,
                         TimePoint now) {
  Flow* flow = FlowOf(from);
  if (flow == nullptr) return {};
  flow->heard = last_heard_ = now;
  if (header.kind != FrameKind::kData || IsNotice(header)) {
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
  Flow* flow = FlowOf(from);
  if (flow == nullptr) return;
  flow->heard = last_heard_ = now;
  Wake();
  Status taken =
      Take(*flow, header, static_cast<const uint8_t*>(payload.data), now);
  if (taken.ok() && flow->acks.size() > kMostAcks) {
    taken =
        Status(StatusCode::kExhausted,
               Text("%s does not take acknowledgements", config_.peer.c_str()),
               FaultScope::kConnection);
  }
  if (!taken.ok()) Fault(taken);
}

Status Connection::Take(Flow& flow, const ChunkHeader& header,
                        const uint8_t* payload, TimePoint now) {
  switch (header.kind) {
    case FrameKind::kData:
      return IsNotice(header) ? TakeNotice(flow, header, payload)
                              : inbox_.Arrived(flow, header, flows_);
    case FrameKind::kPing:
      flow.pong_due = true;
      flow.pong_value = header.offset;
      if (!flow.endpoint->reliable()) advertise_ = true;
      return {};
    case FrameKind::kPong: {
      const auto sent = static_cast<TimePoint>(header.offset);
      if (sent > 0 && sent <= now) rtt_ = now - sent;
      return {};
    }
    case FrameKind::kPadding:
      return {};
    default:
      return TakeEntries(header, payload, now);
  }
}

Status Connection::TakeEntries(const ChunkHeader& header,
                               const uint8_t* payload, TimePoint now) {
  const size_t entry_size = EntrySizeOf(header.kind);
  if (header.size % entry_size != 0) {
    return PeerViolation("a control frame of odd length");
  }
  for (size_t at = 0; at < header.size; at += entry_size) {
    bool fits = true;
    if (header.kind == FrameKind::kAck) {
      fits = outbox_.OnAck(DecodeAck(payload + at));
    } else if (header.kind == FrameKind::kCredit) {
      fits = outbox_.OnCredit(DecodeCredit(payload + at));
    } else if (header.kind == FrameKind::kPace) {
      TakePace(DecodePace(payload + at), now);
    } else if (header.kind == FrameKind::kWant) {
      TakeWant(DecodeWant(payload + at), now);
    } else {
      const GrantEntry grant = DecodeGrant(payload + at);
      const OperationState state =
          inbox_.StateOf({grant.id.communicator, grant.id.source,
                          grant.id.epoch, grant.id.sequence});
      fits = outbox_.OnGrant(grant, state == OperationState::kOpen);
    }
    if (!fits) return PeerViolation("a control entry that cannot be");
  }
  return {};
}

Status Connection::TakeNotice(Flow& flow, const ChunkHeader& header,
                              const uint8_t* payload) {
  const uint64_t number = header.id.message;
  if (header.size != header.total || payload == nullptr || number == ~0ull ||
      notices_taken_.range_count() > kMostNoticeGaps) {
    return PeerViolation("a notice that cannot be");
  }
  // Always acknowledged: a goodbye must not be overtaken by the flows' end.
  flow.acks.push_back({header.id, header.offset, header.size});
  if (notices_taken_.Contains(number, number + 1)) return {};
  notices_taken_.Add(number, number + 1);
  const std::span in(payload, header.size);
  if (in.size() == kNoticeHeader && in[0] == kNoticeGoodbye) {
    // What else is on its way still counts: it is over when the flows end.
    peer_left_ = true;
    return {};
  }
  const Notice notice{header.id.communicator, header.id.epoch,
                      header.id.sequence, DecodeNotice(in)};
  if (notice.status.ok()) return PeerViolation("a notice that cannot be");
  if (told_.size() == kKeptNotices) told_.erase(told_.begin());
  told_.push_back(notice);
  inbox_.ForEachObserver([&](uint32_t communicator, MessageObserver& observer) {
    if (communicator == notice.communicator) {
      observer.OnNotice(*this, notice);
    }
  });
  return {};
}

void Connection::Sent(Endpoint& from, void* cookie) {
  auto* frame = static_cast<FrameCookie*>(cookie);
  if (frame != &padding_cookie_) outbox_.OnSent(frame);
  // Otherwise nothing depends on it: Writable or an acknowledgement follows.
  if (!from.reliable() || closing_ != Closing::kOpen) Wake();
}

void Connection::Writable(Endpoint& from) {
  if (Flow* flow = FlowOf(from)) flow->writable = true;
  Wake();
}

void Connection::Failed(Endpoint& from, const Status& why) {
  if (Flow* flow = FlowOf(from)) DropFlow(*flow, why);
}

}  // namespace longhaul
