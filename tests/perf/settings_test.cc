// The command line, the sizes it gives, the lower bound and the statistics.
#include "harness/settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "harness/bound.h"
#include "harness/statistics.h"

namespace longhaul::bench {
namespace {

using testing::ElementsAre;

CommandLine Read(std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), "longhaul_perf");
  const Program program{
      .name = "longhaul_perf", .description = "", .epilogue = ""};
  return ReadCommandLine(program, static_cast<int>(arguments.size()),
                         arguments.data());
}

TEST(CommandLine, DefaultsAreNcclTests) {
  const Settings s = Read({}).settings;
  EXPECT_EQ(s.min_bytes, 32U << 20);
  EXPECT_EQ(s.max_bytes, 32U << 20);
  EXPECT_EQ(s.step_bytes, 1U << 20);
  EXPECT_EQ(s.iterations, 20);
  EXPECT_EQ(s.warm_up, 1);
  EXPECT_EQ(s.checks, 1);
  EXPECT_THAT(s.types, ElementsAre(DataType::kFloat32));
  EXPECT_THAT(s.ops, ElementsAre(ReduceOp::kSum));
}

TEST(CommandLine, ShortAndLongFlags) {
  const Settings s =
      Read({"-b",         "8",      "--maxbytes", "1G", "-f",     "4",
            "--iters=7",  "-w",     "0",          "-o", "avg",    "-d",
            "half,bf16",  "-a",     "1",          "-z", "2",      "-t",
            "1",          "--algo", "ring",       "-J", "x.json", "--bound",
            "1gbit,10ms", "--wan"})
          .settings;
  EXPECT_EQ(s.min_bytes, 8U);
  EXPECT_EQ(s.max_bytes, 1U << 30);
  EXPECT_EQ(s.step_factor, 4U);
  EXPECT_EQ(s.iterations, 7);
  EXPECT_EQ(s.warm_up, 0);
  EXPECT_THAT(s.ops, ElementsAre(ReduceOp::kAvg));
  EXPECT_THAT(s.types, ElementsAre(DataType::kFloat16, DataType::kBfloat16));
  EXPECT_EQ(s.across, Across::kAverage);
  EXPECT_EQ(s.blocking, Blocking::kInner);
  EXPECT_EQ(s.algorithm, Algorithm::kRing);
  EXPECT_EQ(s.report_file, "x.json");
  EXPECT_DOUBLE_EQ(s.bound->rate, 1e9);
  EXPECT_DOUBLE_EQ(s.bound->delay, 0.01);
  EXPECT_TRUE(s.wan);
}

TEST(CommandLine, AllTypesAndOperators) {
  const Settings s = Read({"-d", "all", "-o", "all"}).settings;
  EXPECT_EQ(s.types.size(), static_cast<size_t>(kDataTypeCount));
  EXPECT_EQ(s.ops.size(), static_cast<size_t>(kReduceOpCount));
}

TEST(Sizes, ByFactorAndByStep) {
  Settings s;
  s.min_bytes = 8;
  s.max_bytes = 100;
  s.step_factor = 3;
  EXPECT_THAT(Sizes(s), ElementsAre(8, 24, 72));
  s.step_factor = 0;
  s.step_bytes = 40;
  EXPECT_THAT(Sizes(s), ElementsAre(8, 48, 88));
  s.min_bytes = 0;
  s.step_factor = 2;
  EXPECT_THAT(Sizes(s), ElementsAre(0));
  s.collective = Collective::kBarrier;
  EXPECT_THAT(Sizes(s), ElementsAre(0));
}

TEST(Sizes, AsListed) {
  const Settings s = Read({"--sizes", "1M,8,64K"}).settings;
  EXPECT_THAT(Sizes(s), ElementsAre(1 << 20, 8, 64 << 10));
  EXPECT_EQ(s.min_bytes, 8U);
  EXPECT_EQ(s.max_bytes, 1U << 20);
  EXPECT_EQ(Read({"--sizes", "1M,"}).exit_code, 2);
}

TEST(LowerBound, TwoSitesAndMore) {
  const Link link{500e6, 0.025};
  const double h = 1448.0 / 1500.0;
  EXPECT_DOUBLE_EQ(*LowerBound(link, 2, 64 << 20),
                   0.025 + (64 << 20) * 8.0 / (500e6 * h));
  EXPECT_DOUBLE_EQ(*LowerBound(link, 4, 1000),
                   0.025 + 1.5 * 8000 / (500e6 * h));
  EXPECT_FALSE(LowerBound(link, 1, 1000).has_value());
}

TEST(ParseLink, RefusesWhatIsNoLink) {
  EXPECT_FALSE(ParseLink("500mbit").has_value());
  EXPECT_FALSE(ParseLink("500mbit,25").has_value());
  EXPECT_FALSE(ParseLink("0mbit,25ms").has_value());
  EXPECT_FALSE(ParseLink("500mbit,25ms,1").has_value());
}

TEST(Summarise, QuartilesLieBetween) {
  const Statistics s = Summarise({4, 1, 3, 2});
  EXPECT_DOUBLE_EQ(s.mean, 2.5);
  EXPECT_DOUBLE_EQ(s.min, 1);
  EXPECT_DOUBLE_EQ(s.p25, 1.75);
  EXPECT_DOUBLE_EQ(s.median, 2.5);
  EXPECT_DOUBLE_EQ(s.p75, 3.25);
  EXPECT_DOUBLE_EQ(s.p95, 4);
  EXPECT_DOUBLE_EQ(s.max, 4);
  EXPECT_DOUBLE_EQ(s.deviation, std::sqrt(1.25));
  EXPECT_DOUBLE_EQ(Summarise({}).median, 0);
  EXPECT_DOUBLE_EQ(Summarise({5}).p75, 5);
}

}  // namespace
}  // namespace longhaul::bench
