#include "path/outbox.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/check.h"

namespace longhaul {
namespace {

/// What a retained chunk of `size` bytes takes of the limit.
uint64_t MemoryFor(uint64_t size) { return BlockPool::BlockSize(size); }

}  // namespace

Outbox::Outbox(BlockPool& pool, const OutboxConfig& config)
    : pool_(pool), config_(config), shared_(config.shared_credit) {
  config_.stream_reserve = std::max(config_.stream_reserve, kLeastReserve);
}

Outbox::~Outbox() {
  Fail(Status(StatusCode::kAborted, "the connection was closed",
              FaultScope::kConnection));
  while (active_.PopFront() != nullptr) {
  }
  streams_.ForEach([this](Stream& stream) {
    streams_.Remove(stream);
    stream_pool_.Destroy(&stream);
  });
  early_.ForEach([this](EarlyGrant& grant) { Drop(grant); });
}

void Outbox::Welcome(uint64_t shared_credit, uint64_t stream_reserve) {
  shared_.Raise(shared_credit);
  config_.stream_reserve = std::max(config_.stream_reserve, stream_reserve);
  streams_.ForEach(
      [&](Stream& stream) { stream.reserve.Raise(stream_reserve); });
}

Outbox::Stream* Outbox::FindOrMakeStream(const StreamKey& key) {
  Stream* stream = streams_.Find(key);
  if (stream == nullptr && streams_.size() < kMaxStreams) {
    stream = stream_pool_.Make(key, config_.stream_reserve);
    streams_.Insert(*stream);
  }
  return stream;
}

void Outbox::Activate(Stream& stream) {
  if (!stream.linked()) active_.PushBack(stream);
}

// --- Messages come and end

bool Outbox::Send(SendOp& op) {
  LH_DCHECK(op.state == SendOp::State::kIdle);
  Stream* stream =
      FindOrMakeStream({op.id.communicator, op.id.source, op.id.target});
  if (stream == nullptr) return false;
  op.state = SendOp::State::kQueued;
  op.granted = false;
  op.given_up = Status();
  op.lent = 0;
  op.next = 0;
  op.issue = issued_++;
  ++queued_;
  ++counters_.messages;
  if (EarlyGrant* grant = early_.Find(op.id)) {
    Drop(*grant);
    op.granted = true;
    stream->granted.PushBack(op);
  } else {
    stream->waiting.PushBack(op);
    sends_.Insert(op);
  }
  Activate(*stream);
  return true;
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
  op.given_up = why;
  FinishIfDone(op);
}

void Outbox::FinishIfDone(SendOp& op) {
  if (op.state != SendOp::State::kEmitted || op.lent > 0) return;
  if (op.linked()) IntrusiveList<SendOp, SendQueueTag>::Remove(op);
  op.state = SendOp::State::kIdle;
  const Status status = std::exchange(op.given_up, Status());
  op.listener->OnSent(op, status);
}

void Outbox::SendNotice(const MessageId& id, std::span<const uint8_t> payload) {
  LH_DCHECK(!payload.empty() && payload.size() <= kMaxNotice);
  RetainedChunk* chunk = chunk_pool_.Make();
  chunk->retained = true;
  chunk->header.id = id;
  chunk->header.flags = ChunkHeader::kNotice;
  chunk->header.size = static_cast<uint32_t>(payload.size());
  chunk->header.total = payload.size();
  // Notices are rare and must not fail: they have memory of their own.
  chunk->data = new uint8_t[payload.size()];
  std::memcpy(chunk->data, payload.data(), payload.size());
  retained_.Insert(*chunk);
  retained_bytes_ += MemoryFor(payload.size());
  again_.PushBack(*chunk);
}

// --- Chunks go

bool Outbox::Pump(Flows flows) {
  blocked_on_credit_ = starved_ = false;
  const bool again = PumpAgain(flows);
  return PumpStreams(flows) || again;
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

bool Outbox::PumpAgain(Flows flows) {
  bool any = false;
  while (RetainedChunk* chunk = again_.front()) {
    Flow* flow = FlowWithRoom(flows);
    if (flow == nullptr) break;
    again_.PopFront();
    const bool first = !chunk->sent;
    const uint64_t size = chunk->header.size;
    if (!Hand(*chunk, *flow)) {
      again_.PushFront(*chunk);
      continue;
    }
    if (!first) counters_.resent_bytes += size;
    any = true;
  }
  return any;
}

bool Outbox::PumpStreams(Flows flows) {
  bool any = false;
  // A whole round of streams without a chunk ends it.
  const Stream* round = nullptr;
  while (Stream* stream = active_.front()) {
    if (stream == round) break;
    active_.PopFront();
    if (stream->granted.empty() && stream->waiting.empty()) continue;
    Flow* flow = FlowWithRoom(flows);
    if (flow == nullptr) {
      active_.PushFront(*stream);
      break;
    }
    Permit permit;
    SendOp* op = Next(*stream, &permit);
    const Turn turn =
        op == nullptr ? Turn::kHeld : Emit(*stream, *op, permit, *flow);
    if (turn == Turn::kRefused) {
      active_.PushFront(*stream);  // by the flow: its turn is not over
      continue;
    }
    active_.PushBack(*stream);
    if (turn == Turn::kTaken) {
      round = nullptr;
      any = true;
    } else if (round == nullptr) {
      round = stream;
    }
  }
  if (blocked_on_credit_) ++counters_.credit_waits;
  return any;
}

// The message of a stream whose turn it is; null if none may go now.
SendOp* Outbox::Next(const Stream& stream, Permit* permit) {
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
  int64_t room = shared_.Room(left);
  if (room >= 0) {
    return {true, ChunkHeader::kChargedShared, static_cast<uint64_t>(room)};
  }
  room = stream.reserve.Room(left);
  if (room < 0) return {};
  return {true, ChunkHeader::kChargedReserve, static_cast<uint64_t>(room)};
}

Outbox::Turn Outbox::Emit(Stream& stream, SendOp& op, const Permit& permit,
                          Flow& flow) {
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
    if (!EmitRetained(stream, &header, data, flow)) return Turn::kHeld;
  } else {
    ++op.lent;
    Charge(stream, &header);
    if (!flow.endpoint->TrySend(header, {data, header.size},
                                static_cast<FrameCookie*>(&op))) {
      --op.lent;
      Refund(stream, header);
      flow.writable = false;
      return Turn::kRefused;
    }
  }
  Emitted(op, header.size);
  return Turn::kTaken;
}

void Outbox::Charge(Stream& stream, ChunkHeader* header) {
  if ((header->flags & ChunkHeader::kChargedShared) != 0) {
    header->charged_at = shared_.Charge(header->size);
  } else if ((header->flags & ChunkHeader::kChargedReserve) != 0) {
    header->charged_at = stream.reserve.Charge(header->size);
  }
}

void Outbox::Refund(Stream& stream, const ChunkHeader& header) {
  if ((header.flags & ChunkHeader::kChargedShared) != 0) {
    shared_.Refund(header.size);
  } else if ((header.flags & ChunkHeader::kChargedReserve) != 0) {
    stream.reserve.Refund(header.size);
  }
}

bool Outbox::HasRetentionRoom(uint64_t memory) {
  if (retained_bytes_ == 0 ||
      retained_bytes_ + memory <= config_.retention_limit) {
    return true;
  }
  // The flows have room and the peer gives credit: only this limit holds the
  // line back, so it is below the bandwidth-delay product.
  if (config_.retention_limit < config_.retention_most) {
    config_.retention_limit =
        std::min(2 * config_.retention_limit, config_.retention_most);
    return HasRetentionRoom(memory);
  }
  ++counters_.retention_waits;
  return false;
}

bool Outbox::EmitRetained(Stream& stream, ChunkHeader* header,
                          const uint8_t* data, Flow& flow) {
  const uint64_t memory = MemoryFor(header->size);
  if (!HasRetentionRoom(memory)) return false;
  uint8_t* block = nullptr;
  if (header->size > 0) {
    block = pool_.Take(header->size);
    if (block == nullptr) {
      starved_ = true;
      return false;
    }
    std::memcpy(block, data, header->size);
  }
  Charge(stream, header);
  RetainedChunk* chunk = chunk_pool_.Make();
  chunk->retained = true;
  chunk->header = *header;
  chunk->data = block;
  retained_.Insert(*chunk);
  retained_bytes_ += memory;
  // Refused just now: it is copied, so another flow carries it, first thing.
  if (!Hand(*chunk, flow)) again_.PushBack(*chunk);
  return true;
}

bool Outbox::Hand(RetainedChunk& chunk, Flow& flow) {
  flow.in_flight.PushBack(chunk);
  const bool sent = std::exchange(chunk.sent, true);
  chunk.lent = true;
  chunk.left_at = kNever;
  if (flow.endpoint->TrySend(chunk.header, {chunk.data, chunk.header.size},
                             static_cast<FrameCookie*>(&chunk))) {
    return true;
  }
  RetainedList::Remove(chunk);
  chunk.sent = sent;
  chunk.lent = false;
  flow.writable = false;
  return false;
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
  if (chunk->acknowledged) Release(*chunk);
}

// --- What the peer says

bool Outbox::OnAck(const AckEntry& entry) {
  RetainedChunk* chunk = retained_.Find(ChunkKey{entry.id, entry.offset});
  if (chunk == nullptr) return true;  // a twin was acknowledged before
  if (chunk->header.size != entry.size || !chunk->sent) return false;
  Acknowledge(*chunk);
  if (!chunk->lent) Release(*chunk);
  return true;
}

void Outbox::Acknowledge(RetainedChunk& chunk) {
  chunk.acknowledged = true;
  retained_.Remove(chunk);
  retained_bytes_ -= MemoryFor(chunk.header.size);
}

void Outbox::Release(RetainedChunk& chunk) {
  if (chunk.linked()) RetainedList::Remove(chunk);
  if ((chunk.header.flags & ChunkHeader::kNotice) != 0) {
    delete[] chunk.data;
  } else if (chunk.data != nullptr) {
    pool_.Give(chunk.data, chunk.header.size);
  }
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

bool Outbox::OnGrant(const GrantEntry& entry, bool to_come) {
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
  if (!to_come || early_.Find(entry.id) != nullptr) return true;
  if (early_.size() >= kMaxEarlyGrants) return false;
  early_.Insert(*early_pool_.Make(entry.id));
  return true;
}

void Outbox::Drop(EarlyGrant& grant) {
  early_.Remove(grant);
  early_pool_.Destroy(&grant);
}

void Outbox::Forget(const OperationId& operation) {
  if (early_.size() == 0) return;
  early_.ForEach([&](EarlyGrant& grant) {
    if (grant.id.communicator == operation.communicator &&
        grant.id.source == operation.rank &&
        grant.id.epoch == operation.epoch &&
        grant.id.sequence == operation.sequence) {
      Drop(grant);
    }
  });
}

void Outbox::Forget(uint32_t communicator, uint32_t rank) {
  early_.ForEach([&](EarlyGrant& grant) {
    if (grant.id.communicator == communicator && grant.id.source == rank) {
      Drop(grant);
    }
  });
}

// --- What goes wrong

void Outbox::OnFlowLost(Flow& flow) {
  while (RetainedChunk* chunk = flow.in_flight.PopFront()) {
    chunk->lent = false;  // the endpoint has let go of it
    if (chunk->acknowledged) {
      Release(*chunk);
    } else {
      again_.PushBack(*chunk);
    }
  }
}

TimePoint Outbox::Resend(Flows flows, Duration patience, TimePoint now) {
  TimePoint next_time = kNever;
  for (const auto& flow : flows) {
    if (flow->endpoint == nullptr || flow->endpoint->reliable()) continue;
    for (RetainedChunk* chunk = flow->in_flight.front(); chunk != nullptr;) {
      RetainedChunk* next = flow->in_flight.After(*chunk);
      if (chunk->lent) break;  // it has not left, nor have those after it
      if (chunk->left_at == kNever) chunk->left_at = now;
      if (now - chunk->left_at < patience) {
        next_time = std::min(next_time, chunk->left_at + patience);
      } else {
        RetainedList::Remove(*chunk);
        again_.PushBack(*chunk);
      }
      chunk = next;
    }
  }
  return next_time;
}

void Outbox::Fail(const Status& why) {
  retained_.ForEach([this](RetainedChunk& chunk) {
    Acknowledge(chunk);
    Release(chunk);
  });
  const auto end = [this, &why](SendOp& op) {
    op.given_up = why;
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

}  // namespace longhaul
