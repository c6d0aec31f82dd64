#include "plan/plan.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "plan/plan_report.h"

namespace longhaul::plan {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr const char* kFile = R"(
[[site]]
name = "paris"
hosts = ["node0", "node1", "gpu-a*"]
wan = { up = "150mbit", down = "150mbit" }
no_wan_hosts = ["node1"]
[[site]]
name = "tokyo"
hosts = ["gpu-b*"]
wan = { up = "200mbit", down = "200mbit" }
[[site]]
name = "lima"
wan = { up = "250mbit" }
[[path]]
between = ["paris", "tokyo"]
delay = "25ms"
[[path]]
between = ["paris", "lima"]
delay = "25ms"
)";

class PlanTest : public ::testing::Test {
 protected:
  Topology Sites() const { return TopologyFor(file_, job_).value(); }
  Choice For(uint64_t bytes) const {
    const Topology topology = Sites();
    return ChooseFor(bytes, topology, SharesOf(topology), job_).value();
  }
  std::string TextOf(const std::vector<Choice>& choices) const {
    const Topology topology = Sites();
    return PlanText("a.toml", file_, topology, SharesOf(topology), job_,
                    choices);
  }
  nlohmann::json JsonOf(const std::vector<Choice>& choices) const {
    const Topology topology = Sites();
    return nlohmann::json::parse(
        PlanJson("a.toml", file_, topology, SharesOf(topology), job_, choices));
  }

  TopologyFile file_ = TopologyFile::Parse(kFile, "a.toml").value();
  Job job_;
};

TEST_F(PlanTest, HostsAreTheExactNamesOrOne) {
  const Topology topology = Sites();
  EXPECT_EQ(topology.RanksOf(0).size(), 2U);
  EXPECT_EQ(topology.WanRanksOf(0).size(), 1U);
  EXPECT_EQ(topology.RanksOf(1).size(), 1U);
  EXPECT_EQ(topology.RanksOf(2).size(), 1U);
}

TEST_F(PlanTest, HostsOfTheJobWinAndHaveRanks) {
  job_.hosts = {{"paris", 4}, {"lima", 2}};
  job_.ranks_per_host = 8;
  const Topology topology = Sites();
  EXPECT_EQ(topology.RanksOf(0).size(), 32U);
  EXPECT_EQ(topology.WanRanksOf(0).size(), 24U);  // not node1's
  EXPECT_EQ(topology.RanksOf(1).size(), 8U);
  EXPECT_EQ(topology.RanksOf(2).size(), 16U);
  job_.hosts = {{"paris", 1}};
  EXPECT_EQ(Sites().RanksOf(0).size(), 8U);
}

TEST_F(PlanTest, WhatIsNoJobIsRefused) {
  job_.hosts = {{"rome", 1}};
  EXPECT_THAT(TopologyFor(file_, job_).status().text(), HasSubstr("rome"));
  job_.hosts = {{"paris", 1 << 12}};
  job_.ranks_per_host = 1 << 12;
  EXPECT_THAT(TopologyFor(file_, job_).status().text(),
              HasSubstr("more than 65536 ranks"));
  EXPECT_THAT(TopologyFor(TopologyFile(), Job()).status().text(),
              HasSubstr("no [[site]]"));
}

TEST_F(PlanTest, SizesAreElements) {
  const Topology topology = Sites();
  const auto refused = ChooseFor(1001, topology, SharesOf(topology), job_);
  EXPECT_THAT(refused.status().text(), HasSubstr("1001 bytes"));
  job_.type = DataType::kInt8;
  EXPECT_TRUE(ChooseFor(1001, topology, SharesOf(topology), job_).ok());
}

