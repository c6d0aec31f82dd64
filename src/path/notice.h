// What a notice looks like on the wire: a data frame that is nobody's message,
// with a payload of its own.
//
//   byte 0: what it is; 1: scope; 2: status code; 3: zero; then text
//
// Pure functions; any thread.
#pragma once

#include <longhaul/status.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>

#include "transport/chunk.h"

namespace longhaul {

inline constexpr uint8_t kNoticeFault = 0;
inline constexpr uint8_t kNoticeGoodbye = 1;
inline constexpr size_t kNoticeHeader = 4;
inline constexpr std::array<uint8_t, kNoticeHeader> kGoodbye{kNoticeGoodbye, 0,
                                                             0, 0};

/// The sender's `number`-th notice. No rank is its source or target.
constexpr MessageId NoticeId(uint32_t communicator, uint32_t epoch,
                             uint64_t sequence, uint64_t number) {
  return {communicator, epoch, sequence, ~0u, ~0u, number};
}

/// Returns its size. A text that is too long is cut.
inline size_t EncodeNotice(const Status& status, std::span<uint8_t> out) {
  out[0] = kNoticeFault;
  out[1] = static_cast<uint8_t>(status.scope());
  out[2] = static_cast<uint8_t>(status.code());
  out[3] = 0;
  const std::string& text = status.text();
  const size_t length = std::min(text.size(), out.size() - kNoticeHeader);
  std::memcpy(out.data() + kNoticeHeader, text.data(), length);
  return kNoticeHeader + length;
}

/// OK if it is not the notice of a fault.
inline Status DecodeNotice(std::span<const uint8_t> in) {
  if (in.size() < kNoticeHeader || in[0] != kNoticeFault ||
      in[1] > static_cast<uint8_t>(FaultScope::kCommunicator) ||
      in[2] > static_cast<uint8_t>(StatusCode::kInternal)) {
    return {};
  }
  const auto* text = reinterpret_cast<const char*>(in.data()) + kNoticeHeader;
  return {static_cast<StatusCode>(in[2]),
          std::string(text, in.size() - kNoticeHeader),
          static_cast<FaultScope>(in[1])};
}

}  // namespace longhaul
