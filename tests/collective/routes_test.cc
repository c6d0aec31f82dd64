#include "collective/routes.h"

#include <gtest/gtest.h>

#include <array>
#include <random>

namespace longhaul {
namespace {

constexpr double kGbit = 1e9;

TEST(WaterFillTest, OneRouteTakesItsDelayAndItsBytes) {
  EXPECT_DOUBLE_EQ(WaterFillSeconds(std::array{Route{100, 0.5}}, 200), 2.5);
  EXPECT_DOUBLE_EQ(WaterFillSeconds(std::array{Route{100, 0.5}}, 0), 0.5);
}

TEST(WaterFillTest, RoutesEndTogether) {
  // 64 MB over 1 Gbit/s at 5 ms and 1 Gbit/s at 50 ms.
  EXPECT_NEAR(WaterFillSeconds(
                  std::array{Route{125e6, 0.05}, Route{125e6, 0.005}}, 64e6),
              0.2835, 1e-12);
}

TEST(WaterFillTest, ARouteThatIsThereTooLateIsLeftOut) {
  EXPECT_DOUBLE_EQ(
      WaterFillSeconds(std::array{Route{100, 0.1}, Route{1e9, 3}}, 200), 2.1);
  // And used from the byte on that the other would bring later.
  const std::array routes = {Route{100, 0.1}, Route{100, 3}};
  EXPECT_DOUBLE_EQ(WaterFillSeconds(routes, 290), 3);
  EXPECT_DOUBLE_EQ(WaterFillSeconds(routes, 490), 4);
}

TEST(WaterFillTest, SolvesItsEquation) {
  std::mt19937 random(3);
  const auto pick = [&](double from, double to) {
    return std::uniform_real_distribution<double>(from, to)(random);
  };
  for (int trial = 0; trial < 1000; ++trial) {
    std::vector<Route> routes(1 + random() % 5);
    for (Route& route : routes) route = {pick(1, 100), pick(0, 2)};
    const double bytes = pick(0, 200);
    const double seconds = WaterFillSeconds(routes, bytes);
    double sent = 0;
    for (const Route& route : routes) {
      sent += route.rate * std::max(0.0, seconds - route.delay);
    }
    EXPECT_NEAR(sent, bytes, 1e-9);
  }
}

Topology TwoSites(std::vector<PathSpec> paths) {
  return Topology::Make({{"a", 4 * kGbit, {}}, {"b", {}, 2 * kGbit}},
                        {{0, 0, true, "h"}, {1, 1, true, "h"}},
                        std::move(paths))
      .value();
}

TEST(RoutesTest, StatedPathsAreRoutesBothWays) {
  const Topology topology =
      TwoSites({{0, 1, 8e8, 5 * kMillisecond, {}}, {1, 0, {}, {}, {}}});
  for (const auto& [from, to] : {std::pair{0, 1}, std::pair{1, 0}}) {
    const std::vector<Route> routes = RoutesBetween(topology, from, to);
    ASSERT_EQ(routes.size(), 2U);
    EXPECT_DOUBLE_EQ(routes[0].rate, 1e8);
    EXPECT_DOUBLE_EQ(routes[0].delay, 0.005);
    // What is not said of the second: the sites' lines, the shortest delay.
    EXPECT_DOUBLE_EQ(routes[1].rate, from == 0 ? 2.5e8 : 1.25e8);
    EXPECT_DOUBLE_EQ(routes[1].delay, 0.005);
  }
}

TEST(RoutesTest, WithoutPathsThereIsOne) {
  const std::vector<Route> routes = RoutesBetween(TwoSites({}), 0, 1);
  ASSERT_EQ(routes.size(), 1U);
  EXPECT_DOUBLE_EQ(routes[0].rate, 2.5e8);
  EXPECT_DOUBLE_EQ(routes[0].delay, 0.025);
}

TEST(RoutesTest, ASiteSendsWhatItsLineAndItsPathsTake) {
  EXPECT_DOUBLE_EQ(RateOut(TwoSites({}), 0), 2 * kGbit);
  EXPECT_DOUBLE_EQ(RateIn(TwoSites({}), 1), 2 * kGbit);
  const Topology narrow = TwoSites({{0, 1, 3e8, {}, {}}, {0, 1, 4e8, {}, {}}});
  EXPECT_DOUBLE_EQ(RateOut(narrow, 0), 7e8);
  EXPECT_DOUBLE_EQ(RateIn(narrow, 1), 7e8);
}

}  // namespace
}  // namespace longhaul
