#include "collective/selector.h"

#include <gtest/gtest.h>

#include "collective/schedule_cases.h"

namespace longhaul {
namespace {

using testing::MakeSites;

bool OnlyFirst(int index, int /*size*/) { return index == 0; }

Result<Algorithm> Select(Algorithm wanted, uint64_t count,
                         const Topology& topology,
                         const SegmentOptions& options = {}) {
  return SelectAlgorithm(wanted, count, 4, topology, SharesOf(topology),
                         options);
}

TEST(SelectorTest, OneOrTwoSitesTakeHierarchicalWhateverTheSize) {
  for (const std::vector<int>& sizes :
       {std::vector<int>{1, 1}, {2}, {16}, {2, 2}, {8, 8}, {4, 1}}) {
    for (uint64_t count = 1; count < (uint64_t{1} << 30); count *= 8) {
      const auto chosen = Select(Algorithm::kAuto, count, MakeSites(sizes));
      EXPECT_EQ(*chosen, Algorithm::kHierarchical)
          << ::testing::PrintToString(sizes) << " " << count;
    }
  }
}

TEST(SelectorTest, ManySitesTakeHierarchicalUntilBytesOutweighDelays) {
  // Four sites: 3 S cross each border in an exchange, less than 2 S in a ring,
  // which has eight delays.
  const Topology topology = MakeSites({4, 4, 4, 4});
  EXPECT_EQ(*Select(Algorithm::kAuto, 1 << 16, topology),
            Algorithm::kHierarchical);
  EXPECT_EQ(
      *Select(Algorithm::kAuto, 1 << 28, topology, {{}, uint64_t{1} << 30}),
      Algorithm::kRing);
}

TEST(SelectorTest, WhatIsAskedForIsTaken) {
  const Topology topology = MakeSites({4, 4});
  EXPECT_EQ(*Select(Algorithm::kRing, 1000, topology), Algorithm::kRing);
}

TEST(SelectorTest, RingNeedsTwoDoorsToASiteOfSeveralRanks) {
  const Topology one_door = MakeSites({3, 3}, OnlyFirst);
  EXPECT_TRUE(CheckBuildable(one_door, Algorithm::kHierarchical).ok());
  const Status s = CheckBuildable(one_door, Algorithm::kRing);
  EXPECT_EQ(s.code(), StatusCode::kUnsupported);
  EXPECT_THAT(s.text(), ::testing::HasSubstr("site0"));
  EXPECT_FALSE(Select(Algorithm::kRing, 8, one_door).ok());
  EXPECT_EQ(*Select(Algorithm::kAuto, 8, one_door), Algorithm::kHierarchical);
  EXPECT_TRUE(CheckBuildable(MakeSites({1, 1}), Algorithm::kRing).ok());
  EXPECT_TRUE(CheckBuildable(MakeSites({3}, OnlyFirst), Algorithm::kRing).ok());
}

TEST(SelectorTest, AutoIsNothingToBuild) {
  EXPECT_EQ(CheckBuildable(MakeSites({2}), Algorithm::kAuto).code(),
            StatusCode::kInvalidArgument);
}

TEST(SelectorTest, WhatCannotBePlannedIsAFault) {
  EXPECT_FALSE(
      Select(Algorithm::kAuto, uint64_t{1} << 60, MakeSites({2, 2})).ok());
}

}  // namespace
}  // namespace longhaul
