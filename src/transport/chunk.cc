#include "transport/chunk.h"

#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/text.h"

namespace longhaul {
namespace {

constexpr uint32_t kMagic = 0x3143484cu;  // "LHC1"
constexpr size_t kChecksumAt = kHeaderSize - sizeof(uint32_t);

void StoreId(const MessageId& id, uint8_t* out) {
  StoreLittle<uint32_t>(out, id.communicator);
  StoreLittle<uint32_t>(out + 4, id.epoch);
  StoreLittle<uint64_t>(out + 8, id.sequence);
  StoreLittle<uint32_t>(out + 16, id.source);
  StoreLittle<uint32_t>(out + 20, id.target);
  StoreLittle<uint64_t>(out + 24, id.message);
}

MessageId LoadId(const uint8_t* in) {
  return {LoadLittle<uint32_t>(in),      LoadLittle<uint32_t>(in + 4),
          LoadLittle<uint64_t>(in + 8),  LoadLittle<uint32_t>(in + 16),
          LoadLittle<uint32_t>(in + 20), LoadLittle<uint64_t>(in + 24)};
}

Status Corrupt(const char* what) {
  return {StatusCode::kCorrupt, Text("frame header: %s", what),
          FaultScope::kPath};
}

Status CheckBounds(const ChunkHeader& h) {
  if (h.kind == FrameKind::kData) {
    if (h.size > kMaxPayload) return Corrupt("payload too long");
    if (h.offset > h.total || h.size > h.total - h.offset) {
      return Corrupt("chunk outside its message");
    }
    if (h.size == 0 && h.total != 0) return Corrupt("empty chunk");
    return {};
  }
  if (h.kind == FrameKind::kPadding) {
    return h.size > kMaxPayload ? Corrupt("payload too long") : Status();
  }
  if (h.size > kMaxControlPayload) return Corrupt("control payload too long");
  return {};
}

}  // namespace

void EncodeHeader(const ChunkHeader& h, std::span<uint8_t, kHeaderSize> out) {
  uint8_t* p = out.data();
  StoreLittle<uint32_t>(p, kMagic);
  p[4] = static_cast<uint8_t>(h.kind);
  p[5] = h.flags;
  StoreLittle<uint16_t>(p + 6, h.codec);
  StoreLittle<uint32_t>(p + 8, h.size);
  StoreLittle<uint32_t>(p + 12, 0);
  StoreId(h.id, p + 16);
  StoreLittle<uint64_t>(p + 48, h.total);
  StoreLittle<uint64_t>(p + 56, h.offset);
  StoreLittle<uint64_t>(p + 64, h.fingerprint.count);
  p[72] = h.fingerprint.collective;
  p[73] = h.fingerprint.type;
  p[74] = h.fingerprint.op;
  p[75] = h.fingerprint.algorithm;
  StoreLittle<uint32_t>(p + 76, h.fingerprint.root);
  StoreLittle<uint32_t>(p + 80, h.fingerprint.segment);
  StoreLittle<uint64_t>(p + 84, h.charged_at);
  StoreLittle<uint32_t>(p + kChecksumAt, Crc32c(p, kChecksumAt));
}

Result<ChunkHeader> DecodeHeader(std::span<const uint8_t, kHeaderSize> in) {
  const uint8_t* p = in.data();
  if (LoadLittle<uint32_t>(p) != kMagic) return Corrupt("wrong magic");
  if (LoadLittle<uint32_t>(p + kChecksumAt) != Crc32c(p, kChecksumAt)) {
    return Corrupt("wrong checksum");
  }
  if (p[4] >= kFrameKindCount) return Corrupt("unknown kind");
  ChunkHeader h;
  h.kind = static_cast<FrameKind>(p[4]);
  h.flags = p[5];
  if ((h.flags & ~ChunkHeader::kKnownFlags) != 0) {
    return Corrupt("unknown flag");
  }
  h.codec = LoadLittle<uint16_t>(p + 6);
  if (h.codec != 0) return Corrupt("unknown codec");
  h.size = LoadLittle<uint32_t>(p + 8);
  h.id = LoadId(p + 16);
  h.total = LoadLittle<uint64_t>(p + 48);
  h.offset = LoadLittle<uint64_t>(p + 56);
  h.fingerprint.count = LoadLittle<uint64_t>(p + 64);
  h.fingerprint.collective = p[72];
  h.fingerprint.type = p[73];
  h.fingerprint.op = p[74];
  h.fingerprint.algorithm = p[75];
  h.fingerprint.root = LoadLittle<uint32_t>(p + 76);
  h.fingerprint.segment = LoadLittle<uint32_t>(p + 80);
  h.charged_at = LoadLittle<uint64_t>(p + 84);
  const Status bounds = CheckBounds(h);
  if (!bounds.ok()) return bounds;
  return h;
}

void Encode(const AckEntry& entry, uint8_t* out) {
  StoreId(entry.id, out);
  StoreLittle<uint64_t>(out + kMessageIdSize, entry.offset);
  StoreLittle<uint64_t>(out + kMessageIdSize + 8, entry.size);
}

void Encode(const CreditEntry& entry, uint8_t* out) {
  StoreLittle<uint32_t>(out, entry.communicator);
  StoreLittle<uint32_t>(out + 4, entry.source);
  StoreLittle<uint32_t>(out + 8, entry.target);
  StoreLittle<uint32_t>(out + 12, 0);
  StoreLittle<uint64_t>(out + 16, entry.limit);
}

void Encode(const GrantEntry& entry, uint8_t* out) { StoreId(entry.id, out); }

void Encode(const PaceEntry& entry, uint8_t* out) {
  StoreLittle<uint64_t>(out, entry.line);
  StoreLittle<uint64_t>(out + 8, entry.pace);
}

void Encode(const WantEntry& entry, uint8_t* out) {
  StoreLittle<uint16_t>(out, entry.path);
  StoreLittle<uint16_t>(out + 2, entry.flow);
  StoreLittle<uint32_t>(out + 4, entry.wanted ? 1 : 0);
}

AckEntry DecodeAck(const uint8_t* in) {
  return {LoadId(in), LoadLittle<uint64_t>(in + kMessageIdSize),
          LoadLittle<uint64_t>(in + kMessageIdSize + 8)};
}

CreditEntry DecodeCredit(const uint8_t* in) {
  return {LoadLittle<uint32_t>(in), LoadLittle<uint32_t>(in + 4),
          LoadLittle<uint32_t>(in + 8), LoadLittle<uint64_t>(in + 16)};
}

GrantEntry DecodeGrant(const uint8_t* in) { return {LoadId(in)}; }

PaceEntry DecodePace(const uint8_t* in) {
  return {LoadLittle<uint64_t>(in), LoadLittle<uint64_t>(in + 8)};
}

WantEntry DecodeWant(const uint8_t* in) {
  return {LoadLittle<uint16_t>(in), LoadLittle<uint16_t>(in + 2),
          LoadLittle<uint32_t>(in + 4) != 0};
}

}  // namespace longhaul
