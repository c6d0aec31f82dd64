// Frames to send in tests: headers that are valid, payloads that tell where
// they come from.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/bytes.h"
#include "support/recording_sink.h"
#include "transport/endpoint.h"

namespace longhaul {

/// `size` bytes that differ for every `seed`.
inline std::vector<uint8_t> Pattern(size_t size, uint64_t seed) {
  std::vector<uint8_t> bytes((size + 7) / 8 * 8);
  uint64_t state = (seed + 1) * 0x9e3779b97f4a7c15u;
  for (size_t i = 0; i < size; i += 8) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    StoreLittle<uint64_t>(&bytes[i], state ^ state >> 29);
  }
  bytes.resize(size);
  return bytes;
}

/// The header of a message of its own, numbered `number`.
inline ChunkHeader DataHeader(uint64_t number, size_t size) {
  ChunkHeader header;
  header.id.message = number;
  header.size = static_cast<uint32_t>(size);
  header.total = size;
  return header;
}

inline ChunkHeader ControlHeader(uint64_t number, size_t size) {
  ChunkHeader header;
  header.kind = FrameKind::kPing;
  header.id.message = number;
  header.size = static_cast<uint32_t>(size);
  return header;
}

/// Sends frames of given sizes, numbered from 0, as the endpoint has room.
/// Payloads are scribbled over as soon as they have been sent.
class FrameSender {
 public:
  FrameSender(Endpoint& endpoint, RecordingSink& sink,
              std::vector<size_t> sizes)
      : endpoint_(endpoint), sink_(sink), sizes_(std::move(sizes)) {
    payloads_.reserve(sizes_.size());
    sink.on_writable = [this] { Send(); };
    sink.on_sent = [](void* cookie) {
      auto& payload = *static_cast<std::vector<uint8_t>*>(cookie);
      std::fill(payload.begin(), payload.end(), uint8_t{0xdb});
    };
  }
  ~FrameSender() {
    sink_.on_writable = nullptr;
    sink_.on_sent = nullptr;
  }
  FrameSender(const FrameSender&) = delete;
  FrameSender& operator=(const FrameSender&) = delete;

  /// Sends what there is room for.
  void Send() {
    while (taken_ < sizes_.size()) {
      if (payloads_.size() == taken_) {
        payloads_.push_back(Pattern(sizes_[taken_], taken_));
      }
      std::vector<uint8_t>& payload = payloads_[taken_];
      if (!endpoint_.TrySend(DataHeader(taken_, payload.size()),
                             {payload.data(), payload.size()}, &payload)) {
        return;
      }
      ++taken_;
    }
  }
  /// Frames that the endpoint has taken.
  size_t taken() const { return taken_; }
  void* cookie(size_t index) { return &payloads_[index]; }

 private:
  Endpoint& endpoint_;
  RecordingSink& sink_;
  std::vector<size_t> sizes_;
  std::vector<std::vector<uint8_t>> payloads_;  // never moves: reserved
  size_t taken_ = 0;
};

}  // namespace longhaul
