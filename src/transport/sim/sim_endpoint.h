// One end of a simulated flow (sim_network.h): an Endpoint that moves when its
// network's time does.
//
// Engine thread only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "base/time.h"
#include "transport/endpoint.h"

namespace longhaul {

class SimNetwork;
struct SimSide;

/// One direction of a flow.
struct SimLink {
  double rate = 0;            ///< bytes/s; 0: unlimited
  Duration delay = 0;         ///< one way
  Duration jitter = 0;        ///< up to this much more, drawn for each frame
  bool reliable = true;       ///< in order, nothing lost or doubled, as TCP
  double loss = 0;            ///< probability; the rest only where not reliable
  double duplicate = 0;       ///< probability
  double reorder = 0;         ///< probability that a frame is late by
  Duration late = 0;          ///< this much
  size_t queue = 8;           ///< data frames that wait for the line, at most
  size_t control_queue = 64;  ///< control frames, likewise
  uint32_t max_payload = kMaxPayload;
};

class SimEndpoint final : public Endpoint {
 public:
  SimEndpoint(SimNetwork& network, SimSide& side);
  ~SimEndpoint() override;
  SimEndpoint(const SimEndpoint&) = delete;
  SimEndpoint& operator=(const SimEndpoint&) = delete;

  /// Starts: frames go to `sink` from now on. What has arrived before waits.
  void SetSink(ChunkSink& sink);

  bool TrySend(const ChunkHeader& header, ConstBuffer payload,
               void* cookie) override;
  bool TrySendControl(const ChunkHeader& header,
                      std::span<const uint8_t> payload) override;
  void Divert() override;
  void Finish() override;
  void Close() override;
  bool Drained() const override;
  bool reliable() const override;
  uint32_t max_payload() const override;
  EndpointStats Stats() const override;
  std::string Name() const override;
  /// Stays when the endpoint goes, as long as the network is there: by it one
  /// can tell whether a flow still has this end.
  SimSide& side() { return side_; }

 private:
  friend class SimNetwork;
  SimNetwork& network_;
  SimSide& side_;
};

}  // namespace longhaul
