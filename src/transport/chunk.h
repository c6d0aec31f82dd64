// What travels: chunks of messages, and control frames, each behind one header
// of 96 bytes. A chunk names itself: any endpoint may carry any chunk, and the
// receiver places it by its header alone.
//
// The layout on the wire is in docs/wire_format.md. Decoding treats every byte
// as hostile: a header is accepted only if its checksum and its bounds hold.
//
// Values and pure functions; any thread.
#pragma once

#include <longhaul/status.h>
#include <longhaul/types.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace longhaul {

enum class FrameKind : uint8_t {
  kData = 0,    ///< a chunk of a message
  kAck = 1,     ///< payload: AckEntry...; chunks that have arrived
  kCredit = 2,  ///< payload: CreditEntry...; limits raised
  kGrant = 3,   ///< payload: GrantEntry...; posted receives
  kPing = 4,    ///< asks for a pong with the same `offset`
  kPong = 5,
  kPadding = 6,  ///< opens congestion windows; thrown away
  kPace = 7,     ///< payload: PaceEntry...; how fast the sender sends
  kWant = 8,     ///< payload: WantEntry...; flows to be opened (again)
};
inline constexpr uint8_t kFrameKindCount = 9;

/// Which message a chunk belongs to. A message is matched by all of it.
struct MessageId {
  uint32_t communicator = 0;
  uint32_t epoch = 0;
  uint64_t sequence = 0;  ///< of the operation, by issue order
  uint32_t source = 0;    ///< rank
  uint32_t target = 0;    ///< rank
  uint64_t message = 0;   ///< number within the operation and pair of ranks
  friend bool operator==(const MessageId&, const MessageId&) = default;
};

/// Well mixed, for hash tables.
constexpr uint64_t HashOf(const MessageId& id) {
  uint64_t h = (uint64_t{id.communicator} << 32 | id.epoch) ^
               (id.sequence * 0x9e3779b97f4a7c15u);
  h = (h ^ (h >> 29)) * 0xbf58476d1ce4e5b9u;
  h ^= uint64_t{id.source} << 32 | id.target;
  h = (h ^ (h >> 32)) * 0x94d049bb133111ebu;
  h ^= id.message * 0xd6e8feb86659fd93u;
  return h ^ (h >> 32);
}

/// The operation a message is part of, so that ranks that disagree on it find
/// out from the data itself.
struct Fingerprint {
  uint64_t count = 0;
  uint8_t collective = 0;
  uint8_t type = 0;
  uint8_t op = 0;
  uint8_t algorithm = 0;
  uint32_t root = 0;
  uint32_t segment = 0;  ///< elements per segment
  friend bool operator==(const Fingerprint&, const Fingerprint&) = default;
};

struct ChunkHeader {
  /// The chunk was charged to the shared credit, or to its stream's reserve;
  /// neither: a posted receive has granted it.
  static constexpr uint8_t kChargedShared = 1;
  static constexpr uint8_t kChargedReserve = 2;
  /// A notice to the receiving connection itself, exempt from credit.
  static constexpr uint8_t kNotice = 4;
  static constexpr uint8_t kKnownFlags = 7;

  FrameKind kind = FrameKind::kData;
  uint8_t flags = 0;
  uint16_t codec = 0;  ///< 0: plain
  uint32_t size = 0;   ///< payload bytes that follow
  MessageId id;
  uint64_t total = 0;   ///< bytes in the message
  uint64_t offset = 0;  ///< of this chunk in it
  Fingerprint fingerprint;
  /// Where in the account charged this chunk's charge begins, so that a chunk
  /// that comes twice is counted once. 0 if it is not charged.
  uint64_t charged_at = 0;
};

inline constexpr size_t kHeaderSize = 96;
/// No payload is longer, whatever the peer says.
inline constexpr uint32_t kMaxPayload = 16u << 20;
/// No control frame's payload is longer.
inline constexpr uint32_t kMaxControlPayload = 16u << 10;

using HeaderBytes = std::array<uint8_t, kHeaderSize>;

void EncodeHeader(const ChunkHeader& header,
                  std::span<uint8_t, kHeaderSize> out);

/// kCorrupt unless magic, checksum, kind, flags and bounds are right.
Result<ChunkHeader> DecodeHeader(std::span<const uint8_t, kHeaderSize> in);

// Entries of control payloads.
struct AckEntry {
  MessageId id;
  uint64_t offset = 0;
  uint64_t size = 0;
};
/// All bytes charged to the account up to `limit` (since the start of the
/// connection) may be sent. Absolute, so that one lost is repaired by the next.
struct CreditEntry {
  uint32_t communicator = 0;  ///< the stream; kSharedAccount for the shared one
  uint32_t source = 0;
  uint32_t target = 0;
  uint64_t limit = 0;
};
inline constexpr uint32_t kSharedAccount = 0xffffffffu;
/// A receive is posted: the whole message may be sent without credit.
struct GrantEntry {
  MessageId id;
};
/// How fast the sender sends: a mate to another site (path/pace_board.h), the
/// other site's process on this connection.
struct PaceEntry {
  uint64_t line = 0;  ///< which site; 0: this connection
  uint64_t pace = 0;  ///< bytes/s
};

/// Asks the side that opens flows for one, or not for it any more.
struct WantEntry {
  uint16_t path = 0;
  uint16_t flow = 0;
  bool wanted = true;
};

inline constexpr size_t kMessageIdSize = 32;
inline constexpr size_t kAckEntrySize = kMessageIdSize + 16;
inline constexpr size_t kCreditEntrySize = 24;
inline constexpr size_t kGrantEntrySize = kMessageIdSize;
inline constexpr size_t kPaceEntrySize = 16;
inline constexpr size_t kWantEntrySize = 8;

void Encode(const AckEntry& entry, uint8_t* out);
void Encode(const CreditEntry& entry, uint8_t* out);
void Encode(const GrantEntry& entry, uint8_t* out);
void Encode(const PaceEntry& entry, uint8_t* out);
void Encode(const WantEntry& entry, uint8_t* out);
AckEntry DecodeAck(const uint8_t* in);
CreditEntry DecodeCredit(const uint8_t* in);
GrantEntry DecodeGrant(const uint8_t* in);
PaceEntry DecodePace(const uint8_t* in);
WantEntry DecodeWant(const uint8_t* in);

}  // namespace longhaul
