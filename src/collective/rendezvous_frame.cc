#include "collective/rendezvous_frame.h"

#include <algorithm>
#include <array>
#include <concepts>
#include <utility>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/text.h"
#include "collective/rendezvous.h"

namespace longhaul {
namespace {

constexpr uint32_t kMagic = 0x5652484cu;  // "LHRV"
constexpr size_t kStep = 64 << 10;        // a reader's growth

Status Corrupt(const char* what) {
  return {StatusCode::kCorrupt, Text("rendezvous message: %s", what),
          FaultScope::kCommunicator};
}

/// Appends little-endian fields behind room for a header.
class Writer {
 public:
  Writer() : bytes_(kRendezvousHeadSize) {}

  template <std::unsigned_integral T>
  void Put(T value) {
    const size_t at = bytes_.size();
    bytes_.resize(at + sizeof value);
    StoreLittle(bytes_.data() + at, value);
  }
  template <typename Bytes>
  void PutBytes(const Bytes& bytes) {
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
  }
  void PutText(const std::string& text) {
    const size_t size = std::min(text.size(), kMaxRendezvousText);
    Put(static_cast<uint16_t>(size));
    bytes_.insert(bytes_.end(), text.begin(),
                  text.begin() + static_cast<std::ptrdiff_t>(size));
  }
  std::vector<uint8_t> Finish(RendezvousKind kind) {
    uint8_t* p = bytes_.data();
    const size_t size = bytes_.size() - kRendezvousHeadSize;
    StoreLittle<uint32_t>(p, kMagic);
    StoreLittle<uint16_t>(p + 4, kRendezvousVersion);
    StoreLittle<uint16_t>(p + 6, static_cast<uint16_t>(kind));
    StoreLittle<uint32_t>(p + 8, static_cast<uint32_t>(size));
    StoreLittle<uint32_t>(p + 12, Crc32c(p + kRendezvousHeadSize, size));
    StoreLittle<uint32_t>(p + 16, Crc32c(p, 16));
    return std::move(bytes_);
  }

 private:
  std::vector<uint8_t> bytes_;
};

/// Takes fields off the front; once something is missing, all is zero.
class Parser {
 public:
  explicit Parser(std::span<const uint8_t> bytes) : rest_(bytes) {}

  template <std::unsigned_integral T>
  T Get() {
    const std::span<const uint8_t> bytes = GetBytes(sizeof(T));
    return bytes.empty() ? T{0} : LoadLittle<T>(bytes.data());
  }
  std::span<const uint8_t> GetBytes(size_t size) {
    if (size > rest_.size()) {
      intact_ = false;
      return {};
    }
    const std::span<const uint8_t> bytes = rest_.first(size);
    rest_ = rest_.subspan(size);
    return bytes;
  }
  std::string GetText(size_t size) {
    const std::span<const uint8_t> bytes = GetBytes(size);
    return {bytes.begin(), bytes.end()};
  }
  size_t left() const { return rest_.size(); }
  /// All was there, and nothing is left.
  bool Done() const { return intact_ && rest_.empty(); }

