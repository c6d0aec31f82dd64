// How many flows a path should have, found out by trying.
#include "path/flow_growth.h"

#include <functional>

#include "support/pch.h"

namespace longhaul {
namespace {

// A path that delivers what `rate` says for so many flows.
class Growth : public testing::Test {
 protected:
  void Run(Duration duration) {
    for (const TimePoint end = now + duration; now < end;) {
      now += FlowGrowth::kLook;
      look.flows = std::min<size_t>(growth.flows(), can_be_opened);
      look.delivered = static_cast<uint64_t>(
          rate(look.flows) * static_cast<double>(FlowGrowth::kLook) / kSecond);
      const uint16_t before = growth.flows();
      const bool changed = growth.Sample(now, look);
      EXPECT_EQ(changed, growth.flows() != before);
      most = std::max(most, growth.flows());
      if (growth.flows() > before) trials.push_back(now);
    }
  }
  // As if nothing had been seen until now of a path of so many flows.
  void StartWith(uint16_t flows) {
    growth = FlowGrowth(flows);
    trials.clear();
    most = flows;
  }

  FlowGrowth growth;
  FlowGrowth::Look look{.full = true, .round_trip = 20 * kMillisecond};
  std::function<double(size_t)> rate = [](size_t) { return 1e6; };
  size_t can_be_opened = FlowGrowth::kMost;
  TimePoint now = kSecond;
  uint16_t most = 1;
  std::vector<TimePoint> trials;
};

TEST_F(Growth, GoesOnWhileMoreFlowsHelp) {
  rate = [](size_t flows) {
    return std::min(static_cast<double>(flows) * 1e6, 4e6);
  };
  Run(20 * kSecond);
  EXPECT_EQ(growth.flows(), 4);
  EXPECT_EQ(most, 8) << "it has to be seen that more are of no use";
  EXPECT_EQ(trials.size(), 3u);
}

TEST_F(Growth, KeepsWhatHelpsALittleAndNotWhatHelpsHardly) {
  rate = [](size_t flows) { return flows == 1 ? 1e6 : 1.2e6; };
  Run(20 * kSecond);
  EXPECT_EQ(growth.flows(), 2);
  StartWith(1);
  rate = [](size_t flows) { return flows == 1 ? 1e6 : 1.1e6; };
  Run(20 * kSecond);
  EXPECT_EQ(growth.flows(), 1);
}

TEST_F(Growth, BeginsWhereItIsToldTo) {
  StartWith(16);
  rate = [](size_t flows) {
    return std::min(static_cast<double>(flows) * 1e6, 32e6);
  };
  Run(20 * kSecond);
  EXPECT_EQ(growth.flows(), 32);
}

TEST_F(Growth, HasAnEnd) {
  StartWith(12);
  rate = [](size_t flows) { return static_cast<double>(flows) * 1e6; };
  Run(60 * kSecond);
  EXPECT_EQ(growth.flows(), FlowGrowth::kMost);
  EXPECT_EQ(most, FlowGrowth::kMost);
}

TEST_F(Growth, TriesALineThatOneFlowFillsEverMoreSeldom) {
  Run(3600 * kSecond);
  EXPECT_EQ(growth.flows(), 1);
  EXPECT_EQ(most, 2);
  ASSERT_GE(trials.size(), 6u);
  for (size_t i = 1; i < trials.size(); ++i) {
    const Duration pause =
        std::min<Duration>(600 * kSecond, (60 << (i - 1)) * kSecond);
    const Duration between = trials[i] - trials[i - 1];
    EXPECT_GE(between, pause) << i;
    EXPECT_LE(between, pause + 4 * kSecond) << i;
  }
}

TEST_F(Growth, NoticesThatALineHasChanged) {
  Run(20 * kSecond);
  EXPECT_EQ(growth.flows(), 1);
  rate = [](size_t flows) {
    return std::min(static_cast<double>(flows) * 1e6, 2e6);
  };
  Run(70 * kSecond);
  EXPECT_EQ(growth.flows(), 2);
}

TEST_F(Growth, OnlyTimeInWhichAllHadMoreToSendCounts) {
  rate = [](size_t flows) { return static_cast<double>(flows) * 1e6; };
  look.full = false;
  Run(100 * kSecond);
  EXPECT_TRUE(trials.empty());
  // Bursts of 300 ms: four of them are a second.
  for (int burst = 0; burst < 3; ++burst) {
    look.full = true;
    Run(300 * kMillisecond);
    look.full = false;
    Run(5 * kSecond);
  }
  EXPECT_TRUE(trials.empty());
  look.full = true;
  Run(300 * kMillisecond);
  EXPECT_EQ(trials.size(), 1u);
}

TEST_F(Growth, WhatWasNotLookedAtDoesNotCount) {
  Run(900 * kMillisecond);
  now += 5 * kSecond;
  Run(50 * kMillisecond);
  EXPECT_TRUE(trials.empty());
  Run(200 * kMillisecond);
  EXPECT_EQ(trials.size(), 1u);
}

TEST_F(Growth, TakesTenRoundTripsOverALongLine) {
  look.round_trip = 300 * kMillisecond;
  Run(2900 * kMillisecond);
  EXPECT_TRUE(trials.empty());
  Run(300 * kMillisecond);
  EXPECT_EQ(trials.size(), 1u);
}

TEST_F(Growth, WaitsForARateThatGetsBetterByItself) {
  const TimePoint begin = now;
  rate = [&](size_t) { return 1e6 * static_cast<double>(now - begin); };
  Run(3 * kSecond);
  EXPECT_TRUE(trials.empty());
  // Also in a trial: new flows take their time.
  rate = [](size_t) { return 1e6; };
  Run(3 * kSecond);
  ASSERT_EQ(trials.size(), 1u);
  StartWith(1);
  rate = [&](size_t flows) {
    if (flows == 1) return 1e6;
    const Duration since = now - trials.back();
    return since < 900 * kMillisecond ? 0.5e6 : 1.9e6;
  };
  Run(5 * kSecond);
  EXPECT_GE(growth.flows(), 2);
}

TEST_F(Growth, DoesNotTryToPassTheRateLimit) {
  look.limit = 1.1e6;
  Run(100 * kSecond);
  EXPECT_TRUE(trials.empty());
  look.limit = 2e6;
  Run(3 * kSecond);
  EXPECT_FALSE(trials.empty());
}

TEST_F(Growth, DoesNotTryASilentPath) {
  look.silent = true;
  Run(100 * kSecond);
  EXPECT_TRUE(trials.empty());
}

TEST_F(Growth, DoesNotTryWhileFlowsAreMissing) {
  StartWith(4);
  can_be_opened = 3;
  rate = [](size_t flows) { return static_cast<double>(flows) * 1e6; };
  Run(100 * kSecond);
  EXPECT_TRUE(trials.empty());
  can_be_opened = 64;
  Run(3 * kSecond);
  EXPECT_FALSE(trials.empty());
}

TEST_F(Growth, GivesUpFlowsThatCannotBeOpened) {
  can_be_opened = 1;
  Run(5 * kSecond);
  EXPECT_EQ(growth.flows(), 2);
  Run(10 * kSecond);
  EXPECT_EQ(growth.flows(), 1);
  EXPECT_EQ(trials.size(), 1u);
}

}  // namespace
}  // namespace longhaul
