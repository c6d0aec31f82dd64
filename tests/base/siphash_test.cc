#include "base/siphash.h"

#include <numeric>

#include "base/random.h"

namespace longhaul {
namespace {

SipKey CountingKey() {
  SipKey key;
  std::iota(key.begin(), key.end(), uint8_t{0});
  return key;
}

std::vector<uint8_t> Counting(size_t size) {
  std::vector<uint8_t> bytes(size);
  std::iota(bytes.begin(), bytes.end(), uint8_t{0});
  return bytes;
}

// From the authors' vectors_sip128: key 00..0f, message 00, 01, ...
TEST(SipHash, MatchesTheAuthorsVectors) {
  const SipTag empty = {0xa3, 0x81, 0x7f, 0x04, 0xba, 0x25, 0xa8, 0xe6,
                        0x6d, 0xf6, 0x72, 0x14, 0xc7, 0x55, 0x02, 0x93};
  const SipTag one = {0xda, 0x87, 0xc1, 0xd8, 0x6b, 0x99, 0xaf, 0x44,
                      0x34, 0x76, 0x59, 0x11, 0x9b, 0x22, 0xfc, 0x45};
  EXPECT_EQ(SipHash128(CountingKey(), {}), empty);
  EXPECT_EQ(SipHash128(CountingKey(), Counting(1)), one);
}

TEST(SipHash, EveryByteOfKeyAndMessageCounts) {
  const std::vector<uint8_t> message = Counting(21);
  const SipTag tag = SipHash128(CountingKey(), message);
  for (size_t i = 0; i < message.size(); ++i) {
    std::vector<uint8_t> changed = message;
    changed[i] ^= 1;
    EXPECT_NE(SipHash128(CountingKey(), changed), tag) << i;
  }
  for (size_t i = 0; i < 16; ++i) {
    SipKey key = CountingKey();
    key[i] ^= 1;
    EXPECT_NE(SipHash128(key, message), tag) << i;
  }
  std::vector<uint8_t> longer = message;
  longer.push_back(0);
  EXPECT_NE(SipHash128(CountingKey(), longer), tag);
}

TEST(SipHash, SameTagComparesAllOfIt) {
  const SipTag tag = SipHash128(CountingKey(), {});
  EXPECT_TRUE(SameTag(tag, tag));
  for (size_t i = 0; i < tag.size(); ++i) {
    SipTag other = tag;
    other[i] ^= 0x80;
    EXPECT_FALSE(SameTag(tag, other)) << i;
  }
}

TEST(Random, FillsAllAndDoesNotRepeat) {
  EXPECT_NE(RandomU64(), RandomU64());
  // 64 bytes that are all still zero would be a 2^-512 accident.
  std::vector<uint8_t> bytes(64, 0);
  FillRandom(bytes);
  EXPECT_NE(bytes, std::vector<uint8_t>(64, 0));
}

}  // namespace
}  // namespace longhaul
