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
      meter.Look(now, half, 2 * half, true);
      meter.Look(now, half, 0, busy);
    }
  }
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
  RunFor(2 * kSecond, 10e6, true);
  EXPECT_NEAR(meter.up(), 10e6, 1e6);
}

TEST_F(Access, AFlowWithNothingMoreToSayIsNoLimit) {
  RunFor(2 * kSecond, 25e6, true);
  RunFor(2 * kSecond, 10e6, false);
  EXPECT_NEAR(meter.up(), 25e6, 1e6);
  EXPECT_FALSE(meter.limited());
}

TEST_F(Access, PausesDoNotCount) {
  RunFor(2 * kSecond, 25e6, true);
  now += 60 * kSecond;
  RunFor(2 * kSecond, 25e6, true);
  EXPECT_NEAR(meter.up(), 25e6, 1e6);
}

}  // namespace
}  // namespace longhaul
