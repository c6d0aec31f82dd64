#include "collective/operation_plan.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <vector>

#include "collective/reduce_scatter.h"
#include "collective/schedule_cases.h"

namespace longhaul {
namespace {

using testing::MakeSites;

constexpr uint64_t kMi = uint64_t{1} << 20;

OperationPlan Blocks(Collective collective, uint64_t block, Interval window,
                     const Topology& topology, const SegmentOptions& options) {
  return OperationPlan::ForBlocks(collective, block, window, 4, topology,
                                  options)
      .value();
}

TEST(OperationPlanTest, AVectorIsItsSegmentsInTurn) {
  const OperationPlan plan =
      OperationPlan::ForVector(Algorithm::kRing, {}, 250, 4, MakeSites({2, 2}),
                               {.segment_size = 400})
          .value();
  ASSERT_EQ(plan.segments(), 3U);
  EXPECT_EQ(plan.segment_elements(), 100U);
  for (uint64_t i = 0; i < 3; ++i) {
    const PlannedSegment segment = plan.At(i);
    EXPECT_EQ(segment.shape, (Shape{Collective::kAllReduce, Algorithm::kRing, 0,
                                    i == 2 ? 50U : 100U}));
    EXPECT_EQ(segment.input, 100 * i);
    EXPECT_EQ(segment.output, 100 * i);
  }
}

TEST(OperationPlanTest, ABarrierIsOneSegment) {
  const OperationPlan plan =
      OperationPlan::ForVector(Algorithm::kHierarchical, {}, 0, 1,
                               MakeSites({2, 2}))
          .value();
  EXPECT_EQ(plan.segments(), 1U);
  EXPECT_EQ(plan.At(0).shape, Shape());
}

// Every element of every window is moved once, by its owner's schedule, and
// stands in each caller's buffers where it should.
TEST(OperationPlanTest, StretchesCoverEveryWindowOnce) {
  const Topology topology = MakeSites({3, 2});
  for (const Collective collective :
       {Collective::kAllGather, Collective::kReduceScatter}) {
    for (const uint64_t block : {1U, 2U, 7U}) {
      const uint64_t all = 5 * block;
      for (uint64_t begin = 0; begin <= all; ++begin) {
        for (uint64_t end = begin; end <= all; ++end) {
          const Interval window = {begin, end};
          const OperationPlan plan =
              Blocks(collective, block, window, topology,
                     {.segment_size = 12});  // three elements
          std::vector<int> moved(window.count(), 0);
          for (uint64_t i = 1; i < plan.segments(); ++i) {
            const PlannedSegment s = plan.At(i);
            EXPECT_EQ(s.shape.collective, collective);
            EXPECT_LE(s.shape.count, plan.segment_elements());
            const bool gather = collective == Collective::kAllGather;
            const uint64_t whole = gather ? s.output : s.input;
            const uint64_t part = gather ? s.input : s.output;
            const auto root = static_cast<uint64_t>(s.shape.root);
            const Interval own = BlockInWindow(block, root, window);
            EXPECT_EQ(whole, own.begin + part);
            ASSERT_LE(part + s.shape.count, own.count());
            for (uint64_t e = 0; e < s.shape.count; ++e) {
              EXPECT_EQ((begin + whole + e) / block, root);
              ++moved[whole + e];
            }
          }
          EXPECT_TRUE(std::all_of(moved.begin(), moved.end(),
                                  [](int times) { return times == 1; }))
              << block << ": " << begin << " to " << end;
        }
      }
    }
  }
}

TEST(OperationPlanTest, TheFirstSegmentIsABarrierWhateverTheWindow) {
  const Topology topology = MakeSites({2, 2});
  for (const Interval window : {Interval{0, 0}, Interval{3, 5}}) {
    const OperationPlan plan =
        Blocks(Collective::kAllGather, 10, window, topology, {});
    EXPECT_EQ(plan.At(0).shape, Shape());
    EXPECT_EQ(plan.segments(), window.count() == 0 ? 1U : 2U);
  }
}

TEST(OperationPlanTest, RootsTakeTurns) {
  const Topology topology = MakeSites({2, 2});
  const OperationPlan plan =
      Blocks(Collective::kReduceScatter, 4 * kMi, {0, 16 * kMi}, topology, {});
  ASSERT_GT(plan.segments(), 8U);
  for (uint64_t i = 1; i < plan.segments(); ++i) {
    EXPECT_EQ(plan.At(i).shape.root, static_cast<Rank>((i - 1) % 4));
  }
}

// As NCCL calls: windows of one size, one after the other. What is not cut by
// the end of a block has a handful of shapes.
TEST(OperationPlanTest, WindowsOfOneSizeShareShapes) {
  const Topology topology = MakeSites({2, 2});
  const uint64_t block = 16 * kMi;
  std::vector<Shape> shapes;
  for (uint64_t at = 0; at < 4 * block; at += kMi) {
    const OperationPlan plan =
        Blocks(Collective::kAllGather, block, {at, at + kMi}, topology, {});
    EXPECT_GT(plan.segments(), 2U);
    for (uint64_t i = 0; i < plan.segments(); ++i) {
      const Shape shape = plan.At(i).shape;
      if (std::find(shapes.begin(), shapes.end(), shape) == shapes.end()) {
        shapes.push_back(shape);
      }
    }
  }
  EXPECT_LE(shapes.size(), 1U + 4U * 2U);
}

TEST(OperationPlanTest, LongBlocksArePipelinedWithinTheScratch) {
  const Topology topology = MakeSites({4, 4});
  const uint64_t block = 2 * kMi;  // 64 MiB in all
  for (const uint64_t scratch : {kMi, 32 * kMi}) {
    const OperationPlan plan = Blocks(Collective::kReduceScatter, block,
                                      {0, 8 * block}, topology, {{}, scratch});
    EXPECT_GE(plan.segments(), 16U);
    EXPECT_GE(plan.in_flight(), 3U);
    EXPECT_LE((plan.in_flight() - 1) * 4 *
                  ReduceScatterScratch(plan.segment_elements(), topology),
              scratch);
  }
  const OperationPlan gather =
      Blocks(Collective::kAllGather, block, {0, 8 * block}, topology, {{}, 0});
  EXPECT_EQ(gather.in_flight(),
            std::min(gather.segments(), kMaxSegmentsInFlight));
}

TEST(OperationPlanTest, WindowsLieInTheirVector) {
  const Topology topology = MakeSites({2, 2});
  const auto plan = [&](uint64_t block, Interval window) {
    return OperationPlan::ForBlocks(Collective::kAllGather, block, window, 4,
                                    topology)
        .status()
        .code();
  };
  EXPECT_EQ(plan(10, {0, 40}), StatusCode::kOk);
  EXPECT_EQ(plan(10, {40, 40}), StatusCode::kOk);
  EXPECT_EQ(plan(10, {0, 41}), StatusCode::kInvalidArgument);
  EXPECT_EQ(plan(10, {5, 4}), StatusCode::kInvalidArgument);
  EXPECT_EQ(plan(0, {0, 0}), StatusCode::kOk);
  EXPECT_EQ(plan(0, {0, 1}), StatusCode::kInvalidArgument);
  EXPECT_EQ(plan(kMaxCount, {0, 1}), StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace longhaul
