#include "collective/pattern.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace longhaul {
namespace {

__extension__ using Wide = unsigned __int128;

TEST(PatternTest, BoundariesAreExactForCountsWhoseProductDoesNotFit) {
  constexpr uint64_t kCount = (uint64_t{1} << 53) - 1;
  constexpr uint64_t kParts = 100'003;
  for (uint64_t j = 0; j <= kParts; j += 9973) {
    const auto exact = static_cast<uint64_t>(Wide{kCount} * j / kParts);
    EXPECT_EQ(Boundary(kCount, j, kParts), exact);
  }
  EXPECT_EQ(Boundary(kCount, kParts, kParts), kCount);
}

TEST(PatternTest, PartsCoverTheVectorOnceAndDifferByAtMostOne) {
  for (uint64_t count = 0; count < 40; ++count) {
    for (uint64_t parts = 1; parts < 12; ++parts) {
      uint64_t at = 0;
      uint64_t longest = 0;
      for (uint64_t j = 0; j < parts; ++j) {
        const Interval part = PartOf(count, j, parts);
        EXPECT_EQ(part.begin, at);
        EXPECT_GE(part.count(), count / parts);
        longest = std::max(longest, part.count());
        at = part.end;
      }
      EXPECT_EQ(at, count);
      EXPECT_EQ(longest, LongestPart(count, parts));
    }
  }
}

TEST(PatternTest, PartsMeetExactlyWhereTheirFractionsOverlap) {
  for (uint64_t m = 1; m < 9; ++m) {
    for (uint64_t n = 1; n < 9; ++n) {
      for (uint64_t i = 0; i < m; ++i) {
        const Interval meeting = PartsMeeting(i, m, n);
        for (uint64_t j = 0; j < n; ++j) {
          const bool overlap = i * n < (j + 1) * m && j * m < (i + 1) * n;
          EXPECT_EQ(meeting.begin <= j && j < meeting.end, overlap)
              << i << "/" << m << " and " << j << "/" << n;
        }
      }
    }
  }
}

TEST(PatternTest, OverlapsOfMeetingPartsCoverEachPart) {
  for (const uint64_t count : {0U, 1U, 5U, 17U, 100U}) {
    const Interval part = PartOf(count, 2, 5);
    const Interval meeting = PartsMeeting(2, 5, 7);
    uint64_t at = part.begin;
    for (uint64_t j = meeting.begin; j < meeting.end; ++j) {
      const Interval shared = Overlap(part, PartOf(count, j, 7));
      EXPECT_EQ(shared.begin, at);
      at = shared.end;
    }
    EXPECT_EQ(at, part.end);
  }
}

TEST(PatternTest, FractionsCompareByValue) {
  EXPECT_TRUE((Fraction{2, 6} == Fraction{1, 3}));
  EXPECT_TRUE((Fraction{1, 3} < Fraction{3, 8}));
  EXPECT_FALSE((Fraction{3, 8} < Fraction{1, 3}));
}

}  // namespace
}  // namespace longhaul
