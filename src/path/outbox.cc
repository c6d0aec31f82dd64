#include "path/outbox.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "path/path.h"

namespace longhaul {
namespace {

/// What a retained chunk of `size` bytes takes of the limit.
uint64_t MemoryFor(uint64_t size) { return BlockPool::BlockSize(size); }

/// A flow of which nothing is known, beside one that is: it begins with so many
/// bytes per round trip (RFC 6928), and is slower than the others by this. If
/// nothing is known of any: bytes/s.
constexpr double kFirstWindow = 14600;
constexpr double kUnknownPart = 8;
constexpr double kUnknownRate = 12.5e6;
/// A chunk is so large a part of what its line holds, and at least so long: a
/// long one keeps the end waiting, short ones cost headers and processor time.
constexpr double kChunkPart = 16;
constexpr uint64_t kSmallestChunk = 16 << 10;
/// A twin is sent if it arrives sooner by this much.
constexpr double kTwinGain = 2e-3;
/// A chunk is late if it is not acknowledged so much of a round trip after it
/// should have been.
constexpr Duration kLateShare = 2;
/// Twins sent in a turn, at most.
constexpr int kMostTwins = 64;

double Seconds(Duration time) { return static_cast<double>(time) / kSecond; }
Duration Time(double seconds) {
  return static_cast<Duration>(seconds * static_cast<double>(kSecond));
}

// Bytes/s, beside flows of which the fastest is known to do `fastest`.
double RateOf(const Flow& flow, double fastest) {
  if (flow.meter.rate() > 0) return flow.meter.rate();
  if (fastest <= 0) return kUnknownRate;
  const double part = fastest / kUnknownPart;
  const Duration round_trip = flow.meter.round_trip();
  return round_trip > 0 ? std::min(kFirstWindow / Seconds(round_trip), part)
                        : part;
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

// What to prefer where there is a choice: less is better.
int Outbox::Reluctance(const Flow& flow) {
  if (flow.health.silent()) return 2;
  return flow.resting ? 1 : 0;
}

// Sees every flow as a line. One that rests is none unless no other speaks, and
// a silent one is none unless all are silent.
void Outbox::Look(Flows flows, TimePoint now) {
  views_.resize(flows.size());
  double fastest = 0;
  int least = 2;
  for (const auto& flow : flows) {
    if (flow->endpoint == nullptr) continue;
    fastest = std::max(fastest, flow->meter.rate());
    least = std::min(least, Reluctance(*flow));
  }
  for (size_t i = 0; i < flows.size(); ++i) {
    const Flow& flow = *flows[i];
    FlowView& view = views_[i];
    view.usable = flow.endpoint != nullptr && Reluctance(flow) == least;
    view.rate = RateOf(flow, fastest);
    view.delay = Seconds(flow.meter.round_trip()) / 2;
    view.backlog = flow.meter.Backlog(now, view.rate) / view.rate;
  }
}

// The flow for the next chunk, of at most `bytes`; null if it is to wait.
Flow* Outbox::FlowFor(Flows flows, uint64_t bytes) {
  if (!config_.retain) return FlowWithRoom(flows);
  for (size_t i = 0; i < flows.size(); ++i) {
    views_[i].room = views_[i].usable && flows[i]->writable;
  }
  const size_t best = EarliestFinish(views_, static_cast<double>(bytes),
                                     static_cast<double>(pending_));
  return best < flows.size() ? flows[best].get() : nullptr;
}

uint64_t Outbox::ChunkLimit(const Flow& flow) const {
  if (flow.place >= views_.size()) return config_.chunk_size;
  const FlowView& view = views_[flow.place];
  if (view.rate == kUnknownRate) return config_.chunk_size;
  const double held = view.rate * 2 * view.delay / kChunkPart;
  if (held <= 0) return config_.chunk_size;
  return std::min<uint64_t>(
      config_.chunk_size,
      std::max(kSmallestChunk, std::bit_floor(static_cast<uint64_t>(held))));
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

// The chunk that was given to a flow last, if no other flow carries it; or the
// last that is so.
Transmission* Outbox::LastAlone(const Flow& flow) const {
  Transmission* flight = flow.in_flight.back();
  while (flight != nullptr &&
         (flight->chunk->acknowledged || flight->next_of_chunk != nullptr ||
          flight->chunk->flights != flight || flight->chunk->linked())) {
    flight = flow.in_flight.Before(*flight);
  }
  return flight;
}

bool Outbox::PumpTwins(Flows flows, TimePoint now) {
  if (!config_.retain || flows.size() < 2 || pending_ > 0) return false;
  int sent = 0;
  for (size_t i = 0; i < flows.size(); ++i) {
    while (views_[i].usable && flows[i]->writable && sent < kMostTwins &&
           SendTwin(flows, i, now)) {
      ++sent;
    }
  }
  return sent > 0;
}

// In how many seconds the flow's last chunk will be there, by what was thought
// when it was given, by what is before it, and by how late the first one is
// that has not been confirmed: all that is behind a gap waits for it.
double Outbox::ArrivalOf(const Transmission& last, const FlowView& view,
                         TimePoint now) const {
  const Duration round_trip = last.flow->meter.round_trip();
  double arrival = Seconds(last.due - round_trip / 2 - now);
  if (view.backlog > 0) arrival = std::max(arrival, view.start());
  const Transmission* first = last.flow->in_flight.front();
  while (first->chunk->acknowledged) first = last.flow->in_flight.After(*first);
  const Duration late = now - first->due;
  if (late > round_trip / kLateShare) {
    arrival = std::max(arrival, Seconds(round_trip + late));
  }
  return arrival;
}

// Of what other flows hold, the chunk that will be there last goes over this
// one too, if it is there sooner that way.
bool Outbox::SendTwin(Flows flows, size_t over, TimePoint now) {
  Transmission* latest = nullptr;
  double gain = kTwinGain;
  for (size_t i = 0; i < flows.size(); ++i) {
    if (i == over || flows[i]->endpoint == nullptr) continue;
    Transmission* flight = LastAlone(*flows[i]);
    if (flight == nullptr) continue;
    const double sooner = ArrivalOf(*flight, views_[i], now) -
                          views_[over].Finish(flight->chunk->header.size);
    if (sooner <= gain) continue;
    gain = sooner;
    latest = flight;
  }
  if (latest == nullptr) return false;
  RetainedChunk& chunk = *latest->chunk;
  if (!Hand(chunk, *flows[over], now)) return false;
  counters_.resent_bytes += chunk.header.size;
  // What it leaves behind is nearer to its end.
  FlowView& relieved = views_[latest->flow->place];
  relieved.backlog =
      std::max(0.0, relieved.backlog - chunk.header.size / relieved.rate);
  return true;
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

// --- What the peer says

bool Outbox::OnAck(const AckEntry& entry) {
  RetainedChunk* chunk = retained_.Find(ChunkKey{entry.id, entry.offset});
  if (chunk == nullptr) return true;  // a twin was acknowledged before
  if (chunk->header.size != entry.size || !chunk->sent) return false;
  Acknowledge(*chunk);
  return true;
}

// What endpoints still read stays until they have.
void Outbox::Acknowledge(RetainedChunk& chunk) {
  chunk.acknowledged = true;
  retained_.Remove(chunk);
  retained_bytes_ -= MemoryFor(chunk.header.size);
  if (chunk.linked()) {
    pending_ -= chunk.header.size;
    IntrusiveList<RetainedChunk, AgainTag>::Remove(chunk);
  }
  for (Transmission* flight = chunk.flights; flight != nullptr;) {
    Transmission* next = flight->next_of_chunk;
    if (!flight->lent) EndFlight(*flight);
    flight = next;
  }
  if (chunk.flights == nullptr) Release(chunk);
}

// The flow has nothing to do with the chunk any more.
void Outbox::EndFlight(Transmission& flight) {
  FlightList::Remove(flight);
  Transmission** link = &flight.chunk->flights;
  while (*link != &flight) link = &(*link)->next_of_chunk;
  *link = flight.next_of_chunk;
  flight_pool_.Destroy(&flight);
}

// Of an acknowledged chunk without flights.
void Outbox::Release(RetainedChunk& chunk) {
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
