#include "base/bytes.h"

namespace longhaul {
namespace {

TEST(BytesTest, LeastSignificantByteComesFirst) {
  uint8_t bytes[9] = {};
  StoreLittle<uint32_t>(bytes + 1, 0x04030201u);  // unaligned
  EXPECT_EQ(bytes[0], 0);
  for (uint8_t i = 1; i <= 4; ++i) EXPECT_EQ(bytes[i], i);
  EXPECT_EQ(bytes[5], 0);
}

TEST(BytesTest, LoadsWhatWasStored) {
  uint8_t bytes[8];
  StoreLittle<uint16_t>(bytes, 0xfffeu);
  EXPECT_EQ(LoadLittle<uint16_t>(bytes), 0xfffeu);
  StoreLittle<uint64_t>(bytes, 0x8877665544332211u);
  EXPECT_EQ(LoadLittle<uint64_t>(bytes), 0x8877665544332211u);
  EXPECT_EQ(LoadLittle<uint8_t>(bytes + 7), 0x88u);
}

}  // namespace
}  // namespace longhaul
