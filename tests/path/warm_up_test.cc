#include "path/warm_up.h"

#include "support/pch.h"

namespace longhaul {
namespace {

TEST(WarmUp, WithoutABudgetThereIsNone) { EXPECT_TRUE(WarmUp(0).done()); }

TEST(WarmUp, EndsWhenTheBudgetIsSpent) {
  WarmUp warm_up(100);
  warm_up.Spent(60);
  EXPECT_FALSE(warm_up.done());
  EXPECT_EQ(warm_up.budget(), 40u);
  warm_up.Spent(60);
  EXPECT_TRUE(warm_up.done());
}

TEST(WarmUp, GoesOnWhileTheRateGrows) {
  WarmUp warm_up(1 << 30);
  double rate = 1e6;
  for (int i = 0; i < 30; ++i, rate *= 1.3) {
    warm_up.Sample(i * kSecond, rate, kMillisecond);
    ASSERT_FALSE(warm_up.done()) << i;
  }
}

TEST(WarmUp, EndsAfterThreeFlatRoundTrips) {
  WarmUp warm_up(1 << 30);
  warm_up.Sample(0, 1e6, kMillisecond);
  warm_up.Sample(1, 1.2e6, kMillisecond);
  warm_up.Sample(2, 1.1e6, kMillisecond);
  EXPECT_FALSE(warm_up.done());
  warm_up.Sample(3, 1.2e6, kMillisecond);
  EXPECT_TRUE(warm_up.done());
}

TEST(WarmUp, GrowthStartsTheCountAnew) {
  WarmUp warm_up(1 << 30);
  for (const double rate : {1e6, 1e6, 1e6, 2e6, 2e6, 2e6}) {
    warm_up.Sample(0, rate, kMillisecond);
  }
  EXPECT_FALSE(warm_up.done());
  warm_up.Sample(0, 2e6, kMillisecond);
  EXPECT_TRUE(warm_up.done());
}

TEST(WarmUp, ARateNotKnownYetSaysNothing) {
  WarmUp warm_up(1 << 30);
  for (int i = 0; i < 10; ++i) warm_up.Sample(i, 0, 0);
  EXPECT_FALSE(warm_up.done());
}

TEST(WarmUp, SamplesOncePerRoundTrip) {
  WarmUp warm_up(1 << 30);
  warm_up.Sample(kSecond, 1e6, 50 * kMillisecond);
  EXPECT_EQ(warm_up.next_sample(), kSecond + 50 * kMillisecond);
  warm_up.Sample(2 * kSecond, 1e6, 0);
  EXPECT_GT(warm_up.next_sample(), 2 * kSecond) << "time must pass";
}

TEST(WarmUp, StopsAtOnce) {
  WarmUp warm_up(1 << 30);
  warm_up.Stop();
  EXPECT_TRUE(warm_up.done());
}

}  // namespace
}  // namespace longhaul
