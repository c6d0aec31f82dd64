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
  void Divert() override {}  // a payload arrives all at once
  void Finish() override {}
  void Close() override;
  bool Drained() const override { return queued_ == 0; }
  bool reliable() const override { return true; }
  uint32_t max_payload() const override { return kMaxPayload; }
  EndpointStats Stats() const override;
  std::string Name() const override { return "loopback"; }

 private:
  static constexpr size_t kQueue = 16;
  struct Frame {
    ChunkHeader header;
    ConstBuffer payload;
    void* cookie = nullptr;
    bool control = false;
    std::vector<uint8_t> copy;  ///< of a control payload; kept for reuse
  };

  void Poll(uint32_t events, TimePoint now) override;
  Frame* Push(const ChunkHeader& header);
  void Deliver(Frame& frame, TimePoint now);

  ChunkSink& sink_;
  std::array<Frame, kQueue> queue_;
  size_t first_ = 0;
  size_t queued_ = 0;
  bool refused_ = false;
  bool closed_ = false;
  uint64_t bytes_ = 0;
};

}  // namespace longhaul
