#include "path/outbox.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"

namespace longhaul {
namespace {

/// Chunks shorter than this are not cut from a longer message just because
/// credit is short: they would cost more than waiting.
constexpr uint64_t kSmallestCut = 4 << 10;

}  // namespace

Outbox::Outbox(BlockPool& pool, const OutboxConfig& config)
    : pool_(pool), config_(config), shared_(config.shared_credit) {}

Outbox::~Outbox() {
  Fail(Status(StatusCode::kAborted, "the connection was closed",
              FaultScope::kConnection));
  streams_.ForEach([this](Stream& stream) {
    streams_.Remove(stream);
    stream_pool_.Destroy(&stream);
  });
  early_.ForEach([this](EarlyGrant& grant) {
    early_.Remove(grant);
    early_pool_.Destroy(&grant);
  });
}

Outbox::Stream* Outbox::FindOrMakeStream(const StreamKey& key) {
  Stream* stream = streams_.Find(key);
  if (stream == nullptr && streams_.size() < kMaxStreams) {
    stream = stream_pool_.Make(key, config_.stream_reserve);
    streams_.Insert(*stream);
  }
  return stream;
}

void Outbox::Welcome(uint64_t shared_credit, uint64_t stream_reserve) {
  shared_.Raise(shared_credit);
  config_.stream_reserve = std::max(config_.stream_reserve, stream_reserve);
  streams_.ForEach(
      [&](Stream& stream) { stream.reserve.Raise(stream_reserve); });
}

void Outbox::Activate(Stream& stream) {
  if (!stream.linked()) active_.PushBack(stream);
}

void Outbox::Send(SendOp& op) {
  LH_DCHECK(op.state == SendOp::State::kIdle);
  Stream* stream =
      FindOrMakeStream({op.id.communicator, op.id.source, op.id.target});
  LH_CHECK(stream != nullptr);
  op.state = SendOp::State::kQueued;
  op.granted = op.cancelled = false;
  op.lent = 0;
  op.next = 0;
  op.issue = issued_++;
  ++queued_;
  ++counters_.messages;
  if (EarlyGrant* grant = early_.Find(op.id)) {
    early_.Remove(*grant);
    early_pool_.Destroy(grant);
    op.granted = true;
  }
  if (op.granted) {
    stream->granted.PushBack(op);
  } else {
    stream->waiting.PushBack(op);
    sends_.Insert(op);
  }
  Activate(*stream);
}

void Outbox::Unqueue(SendOp& op) {
  IntrusiveList<SendOp, SendQueueTag>::Remove(op);
  if (!op.granted) sends_.Remove(op);
  op.state = SendOp::State::kEmitted;
  --queued_;
  if (op.lent > 0) lent_.PushBack(op);
}

void Outbox::Cancel(SendOp& op, const Status& why) {
  if (op.state == SendOp::State::kIdle) return;
  if (op.state == SendOp::State::kQueued) Unqueue(op);
  op.cancelled = true;
  cancel_why_ = why;
  FinishIfDone(op);
}

void Outbox::FinishIfDone(SendOp& op) {
  if (op.state != SendOp::State::kEmitted || op.lent > 0) return;
  if (op.linked()) IntrusiveList<SendOp, SendQueueTag>::Remove(op);
  op.state = SendOp::State::kIdle;
  op.listener->OnSent(op, op.cancelled ? cancel_why_ : Status());
}

void Outbox::SendNotice(const MessageId& id, std::span<const uint8_t> payload) {
  LH_DCHECK(payload.size() <= kMaxNotice);
  uint8_t* data = nullptr;
  if (!payload.empty()) {
    data = pool_.Take(payload.size());
    if (data == nullptr) return;  // the peer will time out instead
    std::memcpy(data, payload.data(), payload.size());
  }
  RetainedChunk* chunk = chunk_pool_.Make();
  chunk->retained = true;
  chunk->header.id = id;
  chunk->header.flags = ChunkHeader::kNotice;
  chunk->header.size = static_cast<uint32_t>(payload.size());
  chunk->header.total = payload.size();
  chunk->data = data;
  retained_.Insert(*chunk);
  retained_bytes_ += payload.size();
  again_.PushBack(*chunk);
}

bool Outbox::Pump(Flows flows, TimePoint now) {
  blocked_on_credit_ = false;
  const bool again = PumpAgain(flows, now);
  return PumpStreams(flows, now) || again;
}

Flow* Outbox::FlowWithRoom(Flows flows) {
  for (size_t i = 0; i < flows.size(); ++i) {
    Flow* flow = flows[(next_flow_ + i) % flows.size()].get();
    if (flow->endpoint != nullptr && flow->writable) {
      next_flow_ = (next_flow_ + i + 1) % flows.size();
      return flow;
    }
  }
  return nullptr;
}

bool Outbox::PumpAgain(Flows flows, TimePoint now) {
  bool any = false;
  while (RetainedChunk* chunk = again_.front()) {
    Flow* flow = FlowWithRoom(flows);
    if (flow == nullptr) break;
    again_.PopFront();
    const bool first = chunk->sent_at == 0;
    if (!Hand(*chunk, *flow, now)) {
      again_.PushFront(*chunk);
      continue;
    }
    if (!first) counters_.resent_bytes += chunk->header.size;
    any = true;
  }
  return any;
}

bool Outbox::PumpStreams(Flows flows, TimePoint now) {
  bool any = false;
  // A whole round of streams without a chunk ends it.
  size_t fruitless = 0;
  size_t active = streams_.size();
  while (fruitless <= active) {
    Stream* stream = active_.PopFront();
    if (stream == nullptr) break;
    if (stream->granted.empty() && stream->waiting.empty()) continue;
    Flow* flow = FlowWithRoom(flows);
    if (flow == nullptr) {
      active_.PushFront(*stream);
      break;
    }
    active_.PushBack(*stream);
    Permit permit;
    SendOp* op = Next(*stream, &permit);
    if (op != nullptr && Emit(*stream, *op, permit, *flow, now)) {
      fruitless = 0;
      any = true;
    } else {
      ++fruitless;
    }
  }
  if (blocked_on_credit_) ++counters_.credit_waits;
  return any;
}

SendOp* Outbox::Next(Stream& stream, Permit* permit) {
  SendOp* granted = stream.granted.front();
  SendOp* waiting = stream.waiting.front();
  if (waiting != nullptr &&
      (granted == nullptr || waiting->issue < granted->issue)) {
    *permit = PermitFor(stream, *waiting);
    if (permit->any) return waiting;
    blocked_on_credit_ = true;
  }
  if (granted != nullptr) *permit = PermitFor(stream, *granted);
  return granted;
}

Outbox::Permit Outbox::PermitFor(const Stream& stream, const SendOp& op) const {
  const uint64_t left =
      std::min<uint64_t>(op.size - op.next, config_.chunk_size);
  if (op.granted) return {true, 0, left};
  const auto of = [&](const SendCredit& credit, uint8_t flag) -> Permit {
    const int64_t room = credit.Room();
    if (room < 0) return {};
    const uint64_t bytes = std::min(left, static_cast<uint64_t>(room));
    if (bytes < left && bytes < kSmallestCut) return {};
    return {true, flag, bytes};
  };
  const Permit shared = of(shared_, ChunkHeader::kChargedShared);
  return shared.any ? shared : of(stream.reserve, ChunkHeader::kChargedReserve);
}

bool Outbox::Emit(Stream& stream, SendOp& op, const Permit& permit, Flow& flow,
                  TimePoint now) {
  ChunkHeader header;
  header.flags = permit.flags;
  header.size = static_cast<uint32_t>(
      std::min<uint64_t>(permit.bytes, flow.endpoint->max_payload()));
  header.id = op.id;
  header.total = op.size;
  header.offset = op.next;
  header.fingerprint = op.fingerprint;
  const uint8_t* data = op.data + op.next;
  if (config_.retain) {
    if (!EmitRetained(header, data, flow, now)) return false;
  } else {
    auto* cookie = reinterpret_cast<FrameCookie*>(&op);
    if (!flow.endpoint->TrySend(
            header, {data, header.size},
            reinterpret_cast<void*>(reinterpret_cast<uintptr_t>(cookie) | 1))) {
      flow.writable = false;
      return true;  // not a lack of the stream's: try another flow
    }
    ++op.lent;
  }
  if ((permit.flags & ChunkHeader::kChargedShared) != 0) {
    shared_.Charge(header.size);
  } else if ((permit.flags & ChunkHeader::kChargedReserve) != 0) {
    stream.reserve.Charge(header.size);
  }
  Emitted(op, header.size);
  return true;
}

bool Outbox::HasRetentionRoom(uint64_t size) {
  if (retained_bytes_ == 0 ||
      retained_bytes_ + size <= config_.retention_limit) {
    return true;
  }
  // The flows have room and the peer gives credit: only this limit holds the
  // line back, so it is below the bandwidth-delay product.
  if (config_.retention_limit < config_.retention_most) {
    config_.retention_limit =
        std::min(2 * config_.retention_limit, config_.retention_most);
    return retained_bytes_ + size <= config_.retention_limit;
  }
  ++counters_.retention_waits;
  return false;
}

bool Outbox::EmitRetained(const ChunkHeader& header, const uint8_t* data,
                          Flow& flow, TimePoint now) {
  if (!HasRetentionRoom(header.size)) return false;
  uint8_t* block = nullptr;
  if (header.size > 0) {
    block = pool_.Take(header.size);
    if (block == nullptr) return false;
    std::memcpy(block, data, header.size);
  }
  RetainedChunk* chunk = chunk_pool_.Make();
  chunk->retained = true;
  chunk->header = header;
  chunk->data = block;
  retained_.Insert(*chunk);
  retained_bytes_ += header.size;
  // Refused just now: it is copied, so another flow carries it, first thing.
  if (!Hand(*chunk, flow, now)) again_.PushBack(*chunk);
  return true;
}

bool Outbox::Hand(RetainedChunk& chunk, Flow& flow, TimePoint now) {
  void* cookie = static_cast<FrameCookie*>(&chunk);
  if (!flow.endpoint->TrySend(chunk.header, {chunk.data, chunk.header.size},
                              cookie)) {
    flow.writable = false;
    return false;
  }
  chunk.lent = true;
  chunk.flow = &flow;
  chunk.sent_at = now;
  flow.in_flight.PushBack(chunk);
  return true;
}

void Outbox::Emitted(SendOp& op, uint64_t bytes) {
  counters_.bytes += bytes;
  op.next += bytes;
  if (op.next < op.size) return;
  Unqueue(op);
  FinishIfDone(op);
}

void Outbox::OnSent(FrameCookie* cookie) {
  if (!cookie->retained) {
    auto* op = static_cast<SendOp*>(cookie);
    --op->lent;
    FinishIfDone(*op);
    return;
  }
  auto* chunk = static_cast<RetainedChunk*>(cookie);
  chunk->lent = false;
  // Notices on a connection without acknowledgements end here.
  if (!config_.retain) Acknowledge(*chunk);
  if (chunk->acknowledged) Release(*chunk);
}

bool Outbox::OnAck(const AckEntry& entry) {
  RetainedChunk* chunk = retained_.Find(ChunkKey{entry.id, entry.offset});
  if (chunk == nullptr) return true;  // a twin was acknowledged before
  if (chunk->header.size != entry.size || chunk->sent_at == 0) return false;
  Acknowledge(*chunk);
  if (!chunk->lent) Release(*chunk);
  return true;
}

void Outbox::Acknowledge(RetainedChunk& chunk) {
  chunk.acknowledged = true;
  retained_.Remove(chunk);
  retained_bytes_ -= chunk.header.size;
}

void Outbox::Release(RetainedChunk& chunk) {
  if (chunk.linked()) RetainedList::Remove(chunk);
  if (chunk.data != nullptr) pool_.Give(chunk.data, chunk.header.size);
  chunk_pool_.Destroy(&chunk);
}

bool Outbox::OnCredit(const CreditEntry& entry) {
  if (entry.communicator == kSharedAccount) {
    shared_.Raise(entry.limit);
    return true;
  }
  Stream* stream =
      FindOrMakeStream({entry.communicator, entry.source, entry.target});
  if (stream == nullptr) return false;
  stream->reserve.Raise(entry.limit);
  return true;
}

bool Outbox::OnGrant(const GrantEntry& entry) {
  if (SendOp* op = sends_.Find(entry.id)) {
    Stream* stream =
        FindOrMakeStream({op->id.communicator, op->id.source, op->id.target});
    sends_.Remove(*op);
    IntrusiveList<SendOp, SendQueueTag>::Remove(*op);
    op->granted = true;
    SendOp* place = stream->granted.back();
    while (place != nullptr && place->issue > op->issue) {
      place = stream->granted.Before(*place);
    }
    stream->granted.InsertAfter(place, *op);
    Activate(*stream);
    return true;
  }
  if (early_.Find(entry.id) != nullptr) return true;
  if (early_.size() >= kMaxEarlyGrants) return false;
  early_.Insert(*early_pool_.Make(entry.id));
  return true;
}

void Outbox::OnFlowLost(Flow& flow) {
  while (RetainedChunk* chunk = flow.in_flight.PopFront()) {
    chunk->lent = false;  // the endpoint has let go of it
    chunk->flow = nullptr;
    if (chunk->acknowledged) {
      Release(*chunk);
    } else {
      again_.PushBack(*chunk);
    }
  }
}

TimePoint Outbox::Resend(Flows flows, TimePoint since) {
  TimePoint oldest = kNever;
  for (const auto& flow : flows) {
    if (flow->endpoint == nullptr || flow->endpoint->reliable()) continue;
    for (RetainedChunk* chunk = flow->in_flight.front(); chunk != nullptr;) {
      RetainedChunk* next = flow->in_flight.After(*chunk);
      if (chunk->sent_at > since || chunk->lent) {
        oldest = std::min(oldest, chunk->sent_at);
        break;
      }
      RetainedList::Remove(*chunk);
      again_.PushBack(*chunk);
      chunk = next;
    }
  }
  return oldest;
}

void Outbox::Fail(const Status& why) {
  retained_.ForEach([this](RetainedChunk& chunk) {
    Acknowledge(chunk);
    Release(chunk);
  });
  cancel_why_ = why;
  const auto end = [this](SendOp& op) {
    op.cancelled = true;
    op.lent = 0;
    FinishIfDone(op);
  };
  while (SendOp* op = lent_.front()) end(*op);
  streams_.ForEach([&](Stream& stream) {
    for (auto* list : {&stream.granted, &stream.waiting}) {
      while (SendOp* op = list->front()) {
        Unqueue(*op);
        end(*op);
      }
    }
  });
}

void Outbox::Forget(const OperationId& operation) {
  if (early_.size() == 0) return;
  early_.ForEach([&](EarlyGrant& grant) {
    if (grant.id.communicator != operation.communicator ||
        grant.id.source != operation.rank ||
        grant.id.epoch != operation.epoch ||
        grant.id.sequence != operation.sequence) {
      return;
    }
    early_.Remove(grant);
    early_pool_.Destroy(&grant);
  });
}

}  // namespace longhaul