TEST_F(PlanTest, TheChoiceIsTheCheapestAndNothingBeatsTheBound) {
  job_.simulate = true;
  for (const auto& [bytes, chosen] :
       {std::pair{uint64_t{1} << 12, Algorithm::kHierarchical},
        std::pair{uint64_t{64} << 20, Algorithm::kSharded}}) {
    const Choice choice = For(bytes);
    EXPECT_EQ(choice.chosen, chosen);
    const Candidate* best = nullptr;
    for (const Candidate& candidate : choice.candidates) {
      if (candidate.algorithm == chosen) best = &candidate;
    }
    ASSERT_NE(best, nullptr);
    for (const Candidate& candidate : choice.candidates) {
      if (!candidate.refusal.ok()) continue;
      EXPECT_GE(candidate.seconds, best->seconds);
      EXPECT_GE(*candidate.simulated, choice.bound * 0.999999);
      EXPECT_NEAR(candidate.seconds, *candidate.simulated,
                  0.2 * candidate.seconds);
    }
  }
}

TEST_F(PlanTest, TextSaysWhatIsKnownAndWhatIsAssumed) {
  const std::string text = TextOf({For(uint64_t{64} << 20)});
  EXPECT_THAT(text, HasSubstr("a.toml: 3 sites, 4 ranks\n"));
  EXPECT_THAT(text, HasSubstr("250mbit  1gbit (assumed)"));
  EXPECT_THAT(text, testing::ContainsRegex("tokyo - lima +25ms .assumed."));
  EXPECT_THAT(text, testing::ContainsRegex("paris - lima +25ms +150mbit"));
  EXPECT_THAT(text, HasSubstr("64M per rank (16777216 f32): sharded\n"));
  EXPECT_THAT(text, HasSubstr("\n  * sharded"));
  EXPECT_THAT(text, HasSubstr("66.7 %"));
  // Why a schedule is out of the question: one door to a site of two.
  EXPECT_THAT(text, HasSubstr("not possible: algorithm ring needs 2 ranks"));
  EXPECT_THAT(text, Not(HasSubstr("simulated")));
}

TEST_F(PlanTest, TextListsThePathsOfAPair) {
  file_.paths.push_back({0, 1, 3e8, 110 * kMillisecond, {}});
  const std::string text = TextOf({});
  EXPECT_THAT(text,
              testing::ContainsRegex("paris - tokyo +25ms +that of the sites\n"
                                     " +paris - tokyo +110ms +300mbit\n"));
}

TEST_F(PlanTest, JsonHasTheSame) {
  const nlohmann::json json =
      JsonOf({For(uint64_t{64} << 20), For(uint64_t{0})});
  EXPECT_EQ(json["sites"].size(), 3U);
  EXPECT_EQ(json["sites"][2]["down_stated"], false);
  EXPECT_NEAR(json["sites"][2]["share"], 2. / 3, 1e-4);
  EXPECT_EQ(json["lines"].size(), 3U);
  EXPECT_EQ(json["lines"][0]["delay_seconds"], 0.025);
  EXPECT_EQ(json["lines"][2]["delay_stated"], false);
  const nlohmann::json& size = json["sizes"][0];
  EXPECT_EQ(size["bytes"], 64 << 20);
  EXPECT_EQ(size["chosen"], "sharded");
  EXPECT_GT(size["schedules"][1]["estimated_of_bound"], 1);
  EXPECT_TRUE(size["schedules"][2].contains("refusal"));
  EXPECT_EQ(json["sizes"][1]["chosen"], "hierarchical");
}

TEST_F(PlanTest, NothingCanBeDoneWithAVectorTooLongToCount) {
  const Choice choice = For(uint64_t{1} << 60);
  EXPECT_FALSE(choice.chosen.has_value());
  EXPECT_THAT(TextOf({choice}), HasSubstr("f32): not possible\n"));
  EXPECT_EQ(JsonOf({choice})["sizes"][0]["chosen"], nullptr);
}

TEST_F(PlanTest, OneSiteHasNoLines) {
  file_.sites.resize(1);
  file_.paths.clear();
  const std::string text = TextOf({For(1 << 20)});
  EXPECT_THAT(text, HasSubstr("a.toml: 1 site, 2 ranks\n"));
  EXPECT_THAT(text, Not(HasSubstr("between")));
  EXPECT_THAT(text, Not(HasSubstr("share")));
}

}  // namespace
}  // namespace longhaul::plan
