// Frames from afar. Whatever header is accepted stays within its bounds and,
// encoded again, gives the bytes that matter back; so do the entries of control
// payloads.
//
// The input is a header and what follows it. Its checksum is put right, so that
// the fuzzer gets past it; a wrong one is the business of chunk_test.
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "base/bytes.h"
#include "base/check.h"
#include "base/crc32c.h"
#include "transport/chunk.h"

namespace longhaul {
namespace {

void Seal(HeaderBytes& bytes) {
  const size_t at = kHeaderSize - sizeof(uint32_t);
  StoreLittle<uint32_t>(&bytes[at], Crc32c(bytes.data(), at));
}

void CheckHeader(const ChunkHeader& header) {
  if (header.kind == FrameKind::kData) {
    LH_CHECK(header.size <= kMaxPayload);
    LH_CHECK(header.offset <= header.total);
    LH_CHECK(header.size <= header.total - header.offset);
  } else if (header.kind == FrameKind::kPadding) {
    LH_CHECK(header.size <= kMaxPayload);
  } else {
    LH_CHECK(header.size <= kMaxControlPayload);
  }
}

// Decoded, encoded and decoded once more, a header has not changed; bytes that
// mean nothing are not kept.
void CheckRoundTrip(const ChunkHeader& header, HeaderBytes original) {
  HeaderBytes once;
  EncodeHeader(header, once);
  std::memset(&original[12], 0, 4);  // reserved
  Seal(original);
  LH_CHECK(once == original);
  const auto again = DecodeHeader(once);
  LH_CHECK(again.ok());
  HeaderBytes twice;
  EncodeHeader(*again, twice);
  LH_CHECK(once == twice);
}

template <typename Entry, size_t kSize>
void CheckEntry(const uint8_t* in, Entry (*decode)(const uint8_t*)) {
  std::array<uint8_t, kSize> once{};
  std::array<uint8_t, kSize> twice{};
  Encode(decode(in), once.data());
  Encode(decode(once.data()), twice.data());
  LH_CHECK(once == twice);
}

void CheckEntries(FrameKind kind, const uint8_t* data, size_t size) {
  if (kind == FrameKind::kAck && size >= kAckEntrySize) {
    CheckEntry<AckEntry, kAckEntrySize>(data, DecodeAck);
  }
  if (kind == FrameKind::kCredit && size >= kCreditEntrySize) {
    CheckEntry<CreditEntry, kCreditEntrySize>(data, DecodeCredit);
  }
  if (kind == FrameKind::kGrant && size >= kGrantEntrySize) {
    CheckEntry<GrantEntry, kGrantEntrySize>(data, DecodeGrant);
  }
  if (kind == FrameKind::kWant && size >= kWantEntrySize) {
    CheckEntry<WantEntry, kWantEntrySize>(data, DecodeWant);
  }
  if (kind == FrameKind::kPace && size >= kPaceEntrySize) {
    CheckEntry<PaceEntry, kPaceEntrySize>(data, DecodePace);
  }
}

void CheckInput(const uint8_t* data, size_t size) {
  if (size < kHeaderSize) return;
  HeaderBytes bytes;
  std::memcpy(bytes.data(), data, kHeaderSize);
  Seal(bytes);
  const auto header = DecodeHeader(bytes);
  if (!header.ok()) {
    LH_CHECK(header.status().code() == StatusCode::kCorrupt);
    return;
  }
  CheckHeader(*header);
  CheckRoundTrip(*header, bytes);
  CheckEntries(header->kind, data + kHeaderSize, size - kHeaderSize);
}

}  // namespace
}  // namespace longhaul

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  longhaul::CheckInput(data, size);
  return 0;
}
