// From the queues of a side to the far end of its link.
#include <algorithm>
#include <cmath>
#include <utility>

#include "transport/sim/sim_network.h"

namespace longhaul {
namespace {

Duration TimeOnLine(const SimLink& link, uint64_t bytes) {
  if (link.rate <= 0) return 0;
  return std::llround(static_cast<double>(bytes) / link.rate * kSecond);
}

}  // namespace

// Begins with the next frame if none is leaving: control first.
void SimNetwork::StartSending(SimSide& side) {
  if (!side.open || side.leaving != nullptr) return;
  if (side.silent && side.link.reliable) return;
  auto& queue = side.control.empty() ? side.data : side.control;
  if (queue.empty()) {
    if (side.finishing && !side.finished) {
      side.finished = true;
      SendMark(side, Frame::Kind::kFinish);
    }
    return;
  }
  Frame& frame = *queue.front();
  queue.pop_front();
  side.leaving = &frame;
  frame.rate = side.link.rate;
  frame.length = TimeOnLine(side.link, kHeaderSize + frame.size);
  Schedule(now_ + frame.length, EventKind::kLeft, side, &frame);
  Launch(side, frame);
}

// Draws the frame's fate.
void SimNetwork::Launch(SimSide& side, Frame& frame) {
  int copies = 1;
  if (!side.link.reliable) {
    if (Chance(side.link.loss) || side.silent) return;
    if (Chance(side.link.duplicate)) copies = 2;
  }
  side.bytes_in_flight += kHeaderSize + frame.size;
  for (; copies > 0; --copies) Fly(side, frame);
}

void SimNetwork::Fly(SimSide& side, Frame& frame) {
  TimePoint arrival = now_ + side.link.delay;
  if (side.link.jitter > 0) {
    arrival += std::llround(Uniform() * static_cast<double>(side.link.jitter));
  }
  const bool in_order = side.link.reliable || frame.kind != Frame::Kind::kFrame;
  if (!side.link.reliable && Chance(side.link.reorder)) {
    arrival += side.link.late;
  }
  if (in_order) arrival = std::max(arrival, side.last_arrival);
  side.last_arrival = std::max(arrival, side.last_arrival);
  Schedule(arrival, EventKind::kArriving, *side.peer, &frame);
}

void SimNetwork::Left(SimSide& side, Frame& frame) {
  if (side.leaving != &frame) return;  // the side has let go of it
  side.leaving = nullptr;
  side.bytes_sent += kHeaderSize + frame.size;
  if (frame.lent) {
    frame.lent = false;
    if (frame.size > 0 && frame.references > 1) {  // somebody will receive it
      frame.copy.assign(frame.bytes, frame.bytes + frame.size);
    }
    frame.bytes = frame.copy.data();
    if (side.sink != nullptr) side.sink->Sent(*side.endpoint, frame.cookie);
  }
  StartSending(side);
  OfferRoom(side);
}

void SimNetwork::OfferRoom(SimSide& side) {
  if (!side.open || !side.refused || side.data.size() >= side.link.queue ||
      side.control.size() >= side.link.control_queue) {
    return;
  }
  side.refused = false;
  if (side.sink != nullptr) side.sink->Writable(*side.endpoint);
}

// The end of a flow is a frame without length, never lost.
void SimNetwork::SendMark(SimSide& side, Frame::Kind kind) {
  Frame& mark = *frames_.Make();
  mark.kind = kind;
  Fly(side, mark);
}

void SimNetwork::Arriving(SimSide& side, Frame& frame) {
  SimSide& sender = *side.peer;
  const bool is_frame = frame.kind == Frame::Kind::kFrame;
  if (sender.silent && (sender.link.reliable || !is_frame)) {
    ++frame.references;
    sender.stuck.push_back(&frame);
    return;
  }
  if (is_frame && !std::exchange(frame.counted, true)) {
    if (sender.silent) {
      sender.bytes_in_flight -= kHeaderSize + frame.size;
    } else {
      Schedule(now_ + frame.length + side.link.delay, EventKind::kConfirmed,
               sender, &frame);
    }
  }
  if (sender.silent) return;
  if (!side.open) return;  // whoever closes has told the sender
  if (frame.kind == Frame::Kind::kReset) {
    Fail(side, StatusCode::kUnreachable, "reset by the peer");
    return;
  }
  ++frame.references;
  side.inbound.push_back(&frame);
  StartReceiving(side);
}

// News of the frame's arrival is back at `side`, which sent it.
void SimNetwork::Confirmed(SimSide& side, Frame& frame) {
  if (side.silent) {
    ++frame.references;
    side.unconfirmed.push_back(&frame);
    return;
  }
  const uint64_t bytes = kHeaderSize + frame.size;
  side.bytes_in_flight -= bytes;
  side.bytes_delivered += bytes;
  side.delivery_rate = frame.rate;
}

}  // namespace longhaul
