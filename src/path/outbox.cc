#include "path/outbox.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "path/path.h"

namespace longhaul {
namespace {

Duration Time(double seconds) {
  return static_cast<Duration>(seconds * static_cast<double>(kSecond));
}

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
  pending_ += op.size;
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
  pending_ -= op.size - op.next;
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
  chunk->header.id = id;
  chunk->header.flags = ChunkHeader::kNotice;
  chunk->header.size = static_cast<uint32_t>(payload.size());
  chunk->header.total = payload.size();
  // Notices are rare and must not fail: they have memory of their own.
  chunk->data = new uint8_t[payload.size()];
  std::memcpy(chunk->data, payload.data(), payload.size());
  retained_.Insert(*chunk);
  retained_bytes_ += MemoryFor(payload.size());
  SendAgain(*chunk);
}

// --- Chunks go

bool Outbox::Pump(Flows flows, TimePoint now) {
  blocked_on_credit_ = starved_ = false;
  if (config_.retain) Look(flows, now);
  const bool again = PumpAgain(flows, now);
  const bool any = PumpStreams(flows, now) || again;
  return PumpTwins(flows, now) || any;
}

bool Outbox::PumpAgain(Flows flows, TimePoint now) {
  bool any = false;
  while (RetainedChunk* chunk = again_.front()) {
    const uint64_t size = chunk->header.size;
    Flow* flow = FlowFor(flows, size);
    if (flow == nullptr) break;
    again_.PopFront();
    const bool first = !chunk->sent;
    if (!Hand(*chunk, *flow, now)) {
      again_.PushFront(*chunk);
      continue;
    }
    pending_ -= size;
    if (!first) counters_.resent_bytes += size;
    any = true;
  }
  return any;
}

bool Outbox::PumpStreams(Flows flows, TimePoint now) {
  bool any = false;
  // A whole round of streams without a chunk ends it.
  const Stream* round = nullptr;
  while (Stream* stream = active_.front()) {
    if (stream == round) break;
    active_.PopFront();
    if (stream->granted.empty() && stream->waiting.empty()) continue;
    Flow* flow =
        FlowFor(flows, std::min<uint64_t>(pending_, config_.chunk_size));
    if (flow == nullptr) {
      active_.PushFront(*stream);
      break;
    }
    Permit permit;
    SendOp* op = Next(*stream, &permit);
    const Turn turn =
        op == nullptr ? Turn::kHeld : Emit(*stream, *op, permit, *flow, now);
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
                          Flow& flow, TimePoint now) {
  ChunkHeader header;
  header.flags = permit.flags;
  header.size = static_cast<uint32_t>(std::min<uint64_t>(
      {permit.bytes, flow.endpoint->max_payload(), ChunkLimit(flow)}));
  header.id = op.id;
  header.total = op.size;
  header.offset = op.next;
  header.fingerprint = op.fingerprint;
  const uint8_t* data = op.data + op.next;
  if (config_.retain) {
    if (!EmitRetained(stream, &header, data, flow, now)) return Turn::kHeld;
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
                          const uint8_t* data, Flow& flow, TimePoint now) {
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
  chunk->header = *header;
  chunk->data = block;
  retained_.Insert(*chunk);
  retained_bytes_ += memory;
  // Refused just now: it is copied, so another flow carries it, first thing.
  if (!Hand(*chunk, flow, now)) SendAgain(*chunk);
  return true;
}

bool Outbox::Hand(RetainedChunk& chunk, Flow& flow, TimePoint now) {
  Transmission* flight = flight_pool_.Make();
  flight->retained = true;
  flight->chunk = &chunk;
  flight->flow = &flow;
  flight->lent = true;
  flow.in_flight.PushBack(*flight);
  const bool sent = std::exchange(chunk.sent, true);
  if (!flow.endpoint->TrySend(chunk.header, {chunk.data, chunk.header.size},
                              static_cast<FrameCookie*>(flight))) {
    chunk.sent = sent;
    FlightList::Remove(*flight);
    flight_pool_.Destroy(flight);
    flow.writable = false;
    return false;
  }
  flight->next_of_chunk = std::exchange(chunk.flights, flight);
  flow.meter.Given(now, chunk.header.size);
  if (flow.path != nullptr) flow.path->sent_bytes += chunk.header.size;
  const auto view = static_cast<size_t>(flow.place);
  if (view < views_.size()) {
    const double left =
        views_[view].backlog + chunk.header.size / views_[view].rate;
    views_[view].backlog = left;
    flight->due = now + Time(left + 2 * views_[view].delay);
  }
  return true;
}

// It goes over whatever flow is next.
void Outbox::SendAgain(RetainedChunk& chunk) {
  if (chunk.linked()) return;
  pending_ += chunk.header.size;
  again_.PushBack(chunk);
}

void Outbox::Emitted(SendOp& op, uint64_t bytes) {
  counters_.bytes += bytes;
  pending_ -= bytes;
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
  auto* flight = static_cast<Transmission*>(cookie);
  flight->lent = false;
  RetainedChunk& chunk = *flight->chunk;
  if (!chunk.acknowledged) return;
  EndFlight(*flight);
  if (chunk.flights == nullptr) Release(chunk);
}

// --- What goes wrong

// Is the chunk on a flow that is not given up?
bool Outbox::OnItsWay(const RetainedChunk& chunk) const {
  for (const Transmission* flight = chunk.flights; flight != nullptr;
       flight = flight->next_of_chunk) {
    if (!flight->flow->abandoned) return true;
  }
  return false;
}

void Outbox::OnFlowLost(Flow& flow) {
  while (Transmission* flight = flow.in_flight.front()) {
    RetainedChunk& chunk = *flight->chunk;
    const uint64_t size = chunk.header.size;
    EndFlight(*flight);  // the endpoint has let go of it
    if (!chunk.acknowledged) {
      // Also what another flow carries: the word of its arrival may have been
      // lost with this one.
      if (chunk.linked()) continue;
      if (flow.path != nullptr) flow.path->restriped_bytes += size;
      SendAgain(chunk);
    } else if (chunk.flights == nullptr) {
      Release(chunk);
    }
  }
}

void Outbox::Abandon(Flow& flow) {
  flow.abandoned = true;
  for (Transmission* flight = flow.in_flight.front(); flight != nullptr;
       flight = flow.in_flight.After(*flight)) {
    RetainedChunk& chunk = *flight->chunk;
    if (chunk.acknowledged || chunk.linked() || OnItsWay(chunk)) continue;
    if (flow.path != nullptr) flow.path->restriped_bytes += chunk.header.size;
    SendAgain(chunk);
  }
}

TimePoint Outbox::Resend(Flows flows, Duration patience, TimePoint now) {
  TimePoint next_time = kNever;
  for (const auto& flow : flows) {
    if (flow->endpoint == nullptr || flow->endpoint->reliable()) continue;
    for (Transmission* flight = flow->in_flight.front(); flight != nullptr;) {
      Transmission* next = flow->in_flight.After(*flight);
      if (flight->lent) break;  // it has not left, nor have those after it
      if (flight->left_at == kNever) flight->left_at = now;
      if (now - flight->left_at < patience) {
        next_time = std::min(next_time, flight->left_at + patience);
      } else {
        RetainedChunk& chunk = *flight->chunk;
        EndFlight(*flight);
        if (!OnItsWay(chunk)) SendAgain(chunk);
      }
      flight = next;
    }
  }
  return next_time;
}

void Outbox::Fail(const Status& why) {
  retained_.ForEach([this](RetainedChunk& chunk) { Acknowledge(chunk); });
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
