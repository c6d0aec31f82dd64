// Which flow a chunk goes to, and how long it is; and what goes twice.
#include <algorithm>
#include <bit>

#include "path/outbox.h"
#include "path/path.h"

namespace longhaul {
namespace {

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

}  // namespace longhaul
