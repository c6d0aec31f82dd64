#include "base/crc32c.h"

#include <numeric>
#include <string_view>

namespace longhaul {
namespace {

// RFC 3720 appendix B.4.
TEST(Crc32cTest, VectorsOfRfc3720) {
  std::vector<uint8_t> bytes(32, 0);
  EXPECT_EQ(Crc32c(bytes.data(), 32), 0x8a9136aau);
  bytes.assign(32, 0xff);
  EXPECT_EQ(Crc32c(bytes.data(), 32), 0x62a8ab43u);
  std::iota(bytes.begin(), bytes.end(), uint8_t{0});
  EXPECT_EQ(Crc32c(bytes.data(), 32), 0x46dd794eu);
  std::iota(bytes.rbegin(), bytes.rend(), uint8_t{0});
  EXPECT_EQ(Crc32c(bytes.data(), 32), 0x113fdb5cu);
}

TEST(Crc32cTest, CheckValueAndNothing) {
  constexpr std::string_view kDigits = "123456789";
  EXPECT_EQ(Crc32c(kDigits.data(), kDigits.size()), 0xe3069283u);
  EXPECT_EQ(Crc32c(nullptr, 0), 0u);
}

// A bit at a time, straight from the definition.
uint32_t Slow(const uint8_t* data, size_t size) {
  uint32_t crc = ~0u;
  for (size_t i = 0; i < size; ++i) {
    crc ^= data[i];
    for (int bit = 0; bit < 8; ++bit) {
      crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82f63b78u : 0);
    }
  }
  return ~crc;
}

TEST(Crc32cTest, AgreesWithTheDefinitionAtEveryLengthAndAlignment) {
  std::vector<uint8_t> bytes(100);
  uint32_t state = 1;
  for (uint8_t& byte : bytes) {
    state = state * 1664525 + 1013904223;
    byte = static_cast<uint8_t>(state >> 24);
  }
  for (size_t start = 0; start < 9; ++start) {
    for (size_t size = 0; size <= 40; ++size) {
      EXPECT_EQ(Crc32c(&bytes[start], size), Slow(&bytes[start], size))
          << start << " + " << size;
      EXPECT_EQ(Crc32cPortable(&bytes[start], size), Slow(&bytes[start], size))
          << start << " + " << size;
    }
  }
}

}  // namespace
}  // namespace longhaul
