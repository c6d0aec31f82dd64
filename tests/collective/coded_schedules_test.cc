// That schedules with codes between sites make all-reduces, with the same bits
// on every rank, and encode no more than they should.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <random>
#include <string>

#include "collective/schedule_builder.h"
#include "collective/schedule_cases.h"
#include "collective/selector.h"
#include "collective/symbolic.h"

namespace longhaul {
namespace {

using testing::BuildAllCoded;
using testing::Case;
using testing::Cases;
using testing::MakeSites;
using testing::RandomShares;

class CodedSchedulesTest : public ::testing::TestWithParam<Algorithm> {
 protected:
  static uint64_t Most(uint64_t count, const Topology& topology,
                       const SiteShares& shares) {
    return GetParam() == Algorithm::kSharded
               ? CodedShardedScratch(count, topology, shares)
               : CodedHierarchicalScratch(count, topology);
  }
};

TEST_P(CodedSchedulesTest, AreProvenForEveryShape) {
  std::mt19937 random(11);
  int proven = 0;
  for (int sites = 2; sites <= 5; ++sites) {
    for (int size = sites; size <= 13; ++size) {
      for (const Case& c : Cases(size, sites)) {
        if (!CheckBuildable(c.topology, GetParam()).ok()) continue;
        const SiteShares shares = RandomShares(sites, random);
        for (const int count : {0, 1, size, 4 * size + 3}) {
          const auto n = static_cast<uint64_t>(count);
          const std::vector<Schedule> all =
              BuildAllCoded(GetParam(), n, c.topology, shares);
          const Status s = CheckAllReduce(all, c.topology);
          ASSERT_TRUE(s.ok())
              << c.name << ", count " << count << ": " << s.ToString();
          for (const Schedule& schedule : all) {
            EXPECT_LE(schedule.scratch_count + schedule.code_count,
                      Most(n, c.topology, shares))
                << c.name << ", count " << count;
          }
          ++proven;
        }
      }
    }
  }
  EXPECT_GT(proven, 400);
}

TEST_P(CodedSchedulesTest, OnlyCodesCrossBetweenSites) {
  const Topology topology = MakeSites({2, 3, 1});
  const SiteShares shares =
      SiteShares::OfWeights(std::array<uint64_t, 3>{1, 2, 1});
  const std::vector<Schedule> all =
      BuildAllCoded(GetParam(), 3000, topology, shares);
  for (size_t r = 0; r < all.size(); ++r) {
    for (const Step& step : all[r].steps) {
      if (step.kind != StepKind::kSend) continue;
      const bool code = all[r].SourcesOf(step)[0].space == Space::kCodes;
      EXPECT_EQ(code, !topology.SameSite(static_cast<Rank>(r), step.peer));
    }
  }
}

TEST_P(CodedSchedulesTest, AnElementIsEncodedOncePerExchange) {
  const Topology topology = MakeSites({1, 1, 1});
  const SiteShares shares =
      SiteShares::OfWeights(std::array<uint64_t, 3>{1, 1, 1});
  uint64_t encoded = 0;
  for (const Schedule& schedule :
       BuildAllCoded(GetParam(), 3000, topology, shares)) {
    for (const Step& step : schedule.steps) {
      if (step.kind == StepKind::kEncode) encoded += step.target.count;
    }
  }
  // Each site's sum; sharded, also the totals, each in one site.
  EXPECT_EQ(encoded, GetParam() == Algorithm::kSharded ? 12'000U : 9'000U);
}

// The proof must see what would make ranks differ.
TEST(CodedProofTest, OwnSumThatIsNotEncodedIsFound) {
  const Topology topology = MakeSites({1, 1});
  std::vector<Schedule> all;
  for (Rank self = 0; self < 2; ++self) {
    ScheduleBuilder builder(4, 4, 2 * kCodeGrain);
    const Extent own = {Space::kCodes, 0, 4};
    const Extent other = {Space::kCodes, kCodeGrain, 4};
    const Extent input = {Space::kInput, 0, 4};
    const Extent image = {Space::kScratch, 0, 4};
    const uint32_t received = builder.Recv(1 - self, 0, other, {});
    const uint32_t encoded = builder.Encode(own, input, 0, false, {});
    builder.Send(1 - self, 0, own, std::array{encoded});
    const uint32_t decoded =
        builder.Decode(image, std::array{other}, false, std::array{received});
    std::array sum = {input, image};
    if (self == 1) std::swap(sum[0], sum[1]);
    builder.Reduce({Space::kOutput, 0, 4}, sum, true,
                   std::array{decoded, encoded});
    all.push_back(builder.Take());
  }
  const Status s = CheckAllReduce(all, topology);
  EXPECT_EQ(s.code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(s.text(), ::testing::HasSubstr("another order than on rank 0"));
}

INSTANTIATE_TEST_SUITE_P(Algorithms, CodedSchedulesTest,
                         ::testing::Values(Algorithm::kHierarchical,
                                           Algorithm::kSharded),
                         [](const auto& test) {
                           return std::string(NameOf(test.param));
                         });

}  // namespace
}  // namespace longhaul
