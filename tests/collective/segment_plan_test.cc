#include "collective/segment_plan.h"

#include <gtest/gtest.h>

#include "collective/schedule_cases.h"

namespace longhaul {
namespace {

using testing::MakeSites;

constexpr uint64_t kKi = 1024;
constexpr uint64_t kMi = kKi * kKi;

SegmentPlan Plan(uint64_t count, const Topology& topology,
                 const SegmentOptions& options = {},
                 Algorithm algorithm = Algorithm::kHierarchical) {
  return PlanSegments(count, 4, topology, algorithm, SharesOf(topology),
                      options)
      .value();
}

TEST(SegmentPlanTest, ShortVectorIsOneSegment) {
  const Topology topology = MakeSites({8, 8});
  for (const uint64_t count : {uint64_t{0}, uint64_t{1}, 64 * kKi}) {
    const SegmentPlan plan = Plan(count, topology);
    EXPECT_EQ(plan.segments, 1U) << count;
    EXPECT_EQ(plan.in_flight, 1U);
    EXPECT_EQ(plan.CountOf(0), count);
  }
}

TEST(SegmentPlanTest, SegmentsCoverTheVector) {
  const Topology topology = MakeSites({3, 2});
  for (const uint64_t count : {5 * kMi + 1, 7 * kMi, uint64_t{12'345'678}}) {
    for (const Algorithm algorithm :
         {Algorithm::kRing, Algorithm::kHierarchical}) {
      const SegmentPlan plan = Plan(count, topology, {}, algorithm);
      uint64_t sum = 0;
      for (uint64_t s = 0; s < plan.segments; ++s) {
        EXPECT_EQ(plan.Offset(s), sum);
        EXPECT_GT(plan.CountOf(s), 0U);
        EXPECT_LE(plan.CountOf(s), plan.segment_elements);
        sum += plan.CountOf(s);
      }
      EXPECT_EQ(sum, count);
    }
  }
}

TEST(SegmentPlanTest, LongVectorHasManySegmentsWithPartsThatFitTheCache) {
  for (const int m : {1, 2, 8}) {
    const Topology topology = MakeSites({m, m});
    const SegmentPlan plan = Plan(64 * kMi, topology, {{}, 1024 * kMi});
    const uint64_t part = plan.segment_elements * 4 / static_cast<uint64_t>(m);
    EXPECT_GE(plan.segments, 16U);
    EXPECT_LE(part, 512 * kKi);
    EXPECT_GE(part, 256 * kKi);
    EXPECT_GE(plan.in_flight, 4U);
  }
}

TEST(SegmentPlanTest, MessagesStayWorthSending) {
  // 64 KiB, less what goes to a last segment that is as long as the others.
  const Topology topology = MakeSites({4, 4});
  for (uint64_t count = 128 * kKi; count < 4 * kMi; count += 77'777) {
    const SegmentPlan plan = Plan(count, topology);
    if (plan.segments > 1) {
      EXPECT_GE(plan.segment_elements * 4 / 4, 32 * kKi) << count;
    }
  }
}

TEST(SegmentPlanTest, PartsOfLongVectorsBeginAtWholeCacheLines) {
  const Topology topology = MakeSites({3, 3});
  for (uint64_t count = kMi; count < 40 * kMi; count += 1'234'567) {
    const SegmentPlan plan = Plan(count, topology);
    EXPECT_EQ(plan.segment_elements % (uint64_t{3} * 64), 0U) << count;
  }
}

TEST(SegmentPlanTest, StatedSizeIsTaken) {
  const Topology topology = MakeSites({2, 2});
  const SegmentPlan plan = Plan(1000, topology, {400, kMi});
  EXPECT_EQ(plan.segment_elements, 100U);
  EXPECT_EQ(plan.segments, 10U);
  EXPECT_EQ(Plan(3, topology, {1, kMi}).segment_elements, 1U);
}

TEST(SegmentPlanTest, ScratchBoundsWhatIsInFlight) {
  const Topology topology = MakeSites({8, 8});
  for (const uint64_t scratch : {kMi / 4, kMi, 32 * kMi}) {
    const SegmentPlan plan = Plan(64 * kMi, topology, {{}, scratch});
    EXPECT_GE(plan.in_flight, 2U);
    EXPECT_LE(plan.in_flight * 4 *
                  HierarchicalScratch(plan.segment_elements, topology),
              scratch);
  }
}

TEST(SegmentPlanTest, ScratchWinsOverTheStatedSize) {
  const Topology topology = MakeSites({2, 2});
  const SegmentPlan plan = Plan(4 * kMi, topology, {8 * kMi, kMi});
  EXPECT_LT(plan.segment_elements * 4, 8 * kMi);
  EXPECT_GE(plan.in_flight, 2U);
}

TEST(SegmentPlanTest, NeverMoreSegmentsThanTheirNumberCanCount) {
  const Topology topology = MakeSites({2, 2});
  const SegmentPlan plan = Plan(100 * kMi, topology, {4, kMi});
  EXPECT_LE(plan.segments, kMaxSegments);
}

TEST(SegmentPlanTest, TooLittleScratchIsAFault) {
  const Topology topology = MakeSites({2, 2});
  const auto plan = PlanSegments(100 * kMi, 4, topology,
                                 Algorithm::kHierarchical, {}, {{}, 100});
  EXPECT_EQ(plan.status().code(), StatusCode::kExhausted);
  const auto endless = PlanSegments(uint64_t{1} << 60, 4, topology,
                                    Algorithm::kHierarchical, {}, {});
  EXPECT_EQ(endless.status().code(), StatusCode::kInvalidArgument);
}

TEST(SegmentPlanTest, UnlimitedScratchStillBoundsWhatRuns) {
  const SegmentPlan plan =
      Plan(100 * kMi, MakeSites({1, 1}), {4096, UINT64_MAX});
  EXPECT_EQ(plan.in_flight, kMaxSegmentsInFlight);
}

}  // namespace
}  // namespace longhaul
