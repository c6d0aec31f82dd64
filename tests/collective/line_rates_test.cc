#include "collective/line_rates.h"

#include <array>

#include "collective/rate_planner.h"
#include "collective/site_shares.h"
#include "support/pch.h"

namespace longhaul {
namespace {

constexpr double kGoodput = 0.96;

Topology Sites(const std::vector<double>& mbits) {
  std::vector<SiteSpec> sites;
  std::vector<RankSpec> ranks;
  for (size_t i = 0; i < mbits.size(); ++i) {
    SiteSpec site{"site" + std::to_string(i), {}, {}};
    if (mbits[i] > 0) site.wan_up = site.wan_down = mbits[i] * 1e6;
    sites.push_back(site);
    ranks.push_back(
        {static_cast<SiteIndex>(i), static_cast<int32_t>(i), true, ""});
  }
  return Topology::Make(sites, ranks).value();
}

// What sites of one process each tell: line rates in Mbit/s.
std::vector<double> Told(const std::vector<double>& mbits, bool limited) {
  std::vector<double> told(kToldPerSite * mbits.size());
  for (size_t i = 0; i < mbits.size(); ++i) {
    const double bytes = mbits[i] * 1e6 / 8 * kGoodput;
    Tell(static_cast<SiteIndex>(i), {bytes, bytes, limited}, told);
  }
  return told;
}

std::optional<Topology> Replanned(const Topology& planned,
                                  const std::vector<double>& told) {
  return longhaul::Replanned(planned, SharesOf(planned), told, kGoodput);
}

TEST(LineRates, ProcessesOfASiteAddUp) {
  std::array<double, 2 * kToldPerSite> told{};
  Tell(1, {10, 20, true}, told);
  Tell(1, {1, 2, false}, told);
  Tell(0, {5, 6, true}, told);
  EXPECT_THAT(told, testing::ElementsAre(5, 6, 0, 11, 22, 1));
}

TEST(LineRates, WhatWasSeenTakesThePlaceOfWhatNobodyStated) {
  const auto seen = Replanned(Sites({0, 0, 0}), Told({100, 200, 300}, false));
  ASSERT_TRUE(seen.has_value());
  EXPECT_NEAR(seen->WanUp(0), 100e6, 1);
  EXPECT_NEAR(seen->WanDown(2), 300e6, 1);
  EXPECT_TRUE(SharesOf(*seen) == SharesOf(Sites({100, 200, 300})));
}

TEST(LineRates, ALineThatHasBecomeNarrowForGoodIsPlannedWith) {
  const auto seen =
      Replanned(Sites({200, 200, 200}), Told({200, 200, 100}, true));
  ASSERT_TRUE(seen.has_value());
  EXPECT_NEAR(std::min(seen->WanUp(2), seen->WanDown(2)), 100e6, 1);
}

// A site that had no use for more says little of what it could do.
TEST(LineRates, WhatWasNotLimitedIsNotNarrow) {
  EXPECT_FALSE(Replanned(Sites({150, 200, 250}), Told({150, 200, 170}, false)));
}

TEST(LineRates, WhatChangesLittleChangesNothing) {
  EXPECT_FALSE(Replanned(Sites({200, 200, 200}), Told({190, 200, 205}, true)));
}

TEST(LineRates, WithoutWordOfEverySiteNothingChanges) {
  EXPECT_FALSE(Replanned(Sites({0, 0, 0}), Told({100, 0, 300}, true)));
  auto told = Told({100, 100, 300}, true);
  told[0] = std::numeric_limits<double>::quiet_NaN();
  EXPECT_FALSE(Replanned(Sites({0, 0, 0}), told));
}

// No shares are made for so many.
TEST(RatePlanner, HasNothingToDoForTwoSitesOrForVeryMany) {
  EXPECT_FALSE(RatePlanner(Sites({0, 0}), 0).Matters());
  EXPECT_TRUE(RatePlanner(Sites({0, 0, 0}), 0).Matters());
  EXPECT_TRUE(RatePlanner(Sites(std::vector<double>(32)), 0).Matters());
  EXPECT_FALSE(RatePlanner(Sites(std::vector<double>(33)), 0).Matters());
}

}  // namespace
}  // namespace longhaul
