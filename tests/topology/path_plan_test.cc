#include "topology/path_plan.h"

#include <set>

namespace longhaul {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::UnorderedElementsAre;

// "p0 10.0.0.1" each; without a label just the address.
PathEnd End(uint64_t incarnation, const std::string& host,
            const std::vector<std::string>& addresses) {
  PathEnd end{incarnation, host, {}, {}};
  for (const std::string& text : addresses) {
    const size_t blank = text.find(' ');
    const bool labelled = blank != std::string::npos;
    end.labels.push_back(labelled ? text.substr(0, blank) : "");
    end.addresses.push_back(
        Address::ParseHost(labelled ? text.substr(blank + 1) : text, 5000)
            .value());
  }
  return end;
}

PathPlan Plan(const PathEnd& own, const PathEnd& peer,
              const std::vector<PathRule>& rules = {},
              const RateLimits& limits = {}) {
  const Result<PathPlan> plan = PlanPaths(own, peer, rules, limits);
  EXPECT_TRUE(plan.ok()) << plan.status().text();
  return plan.ok() ? *plan : PathPlan();
}

std::vector<std::string> Names(const PathPlan& plan) {
  std::vector<std::string> names;
  for (const PlannedPath& path : plan.paths) names.push_back(path.name);
  return names;
}

std::vector<uint16_t> Numbers(const PathPlan& plan) {
  std::vector<uint16_t> numbers;
  for (const PlannedPath& path : plan.paths) numbers.push_back(path.number);
  return numbers;
}

const PathEnd kHere = End(10, "a", {"p0 10.0.0.1", "p1 10.1.0.1"});
const PathEnd kThere = End(20, "b", {"p0 10.0.9.7", "p1 10.1.9.7"});

TEST(PathPlanTest, AllPairsWithEqualNamesAndDisjointOnesFirst) {
  const PathPlan plan = Plan(kHere, kThere);
  EXPECT_THAT(Names(plan), ElementsAre("10.0.0.1 -> 10.0.9.7 (p0)",
                                       "10.1.0.1 -> 10.1.9.7 (p1)",
                                       "10.0.0.1 -> 10.1.9.7 (p0>p1)",
                                       "10.1.0.1 -> 10.0.9.7 (p1>p0)"));
  EXPECT_EQ(plan.paths[0].remote.port, 5000);
  EXPECT_TRUE(plan.paths[0].guessed);

  const PathEnd turned = End(20, "b", {"p1 10.1.9.7", "p0 10.0.9.7"});
  EXPECT_EQ(Names(Plan(kHere, turned))[1], "10.1.0.1 -> 10.1.9.7 (p1)");
  const PathEnd named = End(20, "b", {"eth4 10.1.9.7", "eth5 10.0.9.7"});
  EXPECT_THAT(Names(Plan(kHere, named)),
              ElementsAre("10.0.0.1 -> 10.1.9.7 (p0>eth4)",
                          "10.1.0.1 -> 10.0.9.7 (p1>eth5)",
                          "10.0.0.1 -> 10.0.9.7 (p0>eth5)",
                          "10.1.0.1 -> 10.1.9.7 (p1>eth4)"));
}

TEST(PathPlanTest, BothSidesGiveAPathTheSameNumber) {
  const PathPlan here = Plan(kHere, kThere);
  const PathPlan there = Plan(kThere, kHere);
  EXPECT_THAT(Numbers(here), ElementsAre(0, 65, 1, 64));
  EXPECT_EQ(Numbers(there), Numbers(here));
  for (size_t i = 0; i < here.paths.size(); ++i) {
    EXPECT_EQ(here.paths[i].local, there.paths[i].remote);
    EXPECT_EQ(here.paths[i].remote, there.paths[i].local);
  }
}

TEST(PathPlanTest, SixteenAreTheMostAndBothSidesCutTheSame) {
  PathEnd here{10, "a", {}, {}};
  PathEnd there{20, "b", {}, {}};
  for (int i = 0; i < 8; ++i) {
    const std::string digit = std::to_string(i);
    here.addresses.push_back(
        Address::ParseHost("10." + digit + ".0.1", 80).value());
    here.labels.push_back("p" + digit);
    there.addresses.insert(
        there.addresses.begin(),
        Address::ParseHost("10." + digit + ".0.2", 80).value());
    there.labels.insert(there.labels.begin(), "p" + digit);
  }
  const PathPlan plan = Plan(here, there);
  ASSERT_EQ(plan.paths.size(), kMostPaths);
  std::set<Address> used;
  for (size_t i = 0; i < 8; ++i) {
    used.insert(plan.paths[i].local);
    EXPECT_EQ(plan.paths[i].local.bytes[1], plan.paths[i].remote.bytes[1]);
  }
  EXPECT_EQ(used.size(), 8u);
  EXPECT_EQ(Numbers(Plan(there, here)), Numbers(plan));
}

TEST(PathPlanTest, FamiliesAndLoopbackAndLinksPairWithTheirLike) {
  const PathEnd here =
      End(10, "a", {"10.0.0.1", "fd00::1", "127.0.0.1", "fe80::1"});
  const PathEnd there =
      End(20, "b", {"fd00::2", "10.0.0.2", "127.0.0.2", "fe80::2"});
  EXPECT_THAT(Names(Plan(here, there)),
              UnorderedElementsAre("10.0.0.1 -> 10.0.0.2", "fd00::1 -> fd00::2",
                                   "127.0.0.1 -> 127.0.0.2"));
}

TEST(PathPlanTest, LinkLocalAddressesWhenThereIsNothingElse) {
  PathEnd here = End(10, "a", {"eth0 fe80::1"});
  here.addresses[0].scope = 3;
  const PathPlan plan = Plan(here, End(20, "b", {"eth0 fe80::2"}));
  ASSERT_EQ(plan.paths.size(), 1u);
  EXPECT_EQ(plan.paths[0].remote.scope, 3u);
}

TEST(PathPlanTest, OneVersionOfIpBetweenTwoInterfaces) {
  const PathEnd here =
      End(10, "a", {"p0 10.0.0.1", "p0 fd00::1", "p1 fd01::1", "p1 fd01::11"});
  const PathEnd there =
      End(20, "b", {"p0 10.0.0.2", "p0 fd00::2", "p1 fd01::2", "p1 fd01::22"});
  EXPECT_THAT(
      Names(Plan(here, there)),
      ElementsAre("10.0.0.1 -> 10.0.0.2 (p0)", "fd01::1 -> fd01::2 (p1)",
                  "fd00::1 -> fd01::2 (p0>p1)", "fd01::1 -> fd00::2 (p1>p0)"));
}

TEST(PathPlanTest, WhatIsLeftOutCanBeAskedForByAddress) {
  const PathEnd here =
      End(10, "a", {"p0 10.0.0.1", "p0 fd00::1", "p0 fe80::1"});
  const PathEnd there =
      End(20, "b", {"p0 10.0.0.2", "p0 fd00::2", "p0 fe80::2"});
  EXPECT_EQ(Plan(here, there, {{"p0", "p0"}}).paths.size(), 1u);
  EXPECT_THAT(
      Names(
          Plan(here, there, {{"fd00::1", "fd00::2"}, {"fe80::1", "fe80::2"}})),
      ElementsAre("fd00::1 -> fd00::2 (p0)", "fe80::1 -> fe80::2 (p0)"));
}

TEST(PathPlanTest, AddressesThatBothHaveLeadNowhere) {
  const PathEnd here =
      End(10, "localhost", {"docker0 172.17.0.1", "eth0 10.0.0.1"});
  const PathEnd there =
      End(20, "localhost", {"docker0 172.17.0.1", "eth0 10.0.0.2"});
  EXPECT_THAT(Names(Plan(here, there)),
              ElementsAre("10.0.0.1 -> 10.0.0.2 (eth0)"));
}

TEST(PathPlanTest, OnOneHostEveryAddressWithItself) {
  const std::vector<std::string> addresses = {"lo 127.0.0.1", "eth0 10.0.0.1",
                                              "eth1 10.1.0.1"};
  EXPECT_THAT(
      Names(Plan(End(10, "a", addresses), End(20, "a", addresses))),
      ElementsAre("127.0.0.1 -> 127.0.0.1 (lo)", "10.0.0.1 -> 10.0.0.1 (eth0)",
                  "10.1.0.1 -> 10.1.0.1 (eth1)"));
  // A handle has no host, and not all addresses.
  EXPECT_THAT(Names(Plan(End(10, "a", addresses), End(20, "", {"10.0.0.1"}))),
              ElementsAre("10.0.0.1 -> 10.0.0.1 (eth0)"));
  // Another host, and nothing but what both have.
  EXPECT_FALSE(PlanPaths(End(10, "a", {"lo 127.0.0.1"}),
                         End(20, "b", {"lo 127.0.0.1"}), {}, {})
                   .ok());
}

TEST(PathPlanTest, RulesSayWhichAndInWhichOrder) {
  const PathPlan plan = Plan(kHere, kThere, {{"p1", "p1"}, {"p0", "p1"}});
  EXPECT_THAT(Names(plan), ElementsAre("10.1.0.1 -> 10.1.9.7 (p1)",
                                       "10.0.0.1 -> 10.1.9.7 (p0>p1)"));
  EXPECT_FALSE(plan.paths[0].guessed);
  EXPECT_THAT(
      Names(Plan(kHere, kThere, {{"10.0.0.1", "10.1.9.7"}, {"p1", "p1"}})),
      ElementsAre("10.0.0.1 -> 10.1.9.7 (p0>p1)", "10.1.0.1 -> 10.1.9.7 (p1)"));
  // Twice the same is one path.
  EXPECT_EQ(
      Plan(kHere, kThere, {{"p0", "p0"}, {"p0", "10.0.9.7"}}).paths.size(), 1u);
}

TEST(PathPlanTest, OneListServesBothEnds) {
  const PathEnd there = End(20, "b", {"eth0 10.0.9.7", "eth1 10.1.9.7"});
  const std::vector<PathRule> rules = {{"p0", "eth1"}, {"p1", "eth0"}};
  EXPECT_THAT(Names(Plan(kHere, there, rules)),
              ElementsAre("10.0.0.1 -> 10.1.9.7 (p0>eth1)",
                          "10.1.0.1 -> 10.0.9.7 (p1>eth0)"));
  EXPECT_THAT(Names(Plan(there, kHere, rules)),
              ElementsAre("10.1.9.7 -> 10.0.0.1 (eth1>p0)",
                          "10.0.9.7 -> 10.1.0.1 (eth0>p1)"));
}

TEST(PathPlanTest, AnInterfacesAddressesPairOneByOne) {
  const PathEnd here =
      End(10, "a", {"p0 10.0.0.1", "p0 10.0.0.2", "p0 fd00::1"});
  const PathEnd there =
      End(20, "b", {"p0 10.0.9.1", "p0 10.0.9.2", "p0 fd00::2"});
  EXPECT_THAT(
      Names(Plan(here, there, {{"p0", "p0"}})),
      ElementsAre("10.0.0.1 -> 10.0.9.1 (p0)", "10.0.0.2 -> 10.0.9.2 (p0)"));
}

TEST(PathPlanTest, RulesWithoutAPairAreTold) {
  const PathPlan plan =
      Plan(kHere, kThere, {{"p0", "p0"}, {"p7", "p7"}, {"p1", "eth9"}});
  EXPECT_EQ(plan.paths.size(), 1u);
  EXPECT_EQ(plan.unmet, "p7,p1>eth9");
  EXPECT_EQ(Plan(kHere, kThere).unmet, "");
}

TEST(PathPlanTest, NothingUsableSaysWhatThereIs) {
  const Result<PathPlan> plan =
      PlanPaths(kHere, kThere, std::vector<PathRule>{{"p0", "ib0"}}, {});
  EXPECT_EQ(plan.status().code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(plan.status().text(),
              AllOf(HasSubstr("here are: p0 10.0.0.1, p1 10.1.0.1;"),
                    HasSubstr("there are: p0 10.0.9.7, p1 10.1.9.7;"),
                    HasSubstr("LONGHAUL_PATHS (p0>ib0)"),
                    HasSubstr("LONGHAUL_INTERFACES")));
  EXPECT_THAT(
      PlanPaths(kHere, End(20, "b", {"p0 fd00::1"}), {}, {}).status().text(),
      HasSubstr("LONGHAUL_PATHS (auto)"));
}

// NCCL's handles have no room for the names of interfaces.
TEST(PathPlanTest, APeerWithoutLabelsIsJoinedInAllWays) {
  const PathEnd there = End(20, "", {"10.0.9.7", "10.1.9.7"});
  const PathPlan plan = Plan(kHere, there, {{"p0", "p0"}});
  EXPECT_EQ(plan.paths.size(), 4u);
  EXPECT_EQ(plan.paths[0].name, "10.0.0.1 -> 10.0.9.7 (p0)");
  EXPECT_EQ(plan.unmet, "");
  // Unless the rules get by without.
  EXPECT_EQ(Plan(kHere, there, {{"p1", "10.1.9.7"}}).paths.size(), 1u);
}

TEST(PathPlanTest, LimitsAreByTheInterfaceHereInBytes) {
  const PathPlan every = Plan(kHere, kThere, {}, {8e6, {}});
  for (const PlannedPath& path : every.paths) EXPECT_EQ(path.rate_limit, 1e6);
  const RateLimits some{0, {{"p0", 8e6}, {"10.1.9.7", 16e6}}};
  const PathPlan here = Plan(kHere, kThere, {}, some);
  EXPECT_EQ(here.paths[0].rate_limit, 1e6);
  EXPECT_EQ(here.paths[1].rate_limit, 0);
  const PathPlan there = Plan(kThere, kHere, {}, some);
  EXPECT_EQ(there.paths[0].rate_limit, 1e6);
  EXPECT_EQ(there.paths[1].rate_limit, 2e6);
}

TEST(PathPlanTest, NoMoreThanSixtyFourAddressesArePartOfPaths) {
  PathEnd here{10, "a", {}, {}};
  for (int i = 0; i < 70; ++i) {
    here.addresses.push_back(
        Address::ParseHost("10.0.0." + std::to_string(i), 80).value());
  }
  const PathEnd there = End(20, "b", {"p0 10.9.0.1"});
  EXPECT_EQ(Plan(here, there).paths.size(), kMostPaths);
  const std::vector<PathRule> rules = {{"10.0.0.65", "p0"}};
  EXPECT_FALSE(PlanPaths(here, there, rules, {}).ok());
}

}  // namespace
}  // namespace longhaul
