#include "transport/loopback_endpoint.h"

#include <cstring>

namespace longhaul {

LoopbackEndpoint::LoopbackEndpoint(Engine& engine, ChunkSink& sink)
    : Pollable(engine), sink_(sink) {}

LoopbackEndpoint::Frame* LoopbackEndpoint::Push(const ChunkHeader& header) {
  if (closed_) return nullptr;
  if (queued_ == kQueue) {
    refused_ = true;
    return nullptr;
  }
  Frame& frame = queue_[(first_ + queued_) % kQueue];
  frame.header = header;
  ++queued_;
  Wake();
  return &frame;
}

bool LoopbackEndpoint::TrySend(const ChunkHeader& header, ConstBuffer payload,
                               void* cookie) {
  Frame* frame = Push(header);
  if (frame == nullptr) return false;
  frame->payload = payload;
  frame->cookie = cookie;
  frame->control = false;
  return true;
}

bool LoopbackEndpoint::TrySendControl(const ChunkHeader& header,
                                      std::span<const uint8_t> payload) {
  Frame* frame = Push(header);
  if (frame == nullptr) return false;
  frame->copy.assign(payload.begin(), payload.end());
  frame->payload = {frame->copy.data(), frame->copy.size()};
  frame->control = true;
  return true;
}

void LoopbackEndpoint::Close() {
  closed_ = true;
  queued_ = 0;
}

void LoopbackEndpoint::Poll(uint32_t /*events*/, TimePoint now) {
  for (size_t batch = queued_; batch > 0 && !closed_; --batch) {
    Frame& frame = queue_[first_];
    Deliver(frame, now);
    if (closed_) return;
    first_ = (first_ + 1) % kQueue;
    --queued_;
  }
  if (closed_) return;
  if (queued_ > 0) Wake();
  if (refused_) {
    refused_ = false;
    sink_.Writable(*this);
  }
}

void LoopbackEndpoint::Deliver(Frame& frame, TimePoint now) {
  // The frame's slot stays taken until it is delivered: calls from the sink
  // cannot overwrite it.
  Buffer place;
  if (frame.header.size > 0 && frame.header.kind != FrameKind::kPadding) {
    place = sink_.Place(*this, frame.header, now);
    if (closed_) return;
    if (place.data != nullptr) {
      std::memcpy(place.data, frame.payload.data, frame.payload.size);
    }
  }
  bytes_ += kHeaderSize + frame.header.size;
  sink_.Arrived(*this, frame.header, place, now);
  if (!closed_ && !frame.control) sink_.Sent(*this, frame.cookie);
}

EndpointStats LoopbackEndpoint::Stats() const {
  EndpointStats stats;
  stats.bytes_sent = stats.bytes_received = bytes_;
  return stats;
}

}  // namespace longhaul
