#include "path/range_set.h"

#include <random>

#include "support/pch.h"

namespace longhaul {
namespace {

TEST(RangeSet, StartsEmpty) {
  const RangeSet set;
  EXPECT_EQ(set.covered(), 0u);
  EXPECT_EQ(set.range_count(), 0u);
  EXPECT_FALSE(set.Overlaps(0, 100));
  EXPECT_TRUE(set.Contains(5, 5));
  EXPECT_FALSE(set.Contains(5, 6));
}

TEST(RangeSet, MergesNeighboursOnBothSides) {
  RangeSet set;
  set.Add(0, 10);
  set.Add(20, 30);
  EXPECT_EQ(set.range_count(), 2u);
  EXPECT_FALSE(set.Contains(0, 30));
  set.Add(10, 20);
  EXPECT_EQ(set.range_count(), 1u);
  EXPECT_TRUE(set.Contains(0, 30));
  EXPECT_EQ(set.covered(), 30u);
}

TEST(RangeSet, TouchingIsNotOverlapping) {
  RangeSet set;
  set.Add(10, 20);
  EXPECT_FALSE(set.Overlaps(0, 10));
  EXPECT_FALSE(set.Overlaps(20, 30));
  EXPECT_TRUE(set.Overlaps(19, 20));
  EXPECT_TRUE(set.Overlaps(0, 11));
}

TEST(RangeSet, ClearForgets) {
  RangeSet set;
  set.Add(1, 5);
  set.Clear();
  EXPECT_EQ(set.covered(), 0u);
  EXPECT_FALSE(set.Overlaps(0, 10));
  set.Add(1, 5);
  EXPECT_EQ(set.covered(), 4u);
}

TEST(RangeSet, HoldsTheLargestOffsets) {
  RangeSet set;
  const uint64_t end = ~uint64_t{0};
  set.Add(end - 10, end);
  EXPECT_TRUE(set.Contains(end - 10, end));
  EXPECT_FALSE(set.Overlaps(0, end - 10));
}

// Random additions of what is not there yet, against a bitmap.
TEST(RangeSet, AgreesWithABitmap) {
  constexpr size_t kSize = 200;
  for (unsigned seed = 0; seed < 200; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    RangeSet set;
    std::vector<bool> bits(kSize);
    const auto any = [&](size_t begin, size_t end) {
      return std::find(bits.begin() + static_cast<long>(begin),
                       bits.begin() + static_cast<long>(end),
                       true) != bits.begin() + static_cast<long>(end);
    };
    const auto all = [&](size_t begin, size_t end) {
      return std::find(bits.begin() + static_cast<long>(begin),
                       bits.begin() + static_cast<long>(end),
                       false) == bits.begin() + static_cast<long>(end);
    };
    for (int step = 0; step < 100; ++step) {
      const size_t begin = random() % kSize;
      const size_t end =
          std::min<size_t>(kSize, begin + random() % (1 + seed % 30));
      if (begin < end) {
        ASSERT_EQ(set.Overlaps(begin, end), any(begin, end));
      }
      ASSERT_EQ(set.Contains(begin, end), all(begin, end));
      if (!any(begin, end)) {
        set.Add(begin, end);
        std::fill(bits.begin() + static_cast<long>(begin),
                  bits.begin() + static_cast<long>(end), true);
      }
      size_t covered = 0;
      size_t ranges = 0;
      for (size_t i = 0; i < kSize; ++i) {
        covered += bits[i];
        if (bits[i] && (i == 0 || !bits[i - 1])) ++ranges;
      }
      ASSERT_EQ(set.covered(), covered);
      ASSERT_EQ(set.range_count(), ranges);
    }
  }
}

}  // namespace
}  // namespace longhaul
