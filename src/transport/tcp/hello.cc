#include "transport/tcp/hello.h"

#include <algorithm>
#include <cinttypes>
#include <string>
#include <utility>

#include "base/bytes.h"
#include "base/text.h"

namespace longhaul {
namespace {

constexpr uint32_t kMagic = 0x4f48484cu;  // "LHHO"
constexpr size_t kReservedAt = 78;
constexpr size_t kProofAt = kHelloSize - sizeof(SipTag);

Status Corrupt(const char* what) {
  return {StatusCode::kCorrupt, Text("hello: %s", what), FaultScope::kPath};
}

const char* WrongSecret() {
  return "it does not know this job's secret: do both read the same "
         "LONGHAUL_SECRET_FILE?";
}

std::string WrongVersion(const Hello& theirs, const HelloPolicy& policy) {
  return Text(
      "it speaks protocol versions %u to %u, this process %u to %u: install "
      "the same longhaul everywhere",
      unsigned{theirs.version_min}, unsigned{theirs.version_max},
      unsigned{policy.version_min}, unsigned{policy.version_max});
}

std::string WrongJob(uint64_t theirs, uint64_t ours) {
  return Text("it is of job %016" PRIx64 ", this process of job %016" PRIx64,
              theirs, ours);
}

Status Refuse(std::string text) {
  return {StatusCode::kInvalidArgument, std::move(text), FaultScope::kPath};
}

bool ProofHolds(const Hello& hello, const SipKey& secret,
                const SipTag& question) {
  return SameTag(hello.proof, ProofOf(hello, secret, question));
}

// What an answer that is no welcome says, from the initiator's side.
Status Refusal(const Hello& answer, const HelloPolicy& policy) {
  switch (answer.verdict) {
    case HelloVerdict::kWrongVersion:
      return {StatusCode::kUnsupported, WrongVersion(answer, policy),
              FaultScope::kPath};
    case HelloVerdict::kWrongJob:
      return Refuse(WrongJob(answer.job, policy.job));
    case HelloVerdict::kWrongProcess:
      return Refuse(Text("another process is there: %016" PRIx64
                         " instead of %016" PRIx64
                         "; has the peer been restarted?",
                         answer.from, policy.peer.value_or(0)));
    case HelloVerdict::kWrongSecret:
      return Refuse("it says that this process does not know its job's secret");
    case HelloVerdict::kBusy:
      return {StatusCode::kExhausted, "it takes no more flows for now",
              FaultScope::kPath};
    case HelloVerdict::kRefused:
      return Refuse("it refuses the flow");
    case HelloVerdict::kQuestion:
    case HelloVerdict::kWelcome:
      break;
  }
  return Corrupt("a question where an answer is due");
}

}  // namespace

SipTag ProofOf(const Hello& hello, const SipKey& secret,
               const SipTag& question) {
  const HelloBytes bytes = EncodeHello(hello);
  std::array<uint8_t, kProofAt + sizeof(SipTag)> message;
  std::copy_n(bytes.begin(), kProofAt, message.begin());
  std::copy(question.begin(), question.end(), message.begin() + kProofAt);
  return SipHash128(secret, message);
}

HelloBytes EncodeHello(const Hello& hello) {
  HelloBytes bytes;
  uint8_t* p = bytes.data();
  StoreLittle<uint32_t>(p, kMagic);
  StoreLittle<uint16_t>(p + 4, hello.version_min);
  StoreLittle<uint16_t>(p + 6, hello.version_max);
  StoreLittle<uint16_t>(p + 8, hello.flow);
  StoreLittle<uint16_t>(p + 10, hello.flows);
  p[12] = static_cast<uint8_t>(hello.verdict);
  p[13] = static_cast<uint8_t>(hello.link);
  StoreLittle<uint16_t>(p + 14, hello.flags);
  StoreLittle<uint64_t>(p + 16, hello.capabilities);
  StoreLittle<uint64_t>(p + 24, hello.job);
  StoreLittle<uint64_t>(p + 32, hello.from);
  StoreLittle<uint64_t>(p + 40, hello.to);
  StoreLittle<uint64_t>(p + 48, hello.nonce);
  StoreLittle<uint64_t>(p + 56, hello.shared_credit);
  StoreLittle<uint32_t>(p + 64, hello.stream_reserve);
  StoreLittle<uint64_t>(p + 68, hello.subject);
  StoreLittle<uint16_t>(p + 76, hello.path);
  std::copy(hello.reserved.begin(), hello.reserved.end(), p + kReservedAt);
  std::copy(hello.proof.begin(), hello.proof.end(), p + kProofAt);
  return bytes;
}

bool MayBeHello(std::span<const uint8_t> beginning) {
  std::array<uint8_t, sizeof kMagic> magic;
  StoreLittle(magic.data(), kMagic);
  const size_t known = std::min(beginning.size(), magic.size());
  return std::equal(magic.begin(), magic.begin() + known, beginning.begin());
}

Result<Hello> DecodeHello(std::span<const uint8_t, kHelloSize> in) {
  const uint8_t* p = in.data();
  if (LoadLittle<uint32_t>(p) != kMagic) return Corrupt("wrong magic");
  if (p[12] >= kHelloVerdictCount) return Corrupt("unknown verdict");
  if (p[13] > 1) return Corrupt("unknown link class");
  Hello hello;
  hello.version_min = LoadLittle<uint16_t>(p + 4);
  hello.version_max = LoadLittle<uint16_t>(p + 6);
  hello.flow = LoadLittle<uint16_t>(p + 8);
  hello.flows = LoadLittle<uint16_t>(p + 10);
  hello.verdict = static_cast<HelloVerdict>(p[12]);
  hello.link = static_cast<LinkClass>(p[13]);
  hello.flags = LoadLittle<uint16_t>(p + 14);
  hello.capabilities = LoadLittle<uint64_t>(p + 16);
  hello.job = LoadLittle<uint64_t>(p + 24);
  hello.from = LoadLittle<uint64_t>(p + 32);
  hello.to = LoadLittle<uint64_t>(p + 40);
  hello.nonce = LoadLittle<uint64_t>(p + 48);
  hello.shared_credit = LoadLittle<uint64_t>(p + 56);
  hello.stream_reserve = LoadLittle<uint32_t>(p + 64);
  hello.subject = LoadLittle<uint64_t>(p + 68);
  hello.path = LoadLittle<uint16_t>(p + 76);
  std::copy_n(p + kReservedAt, hello.reserved.size(), hello.reserved.begin());
  std::copy_n(p + kProofAt, hello.proof.size(), hello.proof.begin());
  if (hello.version_min == 0 || hello.version_min > hello.version_max) {
    return Corrupt("a version range without versions");
  }
  if (hello.flow >= hello.flows) return Corrupt("flow number out of range");
  return hello;
}

uint16_t AgreedVersion(const Hello& theirs, const HelloPolicy& policy) {
  const uint16_t low = std::max(theirs.version_min, policy.version_min);
  const uint16_t high = std::min(theirs.version_max, policy.version_max);
  return low <= high ? high : uint16_t{0};
}

HelloVerdict Judge(const Hello& question, const HelloPolicy& policy) {
  if (AgreedVersion(question, policy) == 0) return HelloVerdict::kWrongVersion;
  if (question.job != policy.job) return HelloVerdict::kWrongJob;
  if (question.to != policy.self ||
      (policy.peer && question.from != *policy.peer)) {
    return HelloVerdict::kWrongProcess;
  }
  if (!ProofHolds(question, policy.secret, SipTag{})) {
    return HelloVerdict::kWrongSecret;
  }
  return question.verdict == HelloVerdict::kQuestion ? HelloVerdict::kWelcome
                                                     : HelloVerdict::kRefused;
}

Status CheckHello(const Hello& question, const HelloPolicy& policy) {
  switch (Judge(question, policy)) {
    case HelloVerdict::kWelcome:
      return {};
    case HelloVerdict::kWrongVersion:
      return {StatusCode::kUnsupported, WrongVersion(question, policy),
              FaultScope::kPath};
    case HelloVerdict::kWrongJob:
      return Refuse(WrongJob(question.job, policy.job));
    case HelloVerdict::kWrongProcess:
      if (question.to != policy.self) {
        return Refuse(Text("it looks for process %016" PRIx64
                           ", this is %016" PRIx64,
                           question.to, policy.self));
      }
      return Refuse(Text("it is process %016" PRIx64 ", not %016" PRIx64,
                         question.from, policy.peer.value_or(0)));
    case HelloVerdict::kWrongSecret:
      return Refuse(WrongSecret());
    default:
      return Corrupt("an answer where a question is due");
  }
}

Status CheckAnswer(const Hello& answer, const Hello& question,
                   const HelloPolicy& policy) {
  // A refusal needs no proof: who could forge one could cut the flow as well.
  if (answer.verdict != HelloVerdict::kWelcome) return Refusal(answer, policy);
  if (AgreedVersion(answer, policy) == 0) {
    return {StatusCode::kUnsupported, WrongVersion(answer, policy),
            FaultScope::kPath};
  }
  if (answer.job != policy.job) return Refuse(WrongJob(answer.job, policy.job));
  if (answer.to != policy.self || answer.from != question.to) {
    return Refuse(Text("it is process %016" PRIx64 ", not %016" PRIx64,
                       answer.from, question.to));
  }
  if (!ProofHolds(answer, policy.secret, question.proof)) {
    return Refuse(WrongSecret());
  }
  if (answer.flow != question.flow || answer.flows != question.flows) {
    return Corrupt("the answer is for another flow");
  }
  return {};
}

}  // namespace longhaul
