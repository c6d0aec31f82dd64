#include "transport/loopback_endpoint.h"

#include <cstring>

namespace longhaul {

LoopbackEndpoint::LoopbackEndpoint(Engine& engine, ChunkSink& sink)
    : Pollable(engine), sink_(sink) {}

LoopbackEndpoint::Frame* LoopbackEndpoint::Push(Queue& queue,
                                                const ChunkHeader& header) {
  if (closed_) return nullptr;
  if (queue.size == queue.frames.size()) {
    refused_ = true;
    return nullptr;
  }
  Frame& frame = queue.frames[(queue.first + queue.size) % queue.frames.size()];
  frame.header = header;
  ++queue.size;
  Wake();
  return &frame;
}

bool LoopbackEndpoint::TrySend(const ChunkHeader& header, ConstBuffer payload,
                               void* cookie) {
  Frame* frame = Push(data_, header);
  if (frame == nullptr) return false;
  frame->payload = payload;
  frame->cookie = cookie;
  return true;
}

bool LoopbackEndpoint::TrySendControl(const ChunkHeader& header,
                                      std::span<const uint8_t> payload) {
  Frame* frame = Push(control_, header);
  if (frame == nullptr) return false;
  frame->copy.assign(payload.begin(), payload.end());
  frame->payload = {frame->copy.data(), frame->copy.size()};
  return true;
}

void LoopbackEndpoint::Close() {
  closed_ = true;
  data_.size = control_.size = 0;
}

void LoopbackEndpoint::Poll(uint32_t /*events*/, TimePoint now) {
  // What the sink sends meanwhile waits for the next turn.
  size_t batch = data_.size + control_.size;
  for (; batch > 0 && !closed_; --batch) {
    DeliverFirst(control_.size > 0 ? control_ : data_, now);
  }
  if (closed_) return;
  if (!Drained()) Wake();
  if (refused_) {
    refused_ = false;
    sink_.Writable(*this);
  }
}

void LoopbackEndpoint::DeliverFirst(Queue& queue, TimePoint now) {
  // The frame's slot stays taken until it is delivered: calls from the sink
  // cannot overwrite it.
  const Frame& frame = queue.frames[queue.first];
  Deliver(frame, now);
  if (!closed_ && &queue == &data_) sink_.Sent(*this, frame.cookie);
  if (closed_) return;
  queue.first = (queue.first + 1) % queue.frames.size();
  --queue.size;
}

void LoopbackEndpoint::Deliver(const Frame& frame, TimePoint now) {
  Buffer place;
  bytes_ += kHeaderSize + frame.header.size;
  if (frame.header.size > 0 && frame.header.kind != FrameKind::kPadding) {
    // A payload arrives all at once: only Place itself can still divert it.
    diverted_ = false;
    place = sink_.Place(*this, frame.header, now);
    if (closed_ || diverted_) return;
    if (place.data != nullptr) {
      std::memcpy(place.data, frame.payload.data, frame.payload.size);
    }
  }
  sink_.Arrived(*this, frame.header, place, now);
}

EndpointStats LoopbackEndpoint::Stats() const {
  EndpointStats stats;
  stats.bytes_sent = stats.bytes_received = bytes_;
  return stats;
}

}  // namespace longhaul
