// The messages of the rendezvous, and how they are cut out of a stream.
//
//   header (20 bytes) | payload | proof (16 bytes)
//
// docs/wire_format.md has the tables. Decoding treats every byte as hostile and
// allocates no more than has arrived.
//
// Values and pure functions; thread-compatible.
#pragma once

#include <longhaul/status.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/siphash.h"

namespace longhaul {

inline constexpr uint16_t kRendezvousVersion = 1;
inline constexpr size_t kRendezvousHeadSize = 20;
inline constexpr size_t kRendezvousProofSize = sizeof(SipTag);

enum class RendezvousKind : uint16_t {
  kJoin = 1,     ///< client: here is my blob
  kTable = 2,    ///< server: here are all
  kWaiting = 3,  ///< server: these ranks are missing
  kError = 4,    ///< server: it will not come to anything
};

struct JoinMessage {
  uint64_t nonce = 0;        ///< random: answers are proved for this join
  uint64_t incarnation = 0;  ///< of the process
  uint32_t rank = 0;
  uint32_t size = 0;
  bool proved = false;  ///< the client has a secret file
  std::string key;
  std::vector<uint8_t> blob;
};
struct TableMessage {
  uint64_t job = 0;
  SipKey secret{};  ///< zero where both have a secret file
  uint32_t number = 0;
  std::vector<std::vector<uint8_t>> blobs;
};
struct WaitingMessage {
  uint32_t size = 0;
  uint32_t missing_count = 0;
  std::vector<uint32_t> missing;  ///< the first of them, at most kMaxListed
  std::string note;               ///< who has been refused, and why
};
struct ErrorMessage {
  StatusCode code = StatusCode::kInternal;
  std::string text;
};
inline constexpr size_t kMaxListedRanks = 256;
inline constexpr size_t kMaxRendezvousText = 4096;

// Header and payload, without the proof. Texts beyond the limits are cut.
std::vector<uint8_t> EncodeMessage(const JoinMessage& message);
std::vector<uint8_t> EncodeMessage(const TableMessage& message);
std::vector<uint8_t> EncodeMessage(const WaitingMessage& message);
std::vector<uint8_t> EncodeMessage(const ErrorMessage& message);

// From a payload. kCorrupt for what no client or server sends.
Result<JoinMessage> DecodeJoin(std::span<const uint8_t> payload);
Result<TableMessage> DecodeTable(std::span<const uint8_t> payload);
Result<WaitingMessage> DecodeWaiting(std::span<const uint8_t> payload);
Result<ErrorMessage> DecodeError(std::span<const uint8_t> payload);

/// The proof of a message given as EncodeMessage made it; `join` is the proof
/// of the join it answers, zero for a join. Zero without a key.
SipTag ProofOfMessage(const std::optional<SipKey>& key,
                      std::span<const uint8_t> message, const SipTag& join);

/// "ranks 3, 5-7 of 16", "rank 0 of 2"; `count` may exceed those listed.
std::string RanksText(std::span<const uint32_t> ranks, uint32_t count,
                      uint32_t size);

/// Cuts messages out of a stream.
class RendezvousReader {
 public:
  /// Payloads of at most `limit` bytes.
  explicit RendezvousReader(size_t limit) : limit_(limit) {}

  /// Where the next bytes go: never beyond the end of the message.
  std::span<uint8_t> Space();
  /// That many have been put there. kCorrupt: this is no rendezvous message,
  /// or a damaged or oversized one.
  Status Took(size_t bytes);

  /// A whole message is there; valid until Next.
  bool Complete() const { return size_ != 0 && have_ == size_; }
  bool Empty() const { return have_ == 0; }
  uint16_t version() const;
  RendezvousKind kind() const;
  std::span<const uint8_t> payload() const;
  /// Header and payload, for ProofOfMessage.
  std::span<const uint8_t> message() const;
  SipTag proof() const;
  void Next();

 private:
  const size_t limit_;
  std::vector<uint8_t> bytes_;
  size_t have_ = 0;
  size_t size_ = 0;  // of the whole message; 0 until the header is there
};

}  // namespace longhaul
