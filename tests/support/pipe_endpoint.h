// Two endpoints joined by nothing but a queue, for tests and benchmarks of what
// is above the transport: a frame arrives in the next turn of the engine, with
// one copy, and nothing is allocated.
//
// Engine thread only.
#pragma once

#include <array>
#include <cstring>
#include <memory>
#include <string>
#include <utility>

#include "engine/engine.h"
#include "transport/endpoint.h"

namespace longhaul {

class PipeEndpoint final : public Endpoint, private Pollable {
 public:
  using Pair =
      std::pair<std::unique_ptr<PipeEndpoint>, std::unique_ptr<PipeEndpoint>>;
  static Pair Make(Engine& engine) {
    Pair pair{std::make_unique<PipeEndpoint>(engine),
              std::make_unique<PipeEndpoint>(engine)};
    pair.first->peer_ = pair.second.get();
    pair.second->peer_ = pair.first.get();
    return pair;
  }

  explicit PipeEndpoint(Engine& engine) : Pollable(engine) {}
  ~PipeEndpoint() override { Close(); }

  void SetSink(ChunkSink& sink) { sink_ = &sink; }

  bool TrySend(const ChunkHeader& header, ConstBuffer payload,
               void* cookie) override {
    Frame* frame = Push(header);
    if (frame == nullptr) return false;
    frame->payload = payload;
    frame->cookie = cookie;
    frame->control = false;
    return true;
  }
  bool TrySendControl(const ChunkHeader& header,
                      std::span<const uint8_t> payload) override {
    Frame* frame = Push(header);
    if (frame == nullptr) return false;
    if (!payload.empty()) {
      std::memcpy(frame->copy.data(), payload.data(), payload.size());
    }
    frame->payload = {frame->copy.data(), payload.size()};
    frame->control = true;
    return true;
  }
  void Divert() override {}  // a payload arrives all at once
  void Finish() override { finishing_ = true; }
  void Close() override {
    if (closed_) return;
    closed_ = true;
    queued_ = 0;
    if (peer_ != nullptr) {
      peer_->Wake();
      peer_->peer_ = nullptr;
    }
    peer_ = nullptr;
  }
  bool Drained() const override { return queued_ == 0; }
  bool reliable() const override { return true; }
  uint32_t max_payload() const override { return kMaxPayload; }
  EndpointStats Stats() const override { return {}; }
  std::string Name() const override { return "pipe"; }

 private:
  static constexpr size_t kQueue = 16;
  struct Frame {
    HeaderBytes header;
    ConstBuffer payload;
    void* cookie = nullptr;
    bool control = false;
    std::array<uint8_t, kMaxControlPayload> copy;
  };

  Frame* Push(const ChunkHeader& header) {
    if (closed_ || finishing_ || peer_ == nullptr) return nullptr;
    if (queued_ == kQueue) {
      refused_ = true;
      return nullptr;
    }
    Frame& frame = (*queue_)[(first_ + queued_++) % kQueue];
    EncodeHeader(header, frame.header);
    peer_->Wake();
    return &frame;
  }

  // Takes what the peer has queued.
  void Poll(uint32_t /*events*/, TimePoint now) override {
    if (closed_) return;
    for (size_t batch = peer_ == nullptr ? 0 : peer_->queued_; batch > 0;
         --batch) {
      PipeEndpoint& from = *peer_;
      Frame& frame = (*from.queue_)[from.first_];
      Take(frame, now);
      if (closed_ || peer_ == nullptr) break;
      from.first_ = (from.first_ + 1) % kQueue;
      --from.queued_;
      if (!frame.control) from.sink_->Sent(from, frame.cookie);
      if (std::exchange(from.refused_, false)) from.sink_->Writable(from);
    }
    if (closed_) return;
    if (peer_ == nullptr || (peer_->finishing_ && peer_->queued_ == 0)) {
      Close();
      sink_->Failed(*this, Status(StatusCode::kUnreachable, "the pipe's end",
                                  FaultScope::kPath));
    } else if (peer_->queued_ > 0) {
      Wake();
    }
  }

  void Take(Frame& frame, TimePoint now) {
    const Result<ChunkHeader> header = DecodeHeader(frame.header);
    if (!header.ok()) return;
    Buffer place;
    if (header->size > 0 && header->kind != FrameKind::kPadding) {
      place = sink_->Place(*this, *header, now);
      if (closed_) return;
      if (place.data != nullptr) {
        std::memcpy(place.data, frame.payload.data, header->size);
      }
    }
    sink_->Arrived(*this, *header, place, now);
  }

  PipeEndpoint* peer_ = nullptr;
  ChunkSink* sink_ = nullptr;
  std::unique_ptr<std::array<Frame, kQueue>> queue_ =
      std::make_unique<std::array<Frame, kQueue>>();
  size_t first_ = 0;
  size_t queued_ = 0;
  bool refused_ = false;
  bool finishing_ = false;
  bool closed_ = false;
};

}  // namespace longhaul
