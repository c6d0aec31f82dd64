#include "path/flow_meter.h"

#include "path/flow_health.h"
#include "support/pch.h"

namespace longhaul {
namespace {

constexpr Duration kRoundTrip = 20 * kMillisecond;
constexpr double kRate = 50e6;

// A flow that delivers at a rate, looked at every 5 ms.
class Line {
 public:
  explicit Line(FlowMeter& meter) : meter_(meter) {}
  void RunFor(Duration time, double rate, uint64_t unsent) {
    for (const TimePoint end = now + time; now < end; now += 5 * kMillisecond) {
      stats.bytes_delivered += static_cast<uint64_t>(rate * 0.005);
      stats.bytes_unsent = unsent;
      meter_.Sample(now, stats);
    }
  }
  TimePoint now = kSecond;
  EndpointStats stats{.rtt = kRoundTrip, .min_rtt = kRoundTrip};

 private:
  FlowMeter& meter_;
};

TEST(FlowMeter, KnowsNothingAtFirst) {
  FlowMeter meter;
  EXPECT_EQ(meter.rate(), 0);
  EXPECT_EQ(meter.round_trip(), 0);
  EXPECT_EQ(meter.Backlog(kSecond, kRate), 0);
}

TEST(FlowMeter, FindsTheRateInAFewRoundTrips) {
  FlowMeter meter;
  Line line(meter);
  line.RunFor(5 * kRoundTrip, kRate, 1 << 20);
  EXPECT_NEAR(meter.rate(), kRate, kRate / 50);
  EXPECT_EQ(meter.round_trip(), kRoundTrip);
}

TEST(FlowMeter, SeesALineBecomeNarrowWithinThreeRoundTrips) {
  FlowMeter meter;
  Line line(meter);
  line.RunFor(10 * kRoundTrip, kRate, 1 << 20);
  line.RunFor(3 * kRoundTrip + 5 * kMillisecond, kRate / 10, 1 << 20);
  EXPECT_LT(meter.rate(), kRate / 5);
}

TEST(FlowMeter, LittleToSendIsNoNarrowLine) {
  FlowMeter meter;
  Line line(meter);
  line.RunFor(10 * kRoundTrip, kRate, 1 << 20);
  line.RunFor(20 * kRoundTrip, kRate / 100, 0);
  EXPECT_NEAR(meter.rate(), kRate, kRate / 50);
}

TEST(FlowMeter, WhatIsGivenWaitsUntilItHasLeft) {
  FlowMeter meter;
  Line line(meter);
  line.RunFor(10 * kRoundTrip, kRate, 0);
  meter.Given(line.now, 1'000'000);
  EXPECT_NEAR(meter.Backlog(line.now, kRate), 1e6, 1);
  EXPECT_NEAR(meter.Backlog(line.now + 10 * kMillisecond, kRate), 0.5e6, 1);
  EXPECT_EQ(meter.Backlog(line.now + kSecond, kRate), 0);
}

TEST(FlowMeter, WhatTheLineHoldsIsNoBacklog) {
  FlowMeter meter;
  Line line(meter);
  line.stats.bytes_in_flight = static_cast<uint64_t>(kRate * 0.020);
  line.RunFor(10 * kRoundTrip, kRate, 300'000);
  const TimePoint looked = line.now - 5 * kMillisecond;
  EXPECT_NEAR(meter.Backlog(looked, meter.rate()), 300'000, 20'000);
}

// --- Health

constexpr Duration kPatience = FlowHealth::Patience(kRoundTrip);

TEST(FlowHealth, AnIdleFlowIsNotSilent) {
  FlowHealth health;
  const EndpointStats idle{.rtt = kRoundTrip};
  EXPECT_FALSE(health.Sample(kSecond, idle));
  EXPECT_FALSE(health.Sample(100 * kSecond, idle));
  EXPECT_FALSE(health.silent());
}

TEST(FlowHealth, NothingConfirmedForAWhileIsSilence) {
  FlowHealth health;
  EndpointStats stats{.rtt = kRoundTrip, .bytes_in_flight = 1};
  health.Sample(kSecond, stats);
  EXPECT_FALSE(health.Sample(kSecond + kPatience, stats));
  EXPECT_TRUE(health.Sample(kSecond + kPatience + 1, stats));
  EXPECT_TRUE(health.silent());
  EXPECT_EQ(health.heard(), kSecond);
}

TEST(FlowHealth, ItSpeaksAgainAsSoonAsAnythingIsConfirmed) {
  FlowHealth health;
  EndpointStats stats{.rtt = kRoundTrip, .bytes_in_flight = 1};
  health.Sample(kSecond, stats);
  health.Sample(2 * kSecond, stats);
  ASSERT_TRUE(health.silent());
  stats.bytes_delivered = 1;
  EXPECT_TRUE(health.Sample(2 * kSecond + 1, stats));
  EXPECT_FALSE(health.silent());
}

// What was sent just now has had no time to be confirmed, however long nothing
// was sent before.
TEST(FlowHealth, PatienceBeginsWhenSomethingIsSent) {
  FlowHealth health;
  EndpointStats stats{.rtt = kRoundTrip};
  health.Sample(kSecond, stats);
  stats.bytes_in_flight = 1000;
  EXPECT_FALSE(health.Sample(50 * kSecond, stats));
  EXPECT_FALSE(health.silent());
}

}  // namespace
}  // namespace longhaul
