#include "memory/block_pool.h"

#include <algorithm>
#include <cstring>
#include <random>

namespace longhaul {
namespace {

TEST(BlockPoolTest, BlocksAreOfPowersOfTwo) {
  EXPECT_EQ(BlockPool::BlockSize(0), 256u);
  EXPECT_EQ(BlockPool::BlockSize(256), 256u);
  EXPECT_EQ(BlockPool::BlockSize(257), 512u);
  EXPECT_EQ(BlockPool::BlockSize(BlockPool::kMaxBlock), BlockPool::kMaxBlock);
}

TEST(BlockPoolTest, EverySizeIsWritableAndAligned) {
  BlockPool pool(size_t{64} << 20);
  for (size_t size = 1; size <= BlockPool::kMaxBlock; size *= 2) {
    for (const size_t exact : {size, size + size / 2}) {
      if (exact > BlockPool::kMaxBlock) continue;
      uint8_t* block = pool.Take(exact);
      ASSERT_NE(block, nullptr) << exact;
      const size_t alignment =
          std::min<size_t>(BlockPool::BlockSize(exact), 4096);
      EXPECT_EQ(reinterpret_cast<uintptr_t>(block) % alignment, 0u) << exact;
      std::memset(block, 0x5a, exact);
      EXPECT_EQ(pool.bytes_in_use(), BlockPool::BlockSize(exact));
      pool.Give(block, exact);
    }
  }
  EXPECT_EQ(pool.bytes_in_use(), 0u);
}

TEST(BlockPoolTest, LimitIsKeptAndGivingBackMakesRoom) {
  BlockPool pool(size_t{1} << 20);
  uint8_t* half = pool.Take(size_t{512} << 10);
  uint8_t* other = pool.Take(size_t{512} << 10);
  ASSERT_NE(half, nullptr);
  ASSERT_NE(other, nullptr);
  EXPECT_EQ(pool.Take(1), nullptr);
  pool.Give(half, size_t{512} << 10);
  uint8_t* small = pool.Take(1);
  EXPECT_NE(small, nullptr);
  EXPECT_EQ(pool.Take(size_t{512} << 10), nullptr);
  pool.Give(small, 1);
  pool.Give(other, size_t{512} << 10);
}

TEST(BlockPoolTest, LongerThanTheLongestBlockIsRefused) {
  BlockPool pool(size_t{64} << 20);
  EXPECT_EQ(pool.Take(BlockPool::kMaxBlock + 1), nullptr);
  EXPECT_EQ(pool.Take(SIZE_MAX), nullptr);
}

TEST(BlockPoolTest, KeepsMemoryUntilTrimmed) {
  BlockPool pool(size_t{8} << 20);
  uint8_t* large = pool.Take(size_t{2} << 20);
  uint8_t* small = pool.Take(1000);
  pool.Give(large, size_t{2} << 20);
  EXPECT_EQ(pool.bytes_reserved(), size_t{3} << 20);
  EXPECT_EQ(pool.Take(size_t{2} << 20), large);
  pool.Give(large, size_t{2} << 20);
  pool.Trim();
  EXPECT_EQ(pool.bytes_reserved(), size_t{1} << 20) << "small is in use";
  pool.Give(small, 1000);
  pool.Trim();
  EXPECT_EQ(pool.bytes_reserved(), 0u);
}

TEST(BlockPoolTest, ReturnsWhatIsKeptRatherThanHoldMoreThanTheLimit) {
  const size_t mib = size_t{1} << 20;
  BlockPool pool(8 * mib);
  uint8_t* large = pool.Take(8 * mib);
  ASSERT_NE(large, nullptr);
  pool.Give(large, 8 * mib);
  uint8_t* other = pool.Take(4 * mib);
  EXPECT_EQ(pool.bytes_reserved(), 4 * mib);
  pool.Give(other, 4 * mib);
}

// Blocks never overlap: each keeps the pattern written when it was taken.
TEST(BlockPoolTest, RandomTakesAndGivesNeverOverlap) {
  struct Held {
    uint8_t* data;
    size_t size;
    uint8_t mark;
  };
  const size_t limit = size_t{8} << 20;
  BlockPool pool(limit);
  std::mt19937 random(17);
  std::vector<Held> held;
  for (int i = 0; i < 20000; ++i) {
    const auto mark = static_cast<uint8_t>(random());
    if (random() % 2 == 0) {
      const size_t size = 1 + random() % (size_t{1} << (random() % 19));
      uint8_t* data = pool.Take(size);
      if (data == nullptr) {
        EXPECT_GT(pool.bytes_in_use() + BlockPool::BlockSize(size), limit);
        continue;
      }
      data[0] = data[size - 1] = data[size / 2] = mark;
      held.push_back({data, size, mark});
    } else if (!held.empty()) {
      std::swap(held[random() % held.size()], held.back());
      const Held last = held.back();
      held.pop_back();
      ASSERT_EQ(last.data[0], last.mark);
      ASSERT_EQ(last.data[last.size / 2], last.mark);
      ASSERT_EQ(last.data[last.size - 1], last.mark);
      pool.Give(last.data, last.size);
    }
    if (random() % 1000 == 0) pool.Trim();
    size_t sum = 0;
    if (i % 500 == 0) {
      for (const Held& block : held) sum += BlockPool::BlockSize(block.size);
      ASSERT_EQ(pool.bytes_in_use(), sum);
    }
  }
  for (const Held& block : held) pool.Give(block.data, block.size);
  pool.Trim();
  EXPECT_EQ(pool.bytes_reserved(), 0u);
}

}  // namespace
}  // namespace longhaul
