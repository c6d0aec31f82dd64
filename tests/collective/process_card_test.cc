#include "collective/process_card.h"

#include <array>

#include "base/bytes.h"
#include "base/crc32c.h"

namespace longhaul {
namespace {

ProcessCard Card() {
  ProcessCard card;
  card.version_max = 3;
  card.capabilities = 0x8000000000000001;
  card.incarnation = 0x1234;
  card.pid = 4711;
  card.topology = 0x8765432187654321;
  card.wan_access = false;
  card.host = "node7";
  card.site = "";
  card.addresses = {Address::Parse("10.0.0.7:5000").value(),
                    Address::Parse("[fd00::7]:5001").value()};
  card.labels = {"p0", ""};
  return card;
}

// With the checksum made right again, so that what is behind it is tested.
std::vector<uint8_t> Resealed(std::vector<uint8_t> bytes) {
  StoreLittle<uint32_t>(bytes.data() + 4,
                        Crc32c(bytes.data() + 8, bytes.size() - 8));
  return bytes;
}

TEST(ProcessCard, SurvivesTheWire) {
  const auto card = DecodeCard(EncodeCard(Card()));
  ASSERT_TRUE(card.ok()) << card.status().text();
  EXPECT_EQ(*card, Card());
}

TEST(ProcessCard, ScopesStayHome) {
  ProcessCard card = Card();
  card.addresses = {Address::Parse("[fe80::1%1]:5000").value()};
  const auto decoded = DecodeCard(EncodeCard(card));
  ASSERT_TRUE(decoded.ok());
  EXPECT_EQ(decoded->addresses.front().scope, 0u);
}

TEST(ProcessCard, LaterVersionsMayAppend) {
  std::vector<uint8_t> bytes = EncodeCard(Card());
  bytes.insert(bytes.end(), 100, 0xee);
  const auto card = DecodeCard(Resealed(bytes));
  ASSERT_TRUE(card.ok()) << card.status().text();
  EXPECT_EQ(*card, Card());
}

TEST(ProcessCard, EarlierVersionsHaveNoLabels) {
  std::vector<uint8_t> bytes = EncodeCard(Card());
  bytes.resize(bytes.size() - 4);  // 2 lengths, "p0"
  const auto card = DecodeCard(Resealed(bytes));
  ASSERT_TRUE(card.ok()) << card.status().text();
  EXPECT_EQ(card->labels, (std::vector<std::string>{"", ""}));
}

TEST(ProcessCard, LabelsThatAreNoneAreRefused) {
  const std::vector<uint8_t> good = EncodeCard(Card());
  for (const uint8_t length : std::array<uint8_t, 3>{3, 16, 255}) {
    std::vector<uint8_t> bytes = good;
    bytes[bytes.size() - 4] = length;
    EXPECT_FALSE(DecodeCard(Resealed(bytes)).ok()) << int{length};
  }
  for (const size_t missing : {1u, 2u, 3u}) {
    const std::vector<uint8_t> bytes(
        good.begin(), good.end() - static_cast<std::ptrdiff_t>(missing));
    EXPECT_FALSE(DecodeCard(Resealed(bytes)).ok()) << missing;
  }
  ProcessCard card = Card();
  card.labels = {"p\n", ""};
  EXPECT_FALSE(DecodeCard(EncodeCard(card)).ok());
}

TEST(ProcessCard, DamageAndShorteningAreNoticed) {
  const std::vector<uint8_t> good = EncodeCard(Card());
  for (size_t i = 0; i < good.size(); ++i) {
    EXPECT_FALSE(DecodeCard(std::span(good).first(i)).ok()) << i;
    std::vector<uint8_t> bad = good;
    bad[i] ^= 0x10;
    EXPECT_FALSE(DecodeCard(bad).ok()) << i;
  }
}

TEST(ProcessCard, CountsBeyondItsEndAreRefused) {
  for (const size_t at : {33u, 34u, 35u}) {
    std::vector<uint8_t> bytes = EncodeCard(Card());
    bytes[at] = 255;
    EXPECT_EQ(DecodeCard(Resealed(bytes)).status().code(), StatusCode::kCorrupt)
        << at;
  }
}

TEST(ProcessCard, NamesWithControlCharactersAreRefused) {
  ProcessCard card = Card();
  card.host = "node\x1b[2J";
  EXPECT_FALSE(DecodeCard(EncodeCard(card)).ok());
}

TEST(ProcessCard, AddressesNobodyCanConnectToAreRefused) {
  for (const char* host : {"0.0.0.0", "::"}) {
    ProcessCard card = Card();
    card.addresses = {Address::ParseHost(host, 80).value()};
    EXPECT_FALSE(DecodeCard(EncodeCard(card)).ok()) << host;
  }
  ProcessCard card = Card();
  card.addresses.front().port = 0;
  EXPECT_FALSE(DecodeCard(EncodeCard(card)).ok());
}

TEST(ProcessCard, LongNamesAndListsAreCut) {
  ProcessCard card = Card();
  card.host = std::string(1000, 'x');
  card.addresses.assign(100, card.addresses.front());
  card.labels.assign(100, "an-interface-with-a-long-name");
  const auto decoded = DecodeCard(EncodeCard(card));
  ASSERT_TRUE(decoded.ok());
  EXPECT_EQ(decoded->host, std::string(kMaxCardName, 'x'));
  EXPECT_EQ(decoded->addresses.size(), kMaxCardAddresses);
  EXPECT_EQ(decoded->labels,
            std::vector<std::string>(kMaxCardAddresses, "an-interface-wi"));
}

}  // namespace
}  // namespace longhaul
