#include "path/access_meter.h"

#include "support/pch.h"

namespace longhaul {
namespace {

// Two flows, each looked at every 10 ms.
class Access : public testing::Test {
 protected:
  void RunFor(Duration time, double rate, bool busy) {
    for (const TimePoint end = now + time; now < end;
         now += 10 * kMillisecond) {
      const auto half = static_cast<uint64_t>(rate * 0.005);
      meter.Look(now, kRoundTrip, half, 2 * half, true);
      meter.Look(now, kRoundTrip, half, 0, busy);
    }
  }
  static constexpr Duration kRoundTrip = 50 * kMillisecond;
  AccessMeter meter;
  TimePoint now = kSecond;
};

TEST_F(Access, FlowsAddUp) {
  RunFor(2 * kSecond, 25e6, true);
  EXPECT_NEAR(meter.up(), 25e6, 1e6);
  EXPECT_NEAR(meter.down(), 25e6, 1e6);
  EXPECT_TRUE(meter.limited());
}

TEST_F(Access, WhatIsSlowerForGoodIsSeen) {
  RunFor(2 * kSecond, 25e6, true);
  RunFor(25 * kSecond, 10e6, true);
  EXPECT_NEAR(meter.up(), 10e6, 1e6);
}

TEST_F(Access, WhatIsFasterIsSeenAtOnce) {
  RunFor(2 * kSecond, 10e6, true);
  RunFor(kSecond, 25e6, false);
  EXPECT_NEAR(meter.up(), 25e6, 1e6);
}

TEST_F(Access, AFlowWithNothingMoreToSayIsNoLimit) {
  RunFor(2 * kSecond, 25e6, false);
  EXPECT_NEAR(meter.up(), 25e6, 1e6);
  EXPECT_FALSE(meter.limited());
}

// As operations have it: their ends, when some flows have nothing left, do not
// hide that lines are full in between.
TEST_F(Access, FullTimesAreRememberedThroughOtherOnes) {
  for (int i = 0; i < 30; ++i) {
    RunFor(400 * kMillisecond, 10e6, true);
    RunFor(400 * kMillisecond, 5e6, false);
  }
  EXPECT_NEAR(meter.up(), 10e6, 1e6);
  EXPECT_TRUE(meter.limited());
}

TEST_F(Access, LongLinesAreWatchedForLonger) {
  const TimePoint end = now + 3 * kSecond;
  for (int i = 0; now < end; ++i, now += 100 * kMillisecond) {
    // Confirmed every second look: half as often as a short window would need.
    meter.Look(now, 200 * kMillisecond, i % 2 == 0 ? 2'000'000 : 0, 0, true);
  }
  EXPECT_NEAR(meter.up(), 10e6, 1e6);
}

TEST_F(Access, PausesDoNotCount) {
  RunFor(2 * kSecond, 25e6, true);
  now += 60 * kSecond;
  RunFor(2 * kSecond, 25e6, true);
  EXPECT_NEAR(meter.up(), 25e6, 1e6);
}

}  // namespace
}  // namespace longhaul
