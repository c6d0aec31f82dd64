// An Endpoint over one connected TCP socket, past its handshake.
//
// Frames are gathered: what is queued leaves in one sendmsg, control frames at
// the next frame boundary. Payloads are read straight into the place the sink
// gives, never through a buffer of the endpoint's, but for what arrives in the
// same read as the header before them (at most 4 KiB).
//
// Engine thread only.
#pragma once

#include <sys/uio.h>

#include <array>
#include <memory>
#include <vector>

#include "base/unique_fd.h"
#include "engine/engine.h"
#include "transport/endpoint.h"

struct tcp_info;

namespace longhaul {

class TcpEndpoint final : public Endpoint, private Pollable {
 public:
  TcpEndpoint(Engine& engine, UniqueFd socket);
  ~TcpEndpoint() override;

  /// Starts: frames go to `sink` from now on. kExhausted as Engine::Watch.
  Status SetSink(ChunkSink& sink);

  bool TrySend(const ChunkHeader& header, ConstBuffer payload,
               void* cookie) override;
  bool TrySendControl(const ChunkHeader& header,
                      std::span<const uint8_t> payload) override;
  void Divert() override;
  void Finish() override;
  void Close() override;
  void SetPace(double bytes_per_second) override;
  bool Renew() override;
  bool Drained() const override;
  bool reliable() const override { return true; }
  uint32_t max_payload() const override { return kMaxPayload; }
  EndpointStats Stats() const override;
  std::string Name() const override { return name_; }

 private:
  static constexpr size_t kQueue = 8;
  static constexpr size_t kControlBytes = 64 << 10;
  static constexpr size_t kReadAhead = 4 << 10;
  static constexpr size_t kReadBudget = 2 << 20;  // bytes per turn

  struct Outgoing {
    HeaderBytes header;
    ConstBuffer payload;
    void* cookie = nullptr;
    size_t written = 0;
    size_t size() const { return kHeaderSize + payload.size; }
  };

  void Poll(uint32_t events, TimePoint now) override;
  void Write(TimePoint now);
  size_t Gather(iovec* out) const;
  void Written(size_t bytes);
  void Read(TimePoint now);
  bool TakeBytes(size_t bytes, TimePoint now);
  bool TakeHeader(TimePoint now);
  bool TakePayload(size_t bytes, TimePoint now);
  void Fail(StatusCode code, const char* what);
  bool GetInfo(tcp_info* info) const;
  void BeginBreath(TimePoint now);
  void EndBreath(TimePoint now);
  Outgoing& At(size_t index) { return queue_[(first_ + index) % kQueue]; }
  const Outgoing& At(size_t index) const {
    return queue_[(first_ + index) % kQueue];
  }

  UniqueFd socket_;
  std::string name_;
  ChunkSink* sink_ = nullptr;

  // Sending: the rest of a frame begun, then control, then the queue.
  std::array<Outgoing, kQueue> queue_;
  size_t first_ = 0;
  size_t queued_ = 0;
  std::vector<uint8_t> control_;
  size_t control_written_ = 0;
  bool writable_ = true;
  bool refused_ = false;
  bool finishing_ = false;

  // Paced flows stop for breath (tcp_endpoint.cc).
  const bool bbr_;  ///< the congestion control
  bool breathing_ = false;
  int notsent_lowat_ = 0;
  Duration breath_every_ = 0;  ///< 0: never
  TimePoint next_breath_ = 0;

  // Receiving: a header, then its payload.
  std::array<uint8_t, kHeaderSize> header_bytes_;
  size_t header_have_ = 0;
  bool in_payload_ = false;
  bool diverted_ = false;
  ChunkHeader header_;
  Buffer place_;
  size_t payload_have_ = 0;
  std::unique_ptr<uint8_t[]> trash_;
  std::array<uint8_t, kReadAhead> ahead_;
  bool readable_ = true;
  bool hung_up_ = false;

  uint64_t bytes_sent_ = 0;
  uint64_t bytes_received_ = 0;
};

}  // namespace longhaul
