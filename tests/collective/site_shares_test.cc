#include "collective/site_shares.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <random>
#include <vector>

namespace longhaul {
namespace {

Topology WithRates(const std::vector<double>& up,
                   const std::vector<double>& down) {
  std::vector<SiteSpec> sites;
  std::vector<RankSpec> ranks;
  for (size_t i = 0; i < up.size(); ++i) {
    sites.push_back({"site" + std::to_string(i), up[i], down[i]});
    ranks.push_back(
        {static_cast<SiteIndex>(i), static_cast<int32_t>(i), true, "h"});
  }
  return Topology::Make(std::move(sites), std::move(ranks)).value();
}

std::vector<double> Fractions(const SiteShares& shares) {
  std::vector<double> fractions;
  for (SiteIndex i = 0; i < shares.sites(); ++i) {
    fractions.push_back(shares.FractionOf(i));
  }
  return fractions;
}

std::vector<double> FractionsFor(const std::vector<double>& rates) {
  return Fractions(SharesOf(WithRates(rates, rates)));
}

void ExpectNear(const std::vector<double>& a, const std::vector<double>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i], b[i], 1e-5) << i;
}

TEST(SiteSharesTest, LikeSitesShareEqually) {
  ExpectNear(FractionsFor({1e9, 1e9}), {0.5, 0.5});
  ExpectNear(FractionsFor({1e9, 1e9, 1e9}), {1. / 3, 1. / 3, 1. / 3});
  ExpectNear(FractionsFor({1e6, 1e12}), {0.5, 0.5});
}

TEST(SiteSharesTest, SlowSitesHaveLessAndTheSlowestMayHaveNone) {
  // T = 2 (k - 1) S / sum B: x_i = (6 B_i / sum B - 1) / 2.
  ExpectNear(FractionsFor({130e6, 200e6, 200e6, 200e6}),
             {25. / 730, 235. / 730, 235. / 730, 235. / 730});
  // The slowest decides: T = S / B_min.
  ExpectNear(FractionsFor({150e6, 200e6, 250e6}), {0, 1. / 3, 2. / 3});
  ExpectNear(FractionsFor({1e6, 1e9, 1e9, 1e9}), {0, 1. / 3, 1. / 3, 1. / 3});
}

TEST(SiteSharesTest, TheSlowerDirectionCounts) {
  const std::vector<double> slow_up = {1e8, 3e8, 2.5e8};
  const std::vector<double> slow_down = {5e8, 2e8, 2.5e8};
  const std::vector<double> least = {1e8, 2e8, 2.5e8};
  EXPECT_EQ(SharesOf(WithRates(slow_up, slow_down)),
            SharesOf(WithRates(least, least)));
}

// The greatest time a site's line is busy, per byte of the vector.
double Busiest(const std::vector<double>& rates,
               const std::vector<double>& fractions) {
  const auto k = static_cast<double>(rates.size());
  double busiest = 0;
  for (size_t i = 0; i < rates.size(); ++i) {
    busiest = std::max(busiest, (1 + (k - 2) * fractions[i]) / rates[i]);
  }
  return busiest;
}

TEST(SiteSharesTest, NoSharesAreBetterAndTheBoundIsReached) {
  std::mt19937 random(11);
  for (int trial = 0; trial < 500; ++trial) {
    std::vector<double> rates(3 + random() % 6);
    double sum = 0;
    for (double& rate : rates) {
      rate = static_cast<double>(1 + random() % 1000);
      sum += rate;
    }
    const double least = *std::min_element(rates.begin(), rates.end());
    const auto k = static_cast<double>(rates.size());
    EXPECT_NEAR(Busiest(rates, FractionsFor(rates)),
                std::max(1 / least, 2 * (k - 1) / sum), 1e-4 / least);
  }
}

TEST(SiteSharesTest, PartsOfAllSitesCoverEveryVector) {
  std::mt19937_64 random(2);
  for (int trial = 0; trial < 500; ++trial) {
    std::vector<uint64_t> weights(1 + random() % 32);
    for (uint64_t& weight : weights) {
      weight = random() % (SiteShares::kMostWeight + 1);
    }
    const SiteShares shares = SiteShares::OfWeights(weights);
    const uint64_t begin = random() % 1000;
    const Interval all = {begin, begin + (random() >> (random() % 44 + 20))};
    uint64_t next = begin;
    for (SiteIndex site = 0; site < shares.sites(); ++site) {
      const Interval part = shares.Cut(all, site);
      EXPECT_EQ(part.begin, next);
      EXPECT_GE(part.end, part.begin);
      EXPECT_NEAR(static_cast<double>(part.count()),
                  static_cast<double>(all.count()) * shares.FractionOf(site),
                  1.001);
      next = part.end;
    }
    EXPECT_EQ(next, all.end);
  }
}

TEST(SiteSharesTest, WeightsOfNothingAreEqualShares) {
  const std::array<uint64_t, 4> none = {};
  const std::array<uint64_t, 4> ones = {1, 1, 1, 1};
  EXPECT_EQ(SiteShares::OfWeights(none), SiteShares::OfWeights(ones));
}

TEST(SiteSharesTest, SharesThatDifferHashApart) {
  const std::array<uint64_t, 3> ours = {1, 2, 3};
  const std::array<uint64_t, 3> theirs = {1, 3, 2};
  EXPECT_NE(SiteShares::OfWeights(ours).Hash(),
            SiteShares::OfWeights(theirs).Hash());
}

TEST(SiteSharesTest, TooManySitesHaveNone) {
  const std::vector<double> rates(33, 1e9);
  EXPECT_EQ(SharesOf(WithRates(rates, rates)), SiteShares());
}

}  // namespace
}  // namespace longhaul
