#include "transport/sim/sim_network.h"

#include <algorithm>

#include "base/check.h"

namespace longhaul {

SimNetwork::SimNetwork(uint64_t seed) : random_(seed) {}

SimNetwork::~SimNetwork() {
  LH_CHECK(alive_ == 0);
  for (; !events_.empty(); events_.pop()) {
    if (events_.top().frame != nullptr) Release(*events_.top().frame);
  }
  for (const auto& side : sides_) {
    for (Frame* frame : side->stuck) Release(*frame);
    for (Frame* frame : side->unconfirmed) Release(*frame);
  }
}

SimNetwork::Pair SimNetwork::Connect(const SimLink& a_to_b,
                                     const SimLink& b_to_a) {
  auto a = std::make_unique<SimSide>();
  auto b = std::make_unique<SimSide>();
  a->peer = b.get();
  b->peer = a.get();
  a->link = a_to_b;
  b->link = b_to_a;
  a->number = sides_.size();
  b->number = sides_.size() + 1;
  NoteRoundTrip(*a);
  NoteRoundTrip(*b);
  Pair pair{std::make_unique<SimEndpoint>(*this, *a),
            std::make_unique<SimEndpoint>(*this, *b)};
  sides_.push_back(std::move(a));
  sides_.push_back(std::move(b));
  return pair;
}

void SimNetwork::Advance(TimePoint now) {
  LH_CHECK(now >= now_);
  while (NextEvent() <= now) {
    const Event event = events_.top();
    events_.pop();
    now_ = event.time;
    ++event_count_;
    Happen(event);
  }
  now_ = now;
}

void SimNetwork::Change(SimEndpoint& from, const SimLink& link) {
  from.side_.link = link;
  NoteRoundTrip(from.side_);
  NoteRoundTrip(*from.side_.peer);
  Schedule(now_, EventKind::kPoke, from.side_, nullptr);
}

void SimNetwork::Kill(SimEndpoint& at) {
  SimSide& side = at.side_;
  if (side.open) Fail(side, StatusCode::kUnreachable, "killed");
}

void SimNetwork::Blackhole(SimEndpoint& at) {
  at.side_.silent = true;
  at.side_.peer->silent = true;
}

void SimNetwork::Restore(SimEndpoint& at) {
  for (SimSide* side : {&at.side_, at.side_.peer}) {
    side->silent = false;
    SimSide& receiver = *side->peer;
    if (std::exchange(receiver.overdue, false)) {
      Schedule(now_ + side->link.delay, EventKind::kArrived, receiver,
               receiver.receiving);
      Release(*receiver.receiving);
    }
    for (Frame* frame : std::exchange(side->stuck, {})) {
      Fly(*side, *frame);
      Release(*frame);
    }
    for (Frame* frame : std::exchange(side->unconfirmed, {})) {
      Schedule(now_ + side->peer->link.delay, EventKind::kConfirmed, *side,
               frame);
      Release(*frame);
    }
    Schedule(now_, EventKind::kPoke, *side, nullptr);
  }
}

void SimNetwork::CorruptNext(SimEndpoint& at) { at.side_.corrupt_next = true; }

void SimNetwork::Schedule(TimePoint time, EventKind kind, SimSide& side,
                          Frame* frame) {
  if (frame != nullptr) ++frame->references;
  events_.push({time, next_order_++, kind, &side, frame});
}

void SimNetwork::Happen(const Event& event) {
  switch (event.kind) {
    case EventKind::kLeft:
      Left(*event.side, *event.frame);
      break;
    case EventKind::kArriving:
      Arriving(*event.side, *event.frame);
      break;
    case EventKind::kArrived:
      Arrived(*event.side, *event.frame);
      break;
    case EventKind::kConfirmed:
      Confirmed(*event.side, *event.frame);
      break;
    case EventKind::kPoke:
      StartReceiving(*event.side);
      StartSending(*event.side);
      OfferRoom(*event.side);
      break;
  }
  if (event.frame != nullptr) Release(*event.frame);
}

// What the round trip would be at the least, by the links as they are.
void SimNetwork::NoteRoundTrip(SimSide& side) {
  side.min_rtt =
      std::min(side.min_rtt, side.link.delay + side.peer->link.delay);
}

// 0 <= result < 1, the same on every machine.
double SimNetwork::Uniform() {
  return static_cast<double>(random_() >> 11) * 0x1p-53;
}

bool SimNetwork::Chance(double probability) {
  return probability > 0 && Uniform() < probability;
}

void SimNetwork::Release(Frame& frame) {
  LH_DCHECK(frame.references > 0);
  if (--frame.references == 0) frames_.Destroy(&frame);
}

}  // namespace longhaul
