// A process's flow to itself, for ranks that share it: what is sent arrives in
// a later turn, with one copy.
//
// Engine thread only.
#pragma once

#include <array>
#include <vector>

#include "engine/engine.h"
#include "transport/endpoint.h"

namespace longhaul {

class LoopbackEndpoint final : public Endpoint, private Pollable {
 public:
  LoopbackEndpoint(Engine& engine, ChunkSink& sink);

  bool TrySend(const ChunkHeader& header, ConstBuffer payload,
               void* cookie) override;
  bool TrySendControl(const ChunkHeader& header,
                      std::span<const uint8_t> payload) override;
  void Divert() override { diverted_ = true; }
  void Finish() override {}
  void Close() override;
  bool Drained() const override { return data_.size + control_.size == 0; }
  bool reliable() const override { return true; }
  uint32_t max_payload() const override { return kMaxPayload; }
  EndpointStats Stats() const override;
  std::string Name() const override { return "loopback"; }

 private:
  struct Frame {
    ChunkHeader header;
    ConstBuffer payload;
    void* cookie = nullptr;
    std::vector<uint8_t> copy;  ///< of a control payload; kept for reuse
  };
  struct Queue {
    std::array<Frame, 16> frames;
    size_t first = 0;
    size_t size = 0;
  };

  void Poll(uint32_t events, TimePoint now) override;
  Frame* Push(Queue& queue, const ChunkHeader& header);
  void DeliverFirst(Queue& queue, TimePoint now);
  void Deliver(const Frame& frame, TimePoint now);

  ChunkSink& sink_;
  Queue data_;
  Queue control_;  // goes first
  bool diverted_ = false;
  bool refused_ = false;
  bool closed_ = false;
  uint64_t bytes_ = 0;
};

}  // namespace longhaul
