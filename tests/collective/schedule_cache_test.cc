#include "collective/schedule_cache.h"

#include <gtest/gtest.h>

#include <optional>

#include "collective/schedule_cases.h"

namespace longhaul {
namespace {

using testing::MakeSites;

constexpr Algorithm kAlgorithm = Algorithm::kHierarchical;

class ScheduleCacheTest : public ::testing::Test {
 protected:
  static Shape Of(uint64_t count) { return {count, 4, kAlgorithm}; }

  Topology topology_ = MakeSites({2, 2});
  ScheduleCache cache_{topology_, 0, {.segment_size = 400}, 3};
};

TEST_F(ScheduleCacheTest, PlansSegmentsAndAShorterTail) {
  const auto hold = cache_.Get(Of(250));
  ASSERT_TRUE(hold.ok());
  const PlannedAllReduce& planned = **hold;
  EXPECT_EQ(planned.plan.segments, 3U);
  EXPECT_EQ(planned.Of(0).schedule.count, 100U);
  EXPECT_EQ(planned.Of(1).schedule.count, 100U);
  EXPECT_EQ(planned.Of(2).schedule.count, 50U);
}

TEST_F(ScheduleCacheTest, WholeLastSegmentNeedsNoTail) {
  const auto hold = cache_.Get(Of(200));
  EXPECT_EQ((*hold)->Of(1).schedule.count, 100U);
  EXPECT_TRUE((*hold)->tail.schedule.steps.empty());
}

TEST_F(ScheduleCacheTest, EmptyVectorHasASchedule) {
  const auto hold = cache_.Get(Of(0));
  EXPECT_EQ((*hold)->plan.segments, 1U);
  EXPECT_FALSE((*hold)->Of(0).schedule.steps.empty());
}

TEST_F(ScheduleCacheTest, SuccessorsInvertDependencies) {
  const auto hold = cache_.Get(Of(100));
  const ReadySchedule& ready = (*hold)->full;
  std::vector<uint32_t> missing;
  for (const Step& step : ready.schedule.steps) {
    missing.push_back(step.dependency_count);
  }
  // Completing everything in any allowed order starts every step once.
  std::vector<uint32_t> started = ready.successors.roots;
  for (size_t i = 0; i < started.size(); ++i) {
    for (const uint32_t next : ready.successors.Of(started[i])) {
      if (--missing[next] == 0) started.push_back(next);
    }
  }
  EXPECT_EQ(started.size(), ready.schedule.steps.size());
}

TEST_F(ScheduleCacheTest, SameShapeIsTheSamePlan) {
  const PlannedAllReduce* first = &**cache_.Get(Of(100));
  EXPECT_EQ(&**cache_.Get(Of(100)), first);
  EXPECT_NE(&**cache_.Get({100, 2, kAlgorithm}), first);
  EXPECT_NE(&**cache_.Get({100, 4, Algorithm::kRing}), first);
  EXPECT_EQ(cache_.size(), 3U);
}

TEST_F(ScheduleCacheTest, DropsWhatWasUsedLongestAgo) {
  const PlannedAllReduce* kept = &**cache_.Get(Of(1));
  ASSERT_TRUE(cache_.Get(Of(2)).ok());
  ASSERT_TRUE(cache_.Get(Of(3)).ok());
  ASSERT_TRUE(cache_.Get(Of(1)).ok());  // so 2 is the oldest
  ASSERT_TRUE(cache_.Get(Of(4)).ok());
  EXPECT_EQ(cache_.size(), 3U);
  EXPECT_EQ(&**cache_.Get(Of(1)), kept);
}

TEST_F(ScheduleCacheTest, WhatIsHeldStays) {
  std::optional<ScheduleCache::Hold> held = cache_.Get(Of(150)).value();
  for (uint64_t count = 1; count < 10; ++count) {
    ASSERT_TRUE(cache_.Get(Of(count)).ok());
  }
  EXPECT_EQ(cache_.size(), 3U);
  EXPECT_EQ((*held)->plan.count, 150U);
  EXPECT_EQ(&**cache_.Get(Of(150)), &**held);
}

TEST_F(ScheduleCacheTest, GrowsWhileAllAreHeldAndShrinksAfter) {
  {
    std::vector<ScheduleCache::Hold> held;
    for (uint64_t count = 1; count <= 5; ++count) {
      held.push_back(cache_.Get(Of(count)).value());
    }
    EXPECT_EQ(cache_.size(), 5U);
    for (uint64_t i = 0; i < 5; ++i) EXPECT_EQ(held[i]->plan.count, i + 1);
  }
  ASSERT_TRUE(cache_.Get(Of(6)).ok());
  EXPECT_EQ(cache_.size(), 3U);
}

TEST_F(ScheduleCacheTest, WhatCannotBeBuiltIsAFaultAndNotKept) {
  EXPECT_FALSE(cache_.Get({100, 4, Algorithm::kAuto}).ok());
  EXPECT_FALSE(cache_.Get(Of(uint64_t{1} << 60)).ok());
  EXPECT_EQ(cache_.size(), 0U);
}

}  // namespace
}  // namespace longhaul
