#include "collective/schedule_cache.h"

#include <gtest/gtest.h>

#include <array>
#include <vector>

#include "collective/schedule_cases.h"

namespace longhaul {
namespace {

using testing::MakeSites;

class ScheduleCacheTest : public ::testing::Test {
 protected:
  static Shape Of(uint64_t count) {
    return {Collective::kAllReduce, Algorithm::kHierarchical, 0, count};
  }

  Topology topology_ = MakeSites({2, 2});
  ScheduleCache cache_{topology_, 0, 3};
};

TEST_F(ScheduleCacheTest, BuildsWhatTheShapeAsksFor) {
  EXPECT_EQ(cache_.Get(Of(100))->schedule.count, 100U);
  EXPECT_FALSE(cache_.Get(Of(0))->schedule.steps.empty());
  // Rank 0 of two sites of two hands on a block of a mate, to its partner; and
  // receives one of another site, to hand it on to its mate.
  const Shape mate = {Collective::kAllGather, Algorithm::kHierarchical, 1,
                      1 << 20};
  EXPECT_EQ(cache_.Get(mate)->schedule.steps.size(), 2U);
  Shape block = mate;
  block.root = 3;
  EXPECT_EQ(cache_.Get(block)->schedule.steps.size(), 3U);
  block.collective = Collective::kReduceScatter;
  EXPECT_GT(cache_.Get(block)->schedule.scratch_count, 0U);
}

TEST_F(ScheduleCacheTest, SuccessorsInvertDependencies) {
  const auto hold = cache_.Get(Of(100));
  std::vector<uint32_t> missing;
  for (const Step& step : hold->schedule.steps) {
    missing.push_back(step.dependency_count);
  }
  // Completing everything in any allowed order starts every step once.
  std::vector<uint32_t> started = hold->successors.roots;
  for (size_t i = 0; i < started.size(); ++i) {
    for (const uint32_t next : hold->successors.Of(started[i])) {
      if (--missing[next] == 0) started.push_back(next);
    }
  }
  EXPECT_EQ(started.size(), hold->schedule.steps.size());
}

TEST_F(ScheduleCacheTest, SameShapeIsTheSameSchedule) {
  const ReadySchedule* first = &*cache_.Get(Of(100));
  EXPECT_EQ(&*cache_.Get(Of(100)), first);
  Shape other = Of(100);
  other.algorithm = Algorithm::kRing;
  EXPECT_NE(&*cache_.Get(other), first);
  other = Of(100);
  other.root = 1;
  EXPECT_NE(&*cache_.Get(other), first);
  EXPECT_EQ(cache_.size(), 3U);
}

TEST_F(ScheduleCacheTest, OtherSharesAreAnotherSchedule) {
  const auto with = [](uint64_t first, uint64_t second) {
    const std::array<uint64_t, 2> weights = {first, second};
    return Shape{Collective::kAllReduce, Algorithm::kSharded, 0, 100,
                 SiteShares::OfWeights(weights)};
  };
  const ScheduleCache::Hold more = cache_.Get(with(3, 1));
  const ScheduleCache::Hold less = cache_.Get(with(1, 3));
  EXPECT_GT(more->schedule.scratch_count, less->schedule.scratch_count);
  EXPECT_EQ(&*cache_.Get(with(3, 1)), &*more);
}

TEST_F(ScheduleCacheTest, DropsWhatWasUsedLongestAgo) {
  const ReadySchedule* kept = &*cache_.Get(Of(1));
  (void)cache_.Get(Of(2));
  (void)cache_.Get(Of(3));
  (void)cache_.Get(Of(1));  // so 2 is the oldest
  (void)cache_.Get(Of(4));
  EXPECT_EQ(cache_.size(), 3U);
  EXPECT_EQ(&*cache_.Get(Of(1)), kept);
  EXPECT_EQ(cache_.size(), 3U);
}

TEST_F(ScheduleCacheTest, WhatIsHeldStays) {
  const ScheduleCache::Hold held = cache_.Get(Of(150));
  for (uint64_t count = 1; count < 10; ++count) (void)cache_.Get(Of(count));
  EXPECT_EQ(cache_.size(), 3U);
  EXPECT_EQ(held->schedule.count, 150U);
  EXPECT_EQ(&*cache_.Get(Of(150)), &*held);
}

TEST_F(ScheduleCacheTest, GrowsWhileAllAreHeldAndShrinksAfter) {
  {
    std::vector<ScheduleCache::Hold> held;
    for (uint64_t count = 1; count <= 5; ++count) {
      held.push_back(cache_.Get(Of(count)));
    }
    EXPECT_EQ(cache_.size(), 5U);
    for (uint64_t i = 0; i < 5; ++i) {
      EXPECT_EQ(held[i]->schedule.count, i + 1);
    }
  }
  (void)cache_.Get(Of(6));
  EXPECT_EQ(cache_.size(), 3U);
}

}  // namespace
}  // namespace longhaul
