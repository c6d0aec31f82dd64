// Ranks agree on the rates of their lines: what they see in a running job
// changes plans, what they see at the start only where it is more than stated.
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "support/sim_job.h"

namespace longhaul {
namespace {

constexpr double kMbit = 1e6 / 8;  // bytes/s

class RateAgreementTest : public ::testing::Test {
 protected:
  // Three sites of one rank; every site's line as stated, and as it is seen.
  static SimJobConfig ConfigOf(std::vector<double> stated,
                               std::vector<double> seen) {
    SimJobConfig config;
    config.sites = {1, 1, 1};
    for (const double mbits : stated) config.site_rates.push_back(mbits * 1e6);
    config.algorithm = Algorithm::kSharded;
    config.lines = [seen = std::move(seen)](Rank rank) {
      const double rate = seen[static_cast<size_t>(rank)] * kMbit;
      return LineRates{rate, rate, true};
    };
    return config;
  }

  static void Agree(SimJob& job) {
    for (Rank r = 0; r < job.size(); ++r) job.runner(r).AgreeOnRates();
    ASSERT_TRUE(job.world().RunUntil(
        [&] {
          for (Rank r = 0; r < job.size(); ++r) {
            if (job.runner(r).agreeing()) return false;
          }
          return true;
        },
        job.world().now() + 60 * kSecond));
  }

  static void Reduce(SimJob& job, int times) {
    const size_t count = RatePlanner::kLarge / sizeof(float);
    std::vector<std::vector<float>> vectors(static_cast<size_t>(job.size()),
                                            std::vector<float>(count, 1));
    for (int t = 0; t < times; ++t) {
      std::vector<Operation*> operations;
      for (Rank r = 0; r < job.size(); ++r) {
        auto* memory =
            reinterpret_cast<uint8_t*>(vectors[static_cast<size_t>(r)].data());
        OperationCall call;
        call.type = DataType::kFloat32;
        call.op = ReduceOp::kAvg;
        call.input = memory;
        call.output = memory;
        call.count = count;
        operations.push_back(job.Start(r, call));
      }
      ASSERT_TRUE(job.world().RunUntil(
          [&] {
            return std::all_of(operations.begin(), operations.end(),
                               [](Operation* o) { return o->Done(); });
          },
          job.world().now() + 60 * kSecond));
      for (Operation* operation : operations) operation->Release();
    }
  }
};

// Padding may have been held up by who receives: no line is taken for full.
TEST_F(RateAgreementTest, AtTheStartNoLineIsTakenForLessThanStated) {
  SimJob job(1, ConfigOf({200, 200, 200}, {200, 200, 50}));
  const SiteShares before = job.runner(0).shares();
  Agree(job);
  for (Rank r = 0; r < job.size(); ++r) {
    EXPECT_EQ(job.runner(r).shares(), before) << r;
  }
}

TEST_F(RateAgreementTest, AtTheStartMoreThanStatedCounts) {
  SimJob job(1, ConfigOf({50, 50, 50}, {200, 200, 50}));
  const SiteShares before = job.runner(0).shares();
  Agree(job);
  EXPECT_NE(job.runner(0).shares(), before);
  for (Rank r = 1; r < job.size(); ++r) {
    EXPECT_EQ(job.runner(r).shares(), job.runner(0).shares()) << r;
  }
}

TEST_F(RateAgreementTest, InARunningJobLessCountsOnceItIsSeenTwice) {
  SimJob job(1, ConfigOf({200, 200, 200}, {200, 200, 50}));
  const SiteShares before = job.runner(0).shares();
  Reduce(job, RatePlanner::kEvery);
  EXPECT_EQ(job.runner(0).shares(), before);
  Reduce(job, RatePlanner::kEvery);
  EXPECT_NE(job.runner(0).shares(), before);
  for (Rank r = 1; r < job.size(); ++r) {
    EXPECT_EQ(job.runner(r).shares(), job.runner(0).shares()) << r;
  }
}

TEST_F(RateAgreementTest, PlansStayPutOnLinesThatAreAsStated) {
  SimJob job(1, ConfigOf({150, 200, 250}, {147, 197, 248}));
  const SiteShares before = job.runner(0).shares();
  Agree(job);
  Reduce(job, 4 * RatePlanner::kEvery);
  EXPECT_EQ(job.runner(0).shares(), before);
}

}  // namespace
}  // namespace longhaul
