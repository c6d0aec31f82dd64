#include "collective/rendezvous_frame.h"

#include <algorithm>

namespace longhaul {
namespace {

JoinMessage Join() {
  JoinMessage join;
  join.nonce = 1;
  join.incarnation = 2;
  join.rank = 3;
  join.size = 4;
  join.proved = true;
  join.key = "world";
  join.blob = {9, 8, 7};
  return join;
}

std::vector<uint8_t> WithProof(std::vector<uint8_t> message) {
  message.insert(message.end(), kRendezvousProofSize, 0x55);
  return message;
}

// Feeds `bytes` in pieces; the status of the first piece that is refused.
Status Feed(RendezvousReader& reader, std::span<const uint8_t> bytes,
            size_t piece) {
  while (!bytes.empty() && !reader.Complete()) {
    const std::span<uint8_t> space = reader.Space();
    const size_t size = std::min({piece, space.size(), bytes.size()});
    std::copy_n(bytes.begin(), size, space.begin());
    bytes = bytes.subspan(size);
    const Status took = reader.Took(size);
    if (!took.ok()) return took;
  }
  return {};
}

TEST(RendezvousReader, CutsMessagesOutOfAnyPieces) {
  const std::vector<uint8_t> bytes = WithProof(EncodeMessage(Join()));
  for (const size_t piece : {1u, 7u, 20u, 21u, 1000u}) {
    RendezvousReader reader(1000);
    ASSERT_TRUE(Feed(reader, bytes, piece).ok());
    ASSERT_TRUE(reader.Complete());
    EXPECT_EQ(reader.version(), kRendezvousVersion);
    EXPECT_EQ(reader.kind(), RendezvousKind::kJoin);
    EXPECT_EQ(reader.proof()[0], 0x55);
    const auto join = DecodeJoin(reader.payload());
    ASSERT_TRUE(join.ok());
    EXPECT_EQ(join->nonce, 1u);
    EXPECT_EQ(join->incarnation, 2u);
    EXPECT_EQ(join->rank, 3u);
    EXPECT_EQ(join->size, 4u);
    EXPECT_TRUE(join->proved);
    EXPECT_EQ(join->key, "world");
    EXPECT_EQ(join->blob, (std::vector<uint8_t>{9, 8, 7}));
    reader.Next();
    EXPECT_FALSE(reader.Complete());
    EXPECT_TRUE(Feed(reader, bytes, piece).ok());
    EXPECT_TRUE(reader.Complete());
  }
}

TEST(RendezvousReader, NoticesDamage) {
  const std::vector<uint8_t> good = WithProof(EncodeMessage(Join()));
  for (size_t i = 0; i < good.size() - kRendezvousProofSize; ++i) {
    std::vector<uint8_t> bad = good;
    bad[i] ^= 4;
    RendezvousReader reader(1000);
    EXPECT_FALSE(Feed(reader, bad, 1000).ok()) << i;
  }
}

TEST(RendezvousReader, RefusesWhatIsTooLongBeforeItComes) {
  JoinMessage join = Join();
  join.blob.resize(5000);
  RendezvousReader reader(4000);
  const std::vector<uint8_t> bytes = EncodeMessage(join);
  EXPECT_FALSE(
      Feed(reader, std::span(bytes).first(kRendezvousHeadSize), 1000).ok());
}

TEST(RendezvousReader, TakesMemoryOnlyForWhatHasCome) {
  JoinMessage join = Join();
  join.blob.resize(1 << 20);
  RendezvousReader reader(2 << 20);
  const std::vector<uint8_t> bytes = EncodeMessage(join);
  ASSERT_TRUE(
      Feed(reader, std::span(bytes).first(kRendezvousHeadSize), 1000).ok());
  EXPECT_LE(reader.Space().size(), size_t{64} << 10);
}

TEST(RendezvousMessages, SurviveTheWire) {
  TableMessage table{7, {1, 2}, 5, {{1}, {}, {2, 3}}};
  auto payload = EncodeMessage(table);
  payload.erase(payload.begin(), payload.begin() + kRendezvousHeadSize);
  const auto table_after = DecodeTable(payload);
  ASSERT_TRUE(table_after.ok());
  EXPECT_EQ(table_after->job, 7u);
  EXPECT_EQ(table_after->secret, table.secret);
  EXPECT_EQ(table_after->number, 5u);
  EXPECT_EQ(table_after->blobs, table.blobs);

  payload = EncodeMessage(WaitingMessage{8, 2, {3, 5}, "note"});
  payload.erase(payload.begin(), payload.begin() + kRendezvousHeadSize);
  const auto waiting = DecodeWaiting(payload);
  ASSERT_TRUE(waiting.ok());
  EXPECT_EQ(waiting->missing, (std::vector<uint32_t>{3, 5}));
  EXPECT_EQ(waiting->note, "note");

  payload = EncodeMessage(ErrorMessage{StatusCode::kExhausted, "full\x1b"});
  payload.erase(payload.begin(), payload.begin() + kRendezvousHeadSize);
  const auto error = DecodeError(payload);
  ASSERT_TRUE(error.ok());
  EXPECT_EQ(error->code, StatusCode::kExhausted);
  EXPECT_EQ(error->text, "full?");
}

TEST(RendezvousMessages, CutPayloadsAreRefused) {
  const auto check = [](std::vector<uint8_t> message, const auto& decode) {
    const std::span<const uint8_t> payload =
        std::span(message).subspan(kRendezvousHeadSize);
    for (size_t i = 0; i < payload.size(); ++i) {
      EXPECT_FALSE(decode(payload.first(i)).ok()) << i;
    }
  };
  check(EncodeMessage(Join()), DecodeJoin);
  check(EncodeMessage(TableMessage{7, {}, 5, {{1}, {2, 3}}}), DecodeTable);
  check(EncodeMessage(WaitingMessage{8, 2, {3, 5}, "note"}), DecodeWaiting);
  check(EncodeMessage(ErrorMessage{StatusCode::kExhausted, "full"}),
        DecodeError);
}

TEST(RendezvousMessages, JoinsOutOfRangeAreRefused) {
  for (const auto& change : std::vector<std::function<void(JoinMessage&)>>{
           [](JoinMessage& join) { join.rank = 4; },
           [](JoinMessage& join) { join.size = join.rank = 0; },
           [](JoinMessage& join) { join.size = 1u << 17; },
           [](JoinMessage& join) { join.key.clear(); },
           [](JoinMessage& join) { join.key.resize(129, 'x'); },
           [](JoinMessage& join) { join.blob.resize((64 << 10) + 1); }}) {
    JoinMessage join = Join();
    change(join);
    const std::vector<uint8_t> message = EncodeMessage(join);
    EXPECT_FALSE(
        DecodeJoin(std::span(message).subspan(kRendezvousHeadSize)).ok());
  }
}

TEST(RendezvousMessages, AProofCoversMessageKeyAndJoin) {
  const std::vector<uint8_t> message = EncodeMessage(Join());
  const std::optional<SipKey> key = SipKey{1};
  const SipTag proof = ProofOfMessage(key, message, {});
  EXPECT_NE(proof, ProofOfMessage(SipKey{2}, message, {}));
  EXPECT_NE(proof, ProofOfMessage(key, message, {1}));
  EXPECT_NE(proof, ProofOfMessage(key, std::span(message).subspan(1), {}));
  EXPECT_EQ(ProofOfMessage({}, message, {}), SipTag{});
}

TEST(RanksText, ListsRanges) {
  EXPECT_EQ(RanksText(std::vector<uint32_t>{1}, 1, 2), "rank 1 of 2");
  EXPECT_EQ(RanksText(std::vector<uint32_t>{3, 5}, 2, 8), "ranks 3, 5 of 8");
  EXPECT_EQ(RanksText(std::vector<uint32_t>{0, 1, 3, 4, 5, 9}, 6, 16),
            "ranks 0, 1, 3-5, 9 of 16");
  EXPECT_EQ(RanksText(std::vector<uint32_t>{0, 1, 2}, 1003, 2048),
            "ranks 0-2 and 1000 more of 2048");
}

}  // namespace
}  // namespace longhaul