 private:
  std::span<const uint8_t> rest_;
  bool intact_ = true;
};

// What strangers send ends up in terminals.
void MakePlain(std::string& text) {
  std::replace_if(
      text.begin(), text.end(),
      [](char c) { return static_cast<uint8_t>(c) < 0x20 || c == 0x7f; }, '?');
}

}  // namespace

std::vector<uint8_t> EncodeMessage(const JoinMessage& message) {
  Writer writer;
  writer.Put(message.nonce);
  writer.Put(message.incarnation);
  writer.Put(message.rank);
  writer.Put(message.size);
  writer.Put(static_cast<uint16_t>(message.proved ? 1 : 0));
  writer.Put(static_cast<uint16_t>(message.key.size()));
  writer.Put(static_cast<uint32_t>(message.blob.size()));
  writer.PutBytes(message.key);
  writer.PutBytes(message.blob);
  return writer.Finish(RendezvousKind::kJoin);
}

std::vector<uint8_t> EncodeMessage(const TableMessage& message) {
  Writer writer;
  writer.Put(message.job);
  writer.PutBytes(message.secret);
  writer.Put(message.number);
  writer.Put(static_cast<uint32_t>(message.blobs.size()));
  for (const std::vector<uint8_t>& blob : message.blobs) {
    writer.Put(static_cast<uint32_t>(blob.size()));
  }
  for (const std::vector<uint8_t>& blob : message.blobs) {
    writer.PutBytes(blob);
  }
  return writer.Finish(RendezvousKind::kTable);
}

std::vector<uint8_t> EncodeMessage(const WaitingMessage& message) {
  Writer writer;
  const size_t listed = std::min(message.missing.size(), kMaxListedRanks);
  writer.Put(message.size);
  writer.Put(message.missing_count);
  writer.Put(static_cast<uint32_t>(listed));
  for (size_t i = 0; i < listed; ++i) writer.Put(message.missing[i]);
  writer.PutText(message.note);
  return writer.Finish(RendezvousKind::kWaiting);
}

std::vector<uint8_t> EncodeMessage(const ErrorMessage& message) {
  Writer writer;
  writer.Put(static_cast<uint8_t>(message.code));
  writer.PutText(message.text);
  return writer.Finish(RendezvousKind::kError);
}

Result<JoinMessage> DecodeJoin(std::span<const uint8_t> payload) {
  Parser parser(payload);
  JoinMessage join;
  join.nonce = parser.Get<uint64_t>();
  join.incarnation = parser.Get<uint64_t>();
  join.rank = parser.Get<uint32_t>();
  join.size = parser.Get<uint32_t>();
  const auto flags = parser.Get<uint16_t>();
  const auto key_size = parser.Get<uint16_t>();
  const auto blob_size = parser.Get<uint32_t>();
  if (key_size > kMaxRendezvousKey || blob_size > kMaxRendezvousBlob ||
      key_size == 0) {
    return Corrupt("key or blob too long");
  }
  join.proved = (flags & 1) != 0;
  join.key = parser.GetText(key_size);
  MakePlain(join.key);
  const std::span<const uint8_t> blob = parser.GetBytes(blob_size);
  if (!parser.Done()) return Corrupt("wrong length of a join");
  if (join.size == 0 || join.size > kMaxRendezvousSize ||
      join.rank >= join.size) {
    return Corrupt("rank or size out of range");
  }
  join.blob.assign(blob.begin(), blob.end());
  return join;
}

Result<TableMessage> DecodeTable(std::span<const uint8_t> payload) {
  Parser parser(payload);
  TableMessage table;
  table.job = parser.Get<uint64_t>();
  const std::span<const uint8_t> secret = parser.GetBytes(sizeof(SipKey));
  std::copy(secret.begin(), secret.end(), table.secret.begin());
  table.number = parser.Get<uint32_t>();
  const auto size = parser.Get<uint32_t>();
  if (parser.left() / sizeof(uint32_t) < size) {
    return Corrupt("a table longer than itself");
  }
  Parser lengths(parser.GetBytes(size * sizeof(uint32_t)));
  table.blobs.resize(size);
  for (std::vector<uint8_t>& blob : table.blobs) {
    const std::span<const uint8_t> bytes =
        parser.GetBytes(lengths.Get<uint32_t>());
    blob.assign(bytes.begin(), bytes.end());
  }
  if (!parser.Done()) return Corrupt("wrong length of a table");
  return table;
}

Result<WaitingMessage> DecodeWaiting(std::span<const uint8_t> payload) {
  Parser parser(payload);
  WaitingMessage waiting;
  waiting.size = parser.Get<uint32_t>();
  waiting.missing_count = parser.Get<uint32_t>();
  const auto listed = parser.Get<uint32_t>();
  if (listed > kMaxListedRanks) return Corrupt("too many ranks listed");
  for (uint32_t i = 0; i < listed; ++i) {
    waiting.missing.push_back(parser.Get<uint32_t>());
  }
  waiting.note = parser.GetText(parser.Get<uint16_t>());
  MakePlain(waiting.note);
  if (!parser.Done()) return Corrupt("wrong length of a notice");
  return waiting;
}

Result<ErrorMessage> DecodeError(std::span<const uint8_t> payload) {
  Parser parser(payload);
  const auto code = parser.Get<uint8_t>();
  ErrorMessage error;
  error.text = parser.GetText(parser.Get<uint16_t>());
  MakePlain(error.text);
  if (!parser.Done()) return Corrupt("wrong length of an error");
  if (code == 0 || code > static_cast<uint8_t>(StatusCode::kInternal)) {
    return Corrupt("unknown error");
  }
  error.code = static_cast<StatusCode>(code);
  return error;
}

SipTag ProofOfMessage(const std::optional<SipKey>& key,
                      std::span<const uint8_t> message, const SipTag& join) {
  if (!key) return {};
  const SipTag digest = SipHash128(*key, message);
  std::array<uint8_t, 2 * sizeof(SipTag)> both;
  std::copy(digest.begin(), digest.end(), both.begin());
  std::copy(join.begin(), join.end(), both.begin() + sizeof(SipTag));
  return SipHash128(*key, both);
}

std::string RanksText(std::span<const uint32_t> ranks, uint32_t count,
                      uint32_t size) {
  std::string text = count == 1 ? "rank " : "ranks ";
  for (size_t i = 0; i < ranks.size();) {
    size_t last = i;
    while (last + 1 < ranks.size() && ranks[last + 1] == ranks[last] + 1) {
      ++last;
    }
    text += Text(i == 0 ? "%u" : ", %u", ranks[i]);
    if (last > i) text += Text(last > i + 1 ? "-%u" : ", %u", ranks[last]);
    i = last + 1;
  }
  if (count > ranks.size()) {
    text += Text(" and %zu more", size_t{count} - ranks.size());
  }
  return text + Text(" of %u", size);
}

std::span<uint8_t> RendezvousReader::Space() {
  const size_t whole = size_ == 0 ? kRendezvousHeadSize : size_;
  const size_t want = std::min(whole, have_ + kStep);
  if (bytes_.size() < want) bytes_.resize(want);
  return std::span(bytes_).subspan(have_, want - have_);
}

Status RendezvousReader::Took(size_t bytes) {
  have_ += bytes;
  const uint8_t* p = bytes_.data();
  if (size_ == 0) {
    if (have_ >= 4 && LoadLittle<uint32_t>(p) != kMagic) {
      return Corrupt("wrong magic");
    }
    if (have_ < kRendezvousHeadSize) return {};
    if (LoadLittle<uint32_t>(p + 16) != Crc32c(p, 16)) {
      return Corrupt("wrong checksum");
    }
    const auto payload = LoadLittle<uint32_t>(p + 8);
    if (payload > limit_) return Corrupt("too long");
    size_ = kRendezvousHeadSize + payload + kRendezvousProofSize;
  }
  if (have_ < size_) return {};
  if (LoadLittle<uint32_t>(p + 12) !=
      Crc32c(payload().data(), payload().size())) {
    return Corrupt("wrong checksum");
  }
  return {};
}

uint16_t RendezvousReader::version() const {
  return LoadLittle<uint16_t>(bytes_.data() + 4);
}

RendezvousKind RendezvousReader::kind() const {
  return static_cast<RendezvousKind>(LoadLittle<uint16_t>(bytes_.data() + 6));
}

std::span<const uint8_t> RendezvousReader::payload() const {
  return message().subspan(kRendezvousHeadSize);
}

std::span<const uint8_t> RendezvousReader::message() const {
  return std::span(bytes_).first(size_ - kRendezvousProofSize);
}

SipTag RendezvousReader::proof() const {
  SipTag proof;
  std::copy_n(bytes_.data() + size_ - kRendezvousProofSize, proof.size(),
              proof.begin());
  return proof;
}

void RendezvousReader::Next() {
  bytes_ = {};
  have_ = 0;
  size_ = 0;
}

}  // namespace longhaul
