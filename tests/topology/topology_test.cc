#include "topology/topology.h"

namespace longhaul {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// Two sites, ranks interleaved; rank 2 cannot leave its site.
std::vector<SiteSpec> Sites() {
  return {{"paris", 5e8, 1e9}, {"tokyo", {}, 2e8}, {"lima", {}, {}}};
}
std::vector<RankSpec> Ranks() {
  return {{0, 0, true, "p0"},
          {1, 1, true, "t0"},
          {0, 0, false, "p0"},
          {2, 2, true, "l0"},
          {1, 3, true, "t1"}};
}
std::vector<PathSpec> Paths() {
  return {{1, 0, 3e8, 110 * kMillisecond, 0.001},
          {0, 1, 1e8, 90 * kMillisecond, {}},
          {0, 2, {}, {}, {}}};
}

TEST(TopologyTest, GroupsRanksBySite) {
  const Topology topology = Topology::Make(Sites(), Ranks(), Paths()).value();
  EXPECT_EQ(topology.size(), 5);
  EXPECT_EQ(topology.site_count(), 3);
  EXPECT_THAT(topology.RanksOf(0), ElementsAre(0, 2));
  EXPECT_THAT(topology.RanksOf(1), ElementsAre(1, 4));
  EXPECT_THAT(topology.WanRanksOf(0), ElementsAre(0));
  EXPECT_THAT(topology.WanRanksOf(1), ElementsAre(1, 4));
  EXPECT_EQ(topology.IndexInSite(4), 1);
  EXPECT_EQ(topology.SiteOf(3), 2);
  EXPECT_TRUE(topology.SameSite(1, 4));
  EXPECT_FALSE(topology.SameSite(0, 1));
  EXPECT_TRUE(topology.SameProcess(0, 2));
  EXPECT_FALSE(topology.SameProcess(0, 1));
  EXPECT_EQ(topology.HostOf(4), "t1");
  EXPECT_EQ(topology.NameOf(1), "tokyo");
  EXPECT_EQ(topology.FindSite("lima"), 2);
  EXPECT_EQ(topology.FindSite("rome"), -1);
}

TEST(TopologyTest, RatesAreTheLeastOfWhatIsStated) {
  const Topology topology = Topology::Make(Sites(), Ranks(), Paths()).value();
  EXPECT_EQ(topology.RateBetween(0, 1), 2e8);  // tokyo's down
  EXPECT_EQ(topology.RateBetween(1, 0), 4e8);  // both paths together
  EXPECT_EQ(topology.RateBetween(0, 2), 5e8);  // a path without a rate
  EXPECT_EQ(topology.RateBetween(1, 2), kDefaultWanRate);
  EXPECT_EQ(topology.WanUp(0), 5e8);
  EXPECT_EQ(topology.WanUp(1), kDefaultWanRate);
  EXPECT_EQ(topology.WanDown(1), 2e8);
}

TEST(TopologyTest, DelayIsTheShortestPath) {
  const Topology topology = Topology::Make(Sites(), Ranks(), Paths()).value();
  EXPECT_EQ(topology.DelayBetween(0, 1), 90 * kMillisecond);
  EXPECT_EQ(topology.DelayBetween(1, 0), 90 * kMillisecond);
  EXPECT_EQ(topology.DelayBetween(1, 1), kDefaultLanDelay);
  EXPECT_EQ(topology.DelayBetween(0, 2), kDefaultWanDelay);
  EXPECT_TRUE(topology.HasDelay(1, 0));
  EXPECT_FALSE(topology.HasDelay(0, 2));
}

TEST(TopologyTest, PathsOfAPairKeepTheirOrder) {
  const Topology topology = Topology::Make(Sites(), Ranks(), Paths()).value();
  const std::span<const PathSpec> paths = topology.PathsBetween(1, 0);
  ASSERT_EQ(paths.size(), 2u);
  EXPECT_EQ(paths[0].rate, 3e8);
  EXPECT_EQ(paths[1].rate, 1e8);
  EXPECT_EQ(topology.PathsBetween(2, 0).size(), 1u);
  EXPECT_THAT(topology.PathsBetween(2, 1), IsEmpty());
}

TEST(TopologyTest, ShortHandsMakeWholeTopologies) {
  const Topology one = Topology::OneSite(3);
  EXPECT_THAT(one.RanksOf(0), ElementsAre(0, 1, 2));
  EXPECT_EQ(one.NameOf(0), "default");
  EXPECT_FALSE(one.SameProcess(0, 1));
  const Topology two = Topology::OfSizes(std::vector<Rank>{2, 1});
  EXPECT_THAT(two.RanksOf(1), ElementsAre(2));
  EXPECT_EQ(two.NameOf(1), "site1");
}

TEST(TopologyTest, WhateverDiffersMakesTopologiesUnequal) {
  const Topology base = Topology::Make(Sites(), Ranks(), Paths()).value();
  EXPECT_EQ(base, Topology::Make(Sites(), Ranks(), Paths()).value());
  const auto expect_other =
      [&](const std::function<void(std::vector<SiteSpec>&,
                                   std::vector<RankSpec>&,
                                   std::vector<PathSpec>&)>& change) {
        auto sites = Sites();
        auto ranks = Ranks();
        auto paths = Paths();
        change(sites, ranks, paths);
        EXPECT_FALSE(Topology::Make(sites, ranks, paths).value() == base);
      };
  expect_other([](auto& s, auto&, auto&) { s[0].name = "pari"; });
  expect_other([](auto& s, auto&, auto&) { s[1].wan_up = 2e8; });
  expect_other([](auto& s, auto&, auto&) { s[0].wan_down = {}; });
  expect_other([](auto&, auto& r, auto&) { r[4].site = 0; });
  expect_other([](auto&, auto& r, auto&) { r[4].process = 4; });
  expect_other([](auto&, auto& r, auto&) { r[4].wan = false; });
  expect_other([](auto&, auto& r, auto&) { r[4].host = "t2"; });
  expect_other([](auto&, auto&, auto& p) { p[0].rate = 2e8; });
  expect_other([](auto&, auto&, auto& p) { p[0].delay = {}; });
  expect_other([](auto&, auto&, auto& p) { p[0].delay = 0; });
  expect_other([](auto&, auto&, auto& p) { p[0].loss = 0; });
  expect_other([](auto&, auto&, auto& p) { p.pop_back(); });
}

TEST(TopologyTest, DirectionOfAPathDoesNotMatter) {
  auto turned = Paths();
  for (PathSpec& path : turned) {
    std::swap(path.a, path.b);
    std::swap(path.via[0], path.via[1]);
  }
  EXPECT_EQ(Topology::Make(Sites(), Ranks(), Paths()).value(),
            Topology::Make(Sites(), Ranks(), turned).value());
}

TEST(TopologyTest, RefusesWhatMakesNoSense) {
  const auto refusal = [](const Result<Topology>& result) {
    EXPECT_EQ(result.status().code(), StatusCode::kInvalidArgument);
    return result.status().text();
  };
  EXPECT_THAT(refusal(Topology::Make(Sites(), {})), HasSubstr("no ranks"));
  EXPECT_THAT(refusal(Topology::Make({{"a", {}, {}}}, {{1, 0, true, ""}})),
              HasSubstr("rank 0 is in site 1 of 1"));
  EXPECT_THAT(refusal(Topology::Make({{"a", {}, {}}}, {{-1, 0, true, ""}})),
              HasSubstr("rank 0 is in site -1"));
  EXPECT_THAT(refusal(Topology::Make({{"a", {}, {}}, {"b", {}, {}}},
                                     {{0, 0, true, ""}})),
              HasSubstr("site b has no rank"));
  EXPECT_THAT(refusal(Topology::Make({{"a", {}, {}}, {"a", {}, {}}},
                                     {{0, 0, true, ""}, {1, 1, true, ""}})),
              HasSubstr("two sites are named a"));
  EXPECT_THAT(refusal(Topology::Make({{"a", {}, {}}, {"b", {}, {}}},
                                     {{0, 0, true, ""}, {1, 1, false, ""}})),
              HasSubstr("no rank of site b has access to the WAN"));
  EXPECT_THAT(refusal(Topology::Make({{"a", 0., {}}}, {{0, 0, true, ""}})),
              HasSubstr("rate of site a"));
  EXPECT_FALSE(Topology::Make(Sites(), Ranks(), {{0, 0, {}, {}, {}}}).ok());
  EXPECT_FALSE(Topology::Make(Sites(), Ranks(), {{0, 3, {}, {}, {}}}).ok());
  EXPECT_FALSE(Topology::Make(Sites(), Ranks(), {{0, 1, -1., {}, {}}}).ok());
  EXPECT_FALSE(Topology::Make(Sites(), Ranks(), {{0, 1, {}, -1, {}}}).ok());
  EXPECT_FALSE(Topology::Make(Sites(), Ranks(), {{0, 1, {}, {}, 1.}}).ok());
}

// A site alone needs no WAN.
TEST(TopologyTest, OneSiteMayLackWanAccess) {
  EXPECT_TRUE(Topology::Make({{"a", {}, {}}}, {{0, 0, false, ""}}).ok());
}

}  // namespace
}  // namespace longhaul
