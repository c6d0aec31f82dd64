#include "base/linear_cost.h"

#include "base/clock.h"

namespace longhaul {
namespace {

TEST(LinearCostTest, SumAndBound) {
  constexpr LinearCost kA{1, 0.5};
  constexpr LinearCost kB{2, 0.25};
  static_assert(kA(4) == 3);
  EXPECT_EQ((kA + kB)(4), kA(4) + kB(4));
  for (const double n : {0., 1., 100.}) {
    EXPECT_GE(Max(kA, kB)(n), std::max(kA(n), kB(n)));
  }
  EXPECT_EQ(Max(kA, kB)(0), 2);
  EXPECT_EQ(LinkCost(0.1, 8e6)(1e6), 1.1);
}

TEST(ClockTest, DoesNotStepBack) {
  const TimePoint first = Now();
  const TimePoint second = Now();
  EXPECT_GT(first, 0);
  EXPECT_GE(second, first);
}

}  // namespace
}  // namespace longhaul
