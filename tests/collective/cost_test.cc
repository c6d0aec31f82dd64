// The bound, the closed forms and the simulation, against each other and
// against figures worked out by hand.
#include "collective/cost.h"

#include <gtest/gtest.h>

#include <random>

#include "collective/schedule_cases.h"
#include "collective/selector.h"
#include "collective/simulation.h"

namespace longhaul {
namespace {

using testing::BuildAll;

constexpr uint64_t kMi = 1 << 20;
constexpr double kGbit = 1e9;

// sizes[i] ranks in site i; all pairs of sites have `delay`.
Topology Sites(const std::vector<int>& sizes, const std::vector<double>& up,
               const std::vector<double>& down, Duration delay) {
  std::vector<SiteSpec> sites;
  std::vector<RankSpec> ranks;
  std::vector<PathSpec> paths;
  for (size_t i = 0; i < sizes.size(); ++i) {
    const auto site = static_cast<SiteIndex>(i);
    sites.push_back({"site" + std::to_string(i), up[i], down[i]});
    for (int r = 0; r < sizes[i]; ++r) {
      ranks.push_back({site, static_cast<int32_t>(ranks.size()), true, "h"});
    }
    for (SiteIndex other = 0; other < site; ++other) {
      paths.push_back({other, site, {}, delay, {}});
    }
  }
  return Topology::Make(std::move(sites), std::move(ranks), std::move(paths))
      .value();
}

// k sites of m ranks, 1 Gbit/s each way, 50 ms one way.
Topology LikeSites(int k, int m) {
  const auto n = static_cast<size_t>(k);
  return Sites(std::vector<int>(n, m), std::vector<double>(n, kGbit),
               std::vector<double>(n, kGbit), 50 * kMillisecond);
}

// No headers, and in-site work that costs next to nothing.
constexpr CostParameters kWanOnly = {.lan_rate = 1e12,
                                     .lan_delay = 1e-7,
                                     .reduce_rate = 1e13,
                                     .message_seconds = 1e-8,
                                     .goodput = 1};

SegmentPlan PlanOf(Algorithm algorithm, uint64_t bytes,
                   const Topology& topology) {
  return PlanSegments(bytes / 4, 4, topology, algorithm, SharesOf(topology),
                      {{}, 64 * kMi})
      .value();
}

// All segments of the plan, the last one taken as whole.
double Simulated(Algorithm algorithm, uint64_t bytes, const Topology& topology,
                 const CostParameters& parameters) {
  const SegmentPlan plan = PlanOf(algorithm, bytes, topology);
  return Simulate(BuildAll(algorithm, plan.segment_elements, topology), 4,
                  topology, parameters, plan.segments, plan.in_flight)
      .seconds;
}

double Estimated(Algorithm algorithm, uint64_t bytes, const Topology& topology,
                 const CostParameters& parameters) {
  return EstimateSeconds(algorithm, PlanOf(algorithm, bytes, topology), 4,
                         topology, parameters);
}

TEST(GoodputTest, IsWhatTcpLeavesOfAPacket) {
  EXPECT_DOUBLE_EQ(GoodputFraction(1500, 4), 1448.0 / 1500);
  EXPECT_DOUBLE_EQ(GoodputFraction(1500, 6), 1428.0 / 1500);
  EXPECT_NEAR(GoodputFraction(9000, 4), 0.994, 0.001);
  EXPECT_EQ(GoodputFraction(40, 4), 0);
}

TEST(LowerBoundTest, LikeSites) {
  // 256 MiB at 1 Gbit/s, 100 ms round trip.
  EXPECT_NEAR(LowerBound(256 * kMi, LikeSites(2, 8), kWanOnly), 2.20, 0.005);
  EXPECT_NEAR(LowerBound(256 * kMi, LikeSites(4, 8), kWanOnly), 3.27, 0.005);
  EXPECT_NEAR(LowerBound(256 * kMi, LikeSites(8, 8), kWanOnly), 3.81, 0.005);
}

TEST(LowerBoundTest, UnlikeSites) {
  const auto bound = [](const std::vector<double>& rates) {
    std::vector<double> bits;
    for (const double rate : rates) bits.push_back(rate * 8e6);
    const Topology topology =
        Sites(std::vector<int>(rates.size(), 2), bits, bits, 0);
    return LowerBound(1'000'000, topology, kWanOnly);
  };
  EXPECT_NEAR(bound({1, 10, 10, 10}), 1.0, 1e-9);
  EXPECT_NEAR(bound({0.5, 1, 1, 1}), 2.0, 1e-9);
  EXPECT_NEAR(bound({2.5, 10, 10}), 0.4, 1e-9);
  EXPECT_NEAR(bound({1, 1, 1, 1}), 1.5, 1e-9);
}

TEST(LowerBoundTest, DelayComesOnTopOfTheSlowestSite) {
  const Topology topology =
      Sites({1, 1, 1}, {kGbit, 9 * kGbit, 9 * kGbit},
            {kGbit, 9 * kGbit, 9 * kGbit}, 50 * kMillisecond);
  EXPECT_NEAR(LowerBound(125'000'000, topology, kWanOnly), 1.05, 1e-9);
}

TEST(LowerBoundTest, GrowsByWhatHeadersTake) {
  CostParameters with_headers = kWanOnly;
  with_headers.goodput = 0.5;
  const Topology topology = LikeSites(2, 1);
  EXPECT_NEAR(LowerBound(256 * kMi, topology, with_headers) - 0.05,
              2 * (LowerBound(256 * kMi, topology, kWanOnly) - 0.05), 1e-9);
}

TEST(LowerBoundTest, OneSiteMovesItsVectorTwiceButForAPart) {
  const CostParameters p = {.lan_rate = 1e9, .lan_delay = 1e-5};
  EXPECT_NEAR(LowerBound(1'000'000, Topology::OneSite(4), p), 1.5e-3 + 1e-5,
              1e-9);
  EXPECT_EQ(LowerBound(1'000'000, Topology::OneSite(1), p), 0);
}

// Two sites of one rank, 10 Gbit/s each way, and paths between them.
Topology Between(std::vector<PathSpec> paths) {
  return Topology::Make(
             {{"a", 10 * kGbit, 10 * kGbit}, {"b", 10 * kGbit, 10 * kGbit}},
             {{0, 0, true, "h"}, {1, 1, true, "h"}}, std::move(paths))
      .value();
}

TEST(LowerBoundTest, PathsOfAPairAreFilledTogether) {
  const Topology both = Between({{0, 1, kGbit, 5 * kMillisecond, {}},
                                 {0, 1, kGbit, 50 * kMillisecond, {}}});
  EXPECT_NEAR(LowerBound(64'000'000, both, kWanOnly), 0.2835, 1e-9);
  // A short vector is over before the long path is worth it.
  EXPECT_NEAR(LowerBound(1'000'000, both, kWanOnly), 0.013, 1e-9);
}

TEST(SimulationTest, PathsOfAPairAreUsedTogether) {
  const Topology both = Between({{0, 1, kGbit, 5 * kMillisecond, {}},
                                 {0, 1, kGbit, 50 * kMillisecond, {}}});
  for (const uint64_t bytes : {4 * kMi, 64 * kMi}) {
    const double bound = LowerBound(bytes, both, kWanOnly);
    const double simulated =
        Simulated(Algorithm::kHierarchical, bytes, both, kWanOnly);
    EXPECT_GE(simulated, bound * 0.999999);
    EXPECT_NEAR(simulated, bound, 0.05 * bound) << bytes;
    EXPECT_NEAR(Estimated(Algorithm::kHierarchical, bytes, both, kWanOnly),
                bound, 0.02 * bound)
        << bytes;
  }
}

TEST(SimulationTest, ShardedReachesTheBoundOfUnlikeSites) {
  constexpr double kMbit = 1e6;
  const std::vector<std::vector<double>> cases = {
      {150 * kMbit, 200 * kMbit, 250 * kMbit},
      {130 * kMbit, 200 * kMbit, 200 * kMbit, 200 * kMbit},
      {50 * kMbit, 200 * kMbit, 200 * kMbit, 200 * kMbit},
      std::vector<double>(8, kGbit)};
  for (const std::vector<double>& rates : cases) {
    for (const int m : {1, 2}) {
      const Topology topology = Sites(std::vector<int>(rates.size(), m), rates,
                                      rates, 25 * kMillisecond);
      const SegmentPlan plan =
          PlanSegments(64 * kMi / 4, 4, topology, Algorithm::kSharded,
                       SharesOf(topology))
              .value();
      const double simulated =
          Simulate(
              BuildAll(Algorithm::kSharded, plan.segment_elements, topology), 4,
              topology, {}, plan.segments, plan.in_flight)
              .seconds;
      EXPECT_LE(simulated, 1.06 * LowerBound(64 * kMi, topology))
          << ::testing::PrintToString(rates) << ", " << m;
      EXPECT_NEAR(EstimateSeconds(Algorithm::kSharded, plan, 4, topology),
                  simulated, 0.04 * simulated)
          << ::testing::PrintToString(rates) << ", " << m;
    }
  }
}

TEST(SimulationTest, ShardedHasTwoDelays) {
  const Timing t = Simulate(BuildAll(Algorithm::kSharded, 6, LikeSites(3, 2)),
                            4, LikeSites(3, 2), kWanOnly);
  EXPECT_NEAR(t.seconds, 0.1, 0.001);
}

TEST(SimulationTest, ExchangeTakesOneDelayAndTheBytesOfItsSite) {
  // (k - 1) S / B + o.
  const auto expect = [](int k, int m, double seconds) {
    EXPECT_NEAR(Simulated(Algorithm::kHierarchical, 256 * kMi, LikeSites(k, m),
                          kWanOnly),
                seconds, seconds * 0.01);
  };
  expect(2, 8, 2.1475 + 0.05);
  expect(2, 1, 2.1475 + 0.05);
  expect(3, 2, 2 * 2.1475 + 0.05);
  expect(4, 8, 3 * 2.1475 + 0.05);
}

TEST(SimulationTest, ShortVectorPaysEveryBorderOfTheRingTwice) {
  const auto expect = [](int k, int m, double crossings) {
    const auto count = static_cast<uint64_t>(k) * static_cast<uint64_t>(m);
    const Topology topology = LikeSites(k, m);
    const Timing t = Simulate(BuildAll(Algorithm::kRing, count, topology), 4,
                              topology, kWanOnly);
    EXPECT_NEAR(t.seconds, crossings * 0.05, 0.001) << k << " x " << m;
  };
  expect(2, 8, 4);
  expect(3, 3, 6);
  expect(2, 2, 3);  // two hops less than two turns: one of them a border
  expect(2, 1, 2);
}

TEST(SimulationTest, SegmentsFillTheRingsPauses) {
  // 2 (N - 1) / N S / B + o: the border is never idle.
  const auto expect = [](int k, int m) {
    const double n = k * m;
    const double seconds = 2 * (n - 1) / n * 2.1475 + 0.05;
    EXPECT_NEAR(
        Simulated(Algorithm::kRing, 256 * kMi, LikeSites(k, m), kWanOnly),
        seconds, seconds * 0.01);
  };
  expect(2, 8);
  expect(2, 1);
  expect(4, 2);
}

TEST(SimulationTest, EmptyVectorTakesOneDelayAndItsMessages) {
  const Topology topology = LikeSites(2, 1);
  const Timing t = Simulate(BuildAll(Algorithm::kHierarchical, 0, topology), 4,
                            topology, {.message_seconds = 0.001});
  EXPECT_NEAR(t.seconds, 0.05 + 0.002, 1e-9);
  EXPECT_EQ(t.wan_messages, 2U);
  EXPECT_EQ(t.wan_bytes, 0);
}

TEST(SimulationTest, CountsWhatCrossesTheWan) {
  const Topology topology = LikeSites(2, 4);
  const Timing hierarchical =
      Simulate(BuildAll(Algorithm::kHierarchical, 8000, topology), 4, topology);
  EXPECT_EQ(hierarchical.wan_bytes, 2 * 32000);
  EXPECT_EQ(hierarchical.wan_messages, 8U);
  EXPECT_EQ(hierarchical.lan_messages, 2U * 4 * 3 * 2);
  const Timing ring =
      Simulate(BuildAll(Algorithm::kRing, 8000, topology), 4, topology);
  EXPECT_EQ(ring.wan_bytes, 2 * 2 * 7 * 4000);
}

TEST(SimulationTest, SlowDirectionAloneSetsThePace) {
  const Topology topology =
      Sites({2, 2}, {kGbit, kGbit / 10}, {kGbit, kGbit}, 10 * kMillisecond);
  EXPECT_NEAR(Simulated(Algorithm::kHierarchical, 64 * kMi, topology, kWanOnly),
              64 * kMi * 8 / (kGbit / 10) + 0.01, 0.05);
}

TEST(SimulationTest, ArrivalsShareTheLineIntoTheirSite) {
  const double ten = 10 * kGbit;
  const Topology topology =
      Sites({2, 2, 2}, {ten, ten, ten}, {kGbit, ten, ten}, 10 * kMillisecond);
  EXPECT_NEAR(Simulated(Algorithm::kHierarchical, 64 * kMi, topology, kWanOnly),
              kMi * 2 * 64 * 8 / kGbit + 0.01, 0.02);
}

TEST(SimulationTest, AddingTakesItsTime) {
  // One rank, one source of 4 MB at 1 GB/s.
  const Topology alone = Topology::OneSite(1);
  const Timing t = Simulate(BuildAll(Algorithm::kRing, 1'000'000, alone), 4,
                            alone, {.reduce_rate = 1e9});
  EXPECT_NEAR(t.seconds, 0.004, 1e-9);
}

TEST(SimulationTest, MoreInFlightHidesPhasesBehindEachOther) {
  const Topology topology = LikeSites(2, 4);
  const auto all = BuildAll(Algorithm::kHierarchical, 1 << 18, topology);
  CostParameters slow_lan;
  slow_lan.lan_rate = 2e8;
  const double one = Simulate(all, 4, topology, slow_lan, 32, 1).seconds;
  const double many = Simulate(all, 4, topology, slow_lan, 32, 16).seconds;
  EXPECT_LT(many, 0.5 * one);
}

class CostTest : public ::testing::TestWithParam<Algorithm> {};

TEST_P(CostTest, NothingBeatsTheLowerBound) {
  std::mt19937 random(5);
  const auto pick = [&](int from, int to) {
    return std::uniform_int_distribution<int>(from, to)(random);
  };
  for (int trial = 0; trial < 60; ++trial) {
    const auto k = static_cast<size_t>(pick(1, 4));
    std::vector<int> sizes;
    std::vector<double> up;
    std::vector<double> down;
    for (size_t i = 0; i < k; ++i) {
      sizes.push_back(pick(1, 4));
      up.push_back(kGbit * pick(1, 20) / 4);
      down.push_back(kGbit * pick(1, 20) / 4);
    }
    const Topology topology =
        Sites(sizes, up, down, pick(0, 60) * kMillisecond);
    const uint64_t bytes = uint64_t{1} << pick(3, 25);
    if (!CheckBuildable(topology, GetParam()).ok()) continue;
    const double bound = LowerBound(bytes, topology);
    EXPECT_GE(Simulated(GetParam(), bytes, topology, {}), bound * 0.999999);
    EXPECT_GE(Estimated(GetParam(), bytes, topology, {}), bound * 0.999999)
        << ::testing::PrintToString(sizes) << " " << bytes;
  }
}

TEST_P(CostTest, ClosedFormIsCloseToTheSimulation) {
  for (const int k : {1, 2, 3}) {
    for (const int m : {1, 2, 4, 8}) {
      for (const uint64_t bytes : {4 * kMi, 32 * kMi, 128 * kMi}) {
        const Topology topology = LikeSites(k, m);
        if (topology.size() == 1) continue;
        const double simulated = Simulated(GetParam(), bytes, topology, {});
        const double estimated = Estimated(GetParam(), bytes, topology, {});
        EXPECT_NEAR(estimated / simulated, 1, 0.15)
            << k << " sites of " << m << ", " << bytes / kMi
            << " MiB: " << simulated << " s";
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Algorithms, CostTest,
                         ::testing::Values(Algorithm::kRing,
                                           Algorithm::kHierarchical,
                                           Algorithm::kSharded),
                         [](const auto& test) {
                           return std::string(NameOf(test.param));
                         });

TEST(PipelineTest, ClosedForm) {
  // 1 s each, of which 0.25 s on the busiest resource; the last one a half.
  const SegmentCost segment = {1, 0.25, 0.75};
  SegmentPlan plan = {
      .count = 450, .segment_elements = 100, .segments = 5, .in_flight = 8};
  EXPECT_NEAR(PipelineSeconds(segment, plan), 0.75 + 4.5 * 0.25, 1e-12);
  plan.in_flight = 2;
  EXPECT_NEAR(PipelineSeconds(segment, plan), 4.5 / 2, 1e-12);
  plan = {.count = 60, .segment_elements = 60};
  EXPECT_EQ(PipelineSeconds(segment, plan), 1);
}

}  // namespace
}  // namespace longhaul
