// The handshake on a fresh data socket, before any frame: the initiator sends
// a Hello, the acceptor answers with one. Both are 96 bytes, little-endian;
// docs/wire_format.md has the table.
//
// Each carries a proof: SipHash-128, keyed with the job's secret, over all that
// stands before it. The answer's proof also covers the question's, so that an
// answer belongs to its question. Proofs keep strangers out; they neither
// encrypt what follows nor resist who can alter the traffic.
//
// Values and pure functions; any thread.
#pragma once

#include <longhaul/status.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "base/siphash.h"

namespace longhaul {

/// The version of the hello and of the frames that follow it.
inline constexpr uint16_t kProtocolVersion = 1;

enum class LinkClass : uint8_t { kSameSite = 0, kOtherSite = 1 };

/// What a hello is: a question, or what the acceptor makes of one.
enum class HelloVerdict : uint8_t {
  kQuestion = 0,
  kWelcome = 1,
  kWrongVersion = 2,
  kWrongJob = 3,
  kWrongProcess = 4,  ///< addressed to, or from, another incarnation
  kWrongSecret = 5,
  kBusy = 6,     ///< not now: try again
  kRefused = 7,  ///< the acceptor does not want this flow
};
inline constexpr uint8_t kHelloVerdictCount = 8;

struct Hello {
  uint16_t version_min = kProtocolVersion;  ///< versions the sender speaks
  uint16_t version_max = kProtocolVersion;
  uint16_t flow = 0;   ///< index of this flow on its path, < flows
  uint16_t flows = 1;  ///< flows the initiator opens on this path in all
  HelloVerdict verdict = HelloVerdict::kQuestion;
  LinkClass link = LinkClass::kSameSite;
  /// The flow does not belong to the connection of the two processes but to
  /// what `subject` names at the acceptor, which gets it as a plain socket.
  static constexpr uint16_t kPrivate = 1;
  /// Of a private flow, in question and answer: the sender leaves traffic of
  /// its site to another network, and means to tell the way in on this flow.
  static constexpr uint16_t kDelegated = 2;
  uint16_t flags = 0;           ///< those not known are ignored
  uint64_t capabilities = 0;    ///< bits; both must have what is to be used
  uint64_t job = 0;             ///< the job's nonce
  uint64_t from = 0;            ///< incarnation of the sending process
  uint64_t to = 0;              ///< incarnation of the process meant
  uint64_t nonce = 0;           ///< random, so that no two proofs are alike
  uint64_t shared_credit = 0;   ///< bytes the sender takes from all streams
  uint32_t stream_reserve = 0;  ///< bytes it takes of each stream besides
  /// kPrivate: whom the flow is for. Else the line to the sender's site
  /// (PaceBoard::LineTo), 0 if it does not say.
  uint64_t subject = 0;
  /// Which path the flow is on; equal on both sides, whoever calls.
  uint16_t path = 0;
  std::array<uint8_t, 2> reserved{};  ///< kept so that the proof holds
  SipTag proof{};
};

inline constexpr size_t kHelloSize = 96;
using HelloBytes = std::array<uint8_t, kHelloSize>;

/// What a hello must fit.
struct HelloPolicy {
  uint16_t version_min = kProtocolVersion;
  uint16_t version_max = kProtocolVersion;
  uint64_t job = 0;
  uint64_t self = 0;             ///< incarnation it must be addressed to
  std::optional<uint64_t> peer;  ///< incarnation it must come from, if known
  SipKey secret{};
};

/// The proof that belongs to `hello`; `question` is the proof of the hello that
/// it answers, all zero for a question.
SipTag ProofOf(const Hello& hello, const SipKey& secret,
               const SipTag& question = {});

/// The bytes of `hello`, its proof as it stands.
HelloBytes EncodeHello(const Hello& hello);
/// Whether bytes that begin so may become a hello. A few suffice to tell.
bool MayBeHello(std::span<const uint8_t> beginning);
/// kCorrupt unless magic, enumerators, flow numbers and the version range make
/// sense. Says nothing of who sent it.
Result<Hello> DecodeHello(std::span<const uint8_t, kHelloSize> in);

/// What the acceptor makes of a question: kWelcome, or the first thing that
/// does not fit (version, then job, process, secret).
HelloVerdict Judge(const Hello& question, const HelloPolicy& policy);
/// The same in words, with both sides' values: kUnsupported (version) or
/// kInvalidArgument.
Status CheckHello(const Hello& question, const HelloPolicy& policy);
/// Whether `answer` welcomes `question`. If the acceptor refused, its reason:
/// kUnsupported, kInvalidArgument, or kExhausted for kBusy.
Status CheckAnswer(const Hello& answer, const Hello& question,
                   const HelloPolicy& policy);

/// The highest version both speak; 0 if there is none.
uint16_t AgreedVersion(const Hello& theirs, const HelloPolicy& policy);

}  // namespace longhaul
