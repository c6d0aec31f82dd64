#include "transport/chunk.h"

#include <algorithm>

#include "base/bytes.h"
#include "base/crc32c.h"

namespace longhaul {
namespace {

ChunkHeader Example() {
  ChunkHeader header;
  header.flags = ChunkHeader::kChargedReserve;
  header.size = 4096;
  header.id = {7, 1, uint64_t{1} << 40, 3, 5, 99};
  header.total = 1 << 20;
  header.offset = 8192;
  header.fingerprint = {uint64_t{1} << 33, 1, 2, 3, 4, 5, 6};
  header.charged_at = uint64_t{5} << 45;
  return header;
}

HeaderBytes Encoded(const ChunkHeader& header) {
  HeaderBytes bytes;
  EncodeHeader(header, bytes);
  return bytes;
}

// As a sender that does not keep the rules would: with the right checksum.
void Seal(HeaderBytes& bytes) {
  StoreLittle<uint32_t>(&bytes[kHeaderSize - 4],
                        Crc32c(bytes.data(), kHeaderSize - 4));
}

void ExpectRefused(const ChunkHeader& header, const char* what) {
  const auto decoded = DecodeHeader(Encoded(header));
  ASSERT_FALSE(decoded.ok()) << what;
  EXPECT_EQ(decoded.status().code(), StatusCode::kCorrupt) << what;
  EXPECT_EQ(decoded.status().scope(), FaultScope::kPath) << what;
}

void ExpectAccepted(const ChunkHeader& header, const char* what) {
  EXPECT_TRUE(DecodeHeader(Encoded(header)).ok()) << what;
}

TEST(ChunkTest, HeaderComesBackAsItWas) {
  const ChunkHeader header = Example();
  const auto decoded = DecodeHeader(Encoded(header));
  ASSERT_TRUE(decoded.ok()) << decoded.status().ToString();
  EXPECT_EQ(decoded->kind, header.kind);
  EXPECT_EQ(decoded->flags, header.flags);
  EXPECT_EQ(decoded->codec, header.codec);
  EXPECT_EQ(decoded->size, header.size);
  EXPECT_EQ(decoded->id, header.id);
  EXPECT_EQ(decoded->total, header.total);
  EXPECT_EQ(decoded->offset, header.offset);
  EXPECT_EQ(decoded->fingerprint, header.fingerprint);
  EXPECT_EQ(decoded->charged_at, header.charged_at);
}

TEST(ChunkTest, EveryKindComesBack) {
  for (uint8_t kind = 0; kind < kFrameKindCount; ++kind) {
    ChunkHeader header;
    header.kind = static_cast<FrameKind>(kind);
    const auto decoded = DecodeHeader(Encoded(header));
    ASSERT_TRUE(decoded.ok()) << int{kind};
    EXPECT_EQ(decoded->kind, header.kind);
  }
}

TEST(ChunkTest, AnyBitFlippedIsRefused) {
  const HeaderBytes good = Encoded(Example());
  ASSERT_TRUE(DecodeHeader(good).ok());
  for (size_t bit = 0; bit < 8 * kHeaderSize; ++bit) {
    HeaderBytes bad = good;
    bad[bit / 8] = static_cast<uint8_t>(bad[bit / 8] ^ (1u << (bit % 8)));
    const auto decoded = DecodeHeader(bad);
    ASSERT_FALSE(decoded.ok()) << "bit " << bit;
    EXPECT_EQ(decoded.status().code(), StatusCode::kCorrupt);
  }
}

TEST(ChunkTest, WrongMagicKindFlagsAndCodecAreRefused) {
  const auto refused = [](size_t at, uint8_t value) {
    HeaderBytes bytes = Encoded(Example());
    bytes[at] = value;
    Seal(bytes);
    return !DecodeHeader(bytes).ok();
  };
  EXPECT_FALSE(refused(4, 0)) << "sealed and right";
  EXPECT_TRUE(refused(0, 'X'));
  EXPECT_TRUE(refused(4, kFrameKindCount));
  EXPECT_TRUE(refused(4, 0xff));
  EXPECT_TRUE(refused(5, ChunkHeader::kKnownFlags + 1));
  EXPECT_TRUE(refused(6, 1));
}

TEST(ChunkTest, DataStaysWithinItsMessage) {
  ChunkHeader header;
  header.total = 1000;
  header.offset = 600;
  header.size = 400;
  ExpectAccepted(header, "the last chunk");
  header.size = 401;
  ExpectRefused(header, "past the end");
  header.offset = 1001;
  header.size = 1;
  ExpectRefused(header, "behind the end");
  header.size = 2;
  header.total = ~uint64_t{0};
  header.offset = header.total - 2;
  ExpectAccepted(header, "the longest message");
  header.size = 3;
  ExpectRefused(header, "offset + size wraps around");
}

TEST(ChunkTest, EmptyChunksAreForEmptyMessages) {
  ChunkHeader header;
  ExpectAccepted(header, "an empty message");
  header.total = 1;
  ExpectRefused(header, "nothing of something");
}

TEST(ChunkTest, PayloadsAreBounded) {
  ChunkHeader header;
  header.total = uint64_t{1} << 30;
  header.size = kMaxPayload;
  ExpectAccepted(header, "the longest chunk");
  header.size = kMaxPayload + 1;
  ExpectRefused(header, "a longer one");
  header.kind = FrameKind::kPadding;
  ExpectRefused(header, "longer padding");
  for (const FrameKind kind : {FrameKind::kAck, FrameKind::kCredit,
                               FrameKind::kGrant, FrameKind::kPing}) {
    header.kind = kind;
    header.size = kMaxControlPayload;
    ExpectAccepted(header, "the longest control payload");
    header.size = kMaxControlPayload + 1;
    ExpectRefused(header, "a longer one");
  }
}

TEST(ChunkTest, EntriesComeBackAsTheyWere) {
  const MessageId id{1, 2, uint64_t{3} << 40, 4, 5, uint64_t{6} << 50};
  uint8_t ack_bytes[kAckEntrySize];
  Encode(AckEntry{id, 77, uint64_t{1} << 60}, ack_bytes);
  const AckEntry ack = DecodeAck(ack_bytes);
  EXPECT_EQ(ack.id, id);
  EXPECT_EQ(ack.offset, 77u);
  EXPECT_EQ(ack.size, uint64_t{1} << 60);

  uint8_t credit_bytes[kCreditEntrySize];
  Encode(CreditEntry{kSharedAccount, 8, 9, uint64_t{1} << 61}, credit_bytes);
  const CreditEntry credit = DecodeCredit(credit_bytes);
  EXPECT_EQ(credit.communicator, kSharedAccount);
  EXPECT_EQ(credit.source, 8u);
  EXPECT_EQ(credit.target, 9u);
  EXPECT_EQ(credit.limit, uint64_t{1} << 61);

  uint8_t grant_bytes[kGrantEntrySize];
  Encode(GrantEntry{id}, grant_bytes);
  EXPECT_EQ(DecodeGrant(grant_bytes).id, id);

  uint8_t pace_bytes[kPaceEntrySize];
  Encode(PaceEntry{uint64_t{1} << 60, 31'250'000}, pace_bytes);
  EXPECT_EQ(DecodePace(pace_bytes).line, uint64_t{1} << 60);
  EXPECT_EQ(DecodePace(pace_bytes).pace, 31'250'000u);

  uint8_t want_bytes[kWantEntrySize];
  for (const bool wanted : {true, false}) {
    Encode(WantEntry{0x1234, 0x5678, wanted}, want_bytes);
    EXPECT_EQ(DecodeWant(want_bytes).path, 0x1234u);
    EXPECT_EQ(DecodeWant(want_bytes).flow, 0x5678u);
    EXPECT_EQ(DecodeWant(want_bytes).wanted, wanted);
  }
}

TEST(ChunkTest, HashesOfNeighboursDiffer) {
  std::vector<uint64_t> hashes;
  for (uint32_t i = 0; i < 20; ++i) {
    for (uint32_t j = 0; j < 20; ++j) {
      hashes.push_back(HashOf({i, j, 0, 0, 0, 0}));
      hashes.push_back(HashOf({0, 0, i + 1, j, 1, 0}));
      hashes.push_back(HashOf({0, 0, 0, i + 1, j, uint64_t{j} + 1}));
    }
  }
  std::sort(hashes.begin(), hashes.end());
  EXPECT_EQ(std::unique(hashes.begin(), hashes.end()), hashes.end());
}

// The layout on the wire, as docs/wire_format.md states it.
TEST(ChunkTest, LayoutIsFixed) {
  const HeaderBytes bytes = Encoded(Example());
  EXPECT_EQ(std::string(bytes.begin(), bytes.begin() + 4), "LHC1");
  EXPECT_EQ(LoadLittle<uint32_t>(&bytes[8]), 4096u);      // size
  EXPECT_EQ(LoadLittle<uint32_t>(&bytes[16]), 7u);        // communicator
  EXPECT_EQ(LoadLittle<uint64_t>(&bytes[40]), 99u);       // message
  EXPECT_EQ(LoadLittle<uint64_t>(&bytes[48]), 1u << 20);  // total
  EXPECT_EQ(LoadLittle<uint64_t>(&bytes[56]), 8192u);     // offset
  EXPECT_EQ(LoadLittle<uint64_t>(&bytes[64]), uint64_t{1} << 33);
}

}  // namespace
}  // namespace longhaul
