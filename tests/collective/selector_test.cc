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

// k sites of two ranks, a rate and a delay for all.
Topology LikeSites(int k, double rate, Duration delay) {
  std::vector<SiteSpec> sites;
  std::vector<RankSpec> ranks;
  std::vector<PathSpec> paths;
  for (SiteIndex site = 0; site < k; ++site) {
    sites.push_back({"site" + std::to_string(site), rate, rate});
    for (int i = 0; i < 2; ++i) {
      ranks.push_back({site, static_cast<int32_t>(ranks.size()), true, "h"});
    }
    for (SiteIndex other = 0; other < site; ++other) {
      paths.push_back({other, site, {}, delay, {}});
    }
  }
  return Topology::Make(std::move(sites), std::move(ranks), std::move(paths))
      .value();
}

TEST(SelectorTest, ManySitesAreShardedOnceBytesOutweighADelay) {
  // Sums of (k - 1) / k S and two delays against (k - 1) S and one: above
  // o B k / (k - 1)^2.
  const auto expect = [](int k, double crossover) {
    const Topology topology = LikeSites(k, 1e9, 50 * kMillisecond);
    const auto chosen = [&](double bytes) {
      return *Select(Algorithm::kAuto, static_cast<uint64_t>(bytes / 4),
                     topology);
    };
    EXPECT_EQ(chosen(0.7 * crossover), Algorithm::kHierarchical) << k;
    EXPECT_EQ(chosen(1.5 * crossover), Algorithm::kSharded) << k;
    EXPECT_EQ(chosen(0), Algorithm::kHierarchical) << k;
    EXPECT_EQ(chosen(100 * crossover), Algorithm::kSharded) << k;
  };
  expect(3, 4.7e6);
  expect(4, 2.8e6);
  expect(8, 1.0e6);
}

TEST(SelectorTest, TooManySitesAreNotSharded) {
  const Topology topology = MakeSites(std::vector<int>(33, 1));
  EXPECT_EQ(CheckBuildable(topology, Algorithm::kSharded).code(),
            StatusCode::kUnsupported);
  EXPECT_NE(*Select(Algorithm::kAuto, 1 << 24, topology), Algorithm::kSharded);
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
