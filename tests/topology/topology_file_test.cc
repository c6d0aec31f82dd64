#include "topology/topology_file.h"

#include <cstdio>
#include <fstream>
#include <set>

namespace longhaul {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

constexpr const char* kGood = R"(# two sites
[[site]]
name = "paris"
hosts = ["node0", "gpu-a*"]
wan = { up = "500mbit", down = "1gbit" }
no_wan_hosts = ["gpu-a7"]

[[site]]
name = "tokyo"
hosts = ["node*"]

[[path]]
between = ["tokyo", "paris"]
rate = "300mbit"
delay = "110ms"
loss = 0.0001
)";

TopologyFile Good() { return TopologyFile::Parse(kGood, "lab.toml").value(); }

std::string Refusal(const std::string& text) {
  const auto result = TopologyFile::Parse(text, "lab.toml");
  EXPECT_EQ(result.status().code(), StatusCode::kInvalidArgument) << text;
  return result.status().text();
}

TEST(TopologyFileTest, ReadsSitesAndPaths) {
  const TopologyFile file = Good();
  ASSERT_EQ(file.sites.size(), 2u);
  EXPECT_EQ(file.sites[0].spec, (SiteSpec{"paris", 5e8, 1e9}));
  EXPECT_EQ(file.sites[1].spec, (SiteSpec{"tokyo", {}, {}}));
  EXPECT_THAT(file.sites[0].hosts, ElementsAre("node0", "gpu-a*"));
  EXPECT_THAT(file.paths,
              ElementsAre(PathSpec{1, 0, 3e8, 110 * kMillisecond, 0.0001}));
}

TEST(TopologyFileTest, FingerprintIsOfWhatTheFileSaysNotHow) {
  const TopologyFile same =
      TopologyFile::Parse("#\n" + std::string(kGood) + "\n", "other").value();
  EXPECT_EQ(same.Fingerprint(), Good().Fingerprint());
  // The same on every machine and in every build.
  EXPECT_EQ(Good().Fingerprint(), 0xea64ebb196e0f326u);
}

TEST(TopologyFileTest, FingerprintTellsDifferencesApart) {
  std::set<uint64_t> seen = {0, Good().Fingerprint()};
  const auto expect_new = [&](const auto& change) {
    TopologyFile file = Good();
    change(file);
    EXPECT_TRUE(seen.insert(file.Fingerprint()).second);
  };
  expect_new([](auto& file) { file.sites[0].spec.name = "pari"; });
  expect_new([](auto& file) { file.sites[0].spec.wan_up = 4e8; });
  expect_new([](auto& file) { file.sites[0].spec.wan_down = {}; });
  expect_new([](auto& file) { file.sites[0].hosts.pop_back(); });
  expect_new([](auto& file) { file.sites[0].no_wan_hosts[0] = "gpu-a8"; });
  // The same texts, in the other list.
  expect_new([](auto& file) {
    file.sites[0].hosts.push_back("gpu-a7");
    file.sites[0].no_wan_hosts.clear();
  });
  expect_new([](auto& file) { std::swap(file.sites[0], file.sites[1]); });
  expect_new([](auto& file) { file.paths[0].rate = 2e8; });
  expect_new([](auto& file) { file.paths[0].delay = {}; });
  expect_new([](auto& file) { file.paths[0].delay = 0; });
  expect_new([](auto& file) { file.paths[0].loss = 0; });
  expect_new([](auto& file) { file.paths[0].via = {"p0", "p1"}; });
  expect_new([](auto& file) { file.paths[0].via = {"p1", "p0"}; });
  expect_new([](auto& file) { file.paths.clear(); });
}

TEST(TopologyFileTest, ViaSaysWhichInterfacesMakeAPath) {
  const TopologyFile file =
      TopologyFile::Parse(
          "[[site]]\nname='a'\n[[site]]\nname='b'\n[[site]]\nname='c'\n"
          "[[path]]\nbetween=['a', 'b']\nvia=['p0', 'eth1']\n"
          "[[path]]\nbetween=['b', 'a']\nvia='p1'\n"
          "[[path]]\nbetween=['a', 'b']\n"
          "[[path]]\nbetween=['a', 'c']\n",
          "")
          .value();
  EXPECT_THAT(file.PathRules("a", "b"),
              ElementsAre(PathRule{"p0", "eth1"}, PathRule{"p1", "p1"}));
  EXPECT_THAT(file.PathRules("b", "a"),
              ElementsAre(PathRule{"eth1", "p0"}, PathRule{"p1", "p1"}));
  EXPECT_THAT(file.PathRules("a", "c"), testing::IsEmpty());
  EXPECT_THAT(file.PathRules("a", "elsewhere"), testing::IsEmpty());
}

TEST(TopologyFileTest, FindsTheSiteOfAHost) {
  const TopologyFile file = Good();
  EXPECT_EQ(file.SiteOfHost("gpu-a12"), 0);
  EXPECT_EQ(file.SiteOfHost("node1"), 1);
  EXPECT_EQ(file.SiteOfHost("node1.example.net"), 1);
  EXPECT_EQ(file.SiteOfHost("node0.example.net"), 0);
  EXPECT_EQ(file.SiteOfHost("gpu-b1"), -1);
  EXPECT_FALSE(file.HostHasWan(0, "gpu-a7"));
  EXPECT_FALSE(file.HostHasWan(0, "gpu-a7.example.net"));
  EXPECT_TRUE(file.HostHasWan(0, "gpu-a8"));
  EXPECT_TRUE(file.HostHasWan(1, "gpu-a7"));
}

TEST(TopologyFileTest, ExactNameWinsOverAnEarlierPattern) {
  const TopologyFile file =
      TopologyFile::Parse(
          "[[site]]\nname='a'\nhosts=['n*']\n[[site]]\nname='b'\nhosts=['n1']",
          "")
          .value();
  EXPECT_EQ(file.SiteOfHost("n1"), 1);
  EXPECT_EQ(file.SiteOfHost("n2"), 0);
}

TEST(TopologyFileTest, RefusalsGiveFileLineAndForm) {
  EXPECT_EQ(Refusal("[[site]]\nname = \"a\"\nhost = [\"n\"]\n"),
            "lab.toml:3: unknown key \"host\" in [[site]]; did you mean "
            "\"hosts\"? Known are name, hosts, wan, no_wan_hosts");
  EXPECT_THAT(Refusal("[[site]]\nname='a'\nwan = { upp = '1gbit' }"),
              StartsWith("lab.toml:3: unknown key \"upp\" in wan"));
  EXPECT_THAT(Refusal("[[site]]\nname='a'\nwan = { up = '1gb' }"),
              HasSubstr("lab.toml:3: up is not a rate above 0; write a number "
                        "with kbit, mbit or gbit"));
  EXPECT_THAT(Refusal("[[site]]\nname='a'\nwan = { up = '0mbit' }"),
              HasSubstr("lab.toml:3: up is not a rate above 0"));
  EXPECT_THAT(Refusal("[[site]]\nname='a'\nwan = '1gbit'"),
              HasSubstr("lab.toml:3: wan is not a pair of rates"));
  EXPECT_THAT(Refusal("[[site]]\nname='a'\nhosts='n'"),
              HasSubstr("lab.toml:3: hosts is not a list of texts"));
  EXPECT_THAT(Refusal("[[site]]\nname='a'\nhosts=['n', 3]"),
              HasSubstr("lab.toml:3: hosts is not a list of texts"));
  EXPECT_THAT(Refusal("[[site]]\nhosts=['n']"),
              HasSubstr("lab.toml:1: this [[site]] has no name"));
  EXPECT_THAT(Refusal("[[site]]\nname=3"), HasSubstr("lab.toml:2: name"));
  EXPECT_THAT(Refusal("[[site]]\nname='a'\n[[site]]\nname='a'"),
              HasSubstr("lab.toml:3: a second site is named \"a\""));
  EXPECT_THAT(Refusal("[site]\nname='a'"),
              HasSubstr("lab.toml:1: write [[site]], with two brackets"));
  EXPECT_THAT(Refusal("sites = 3"), HasSubstr("did you mean \"site\"?"));
  EXPECT_THAT(Refusal(""), HasSubstr("no site"));
}

TEST(TopologyFileTest, RefusesBadPaths) {
  const std::string sites =
      "[[site]]\nname='a'\n[[site]]\nname='b'\n[[path]]\n";
  EXPECT_THAT(Refusal(sites + "between=['a']"),
              HasSubstr("lab.toml:5: a [[path]] is between two sites"));
  EXPECT_THAT(Refusal(sites + "between=['a', 'a']"), HasSubstr("lab.toml:5"));
  EXPECT_THAT(Refusal(sites + "rate='1gbit'"), HasSubstr("lab.toml:5"));
  EXPECT_THAT(Refusal(sites + "between=['a', 'c']"),
              HasSubstr("lab.toml:6: no [[site]] is named \"c\""));
  EXPECT_THAT(Refusal(sites + "between=['a', 'b']\ndelay=5"),
              HasSubstr("lab.toml:7: delay is not a time"));
  EXPECT_THAT(Refusal(sites + "between=['a', 'b']\nloss=1.0"),
              HasSubstr("lab.toml:7: loss is not a share"));
  EXPECT_THAT(Refusal(sites + "between=['a', 'b']\nlos=0.1"),
              HasSubstr("lab.toml:7: unknown key \"los\" in [[path]]; did you "
                        "mean \"loss\"?"));
  for (const char* via : {"['p0']", "['p0', 'p1', 'p2']", "''", "['p0', '']",
                          "[]", "3", "['p0', 1]"}) {
    EXPECT_THAT(Refusal(sites + "between=['a', 'b']\nvia=" + via),
                HasSubstr("lab.toml:7: via is not what the path"))
        << via;
  }
  EXPECT_TRUE(
      TopologyFile::Parse(sites + "between=['a', 'b']\nloss=0", "").ok());
}

TEST(TopologyFileTest, SyntaxErrorGivesTheLine) {
  EXPECT_THAT(Refusal("[[site]]\nname = \"a\nhosts = []"),
              StartsWith("lab.toml:2: "));
}

TEST(TopologyFileTest, ReadsAFileAndNamesOneItCannotRead) {
  const std::string path = testing::TempDir() + "/longhaul_topology.toml";
  std::ofstream(path) << kGood;
  const auto read = TopologyFile::Read(path);
  std::remove(path.c_str());
  ASSERT_TRUE(read.ok()) << read.status().text();
  EXPECT_EQ(read->sites.size(), 2u);
  const auto missing = TopologyFile::Read("/nonexistent.toml");
  EXPECT_EQ(missing.status().code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(missing.status().text(), HasSubstr("/nonexistent.toml"));
}

TEST(ChooseSiteTest, OptionWinsThenFileThenDefault) {
  const TopologyFile file = Good();
  EXPECT_EQ(*ChooseSite("rome", &file, "node0"), "rome");
  EXPECT_EQ(*ChooseSite("", &file, "node0"), "paris");
  EXPECT_EQ(*ChooseSite("", nullptr, "node0"), "default");
  const auto none = ChooseSite("", &file, "stray");
  EXPECT_EQ(none.status().code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(none.status().text(), HasSubstr("host stray"));
}

TEST(MakeTopologyTest, JoinsMembersWithTheFile) {
  const TopologyFile file = Good();
  const Topology topology = MakeTopology({{"tokyo", "node1", 0, true},
                                          {"paris", "gpu-a7", 1, true},
                                          {"paris", "node0", 2, true},
                                          {"rome", "x", 3, true}},
                                         &file)
                                .value();
  EXPECT_EQ(topology.NameOf(0), "tokyo");  // by first rank, not by the file
  EXPECT_EQ(topology.NameOf(1), "paris");
  EXPECT_EQ(topology.NameOf(2), "rome");
  EXPECT_THAT(topology.RanksOf(1), ElementsAre(1, 2));
  EXPECT_THAT(topology.WanRanksOf(1), ElementsAre(2));
  EXPECT_EQ(topology.WanUp(1), 5e8);
  EXPECT_EQ(topology.DelayBetween(0, 1), 110 * kMillisecond);
}

TEST(MakeTopologyTest, PathsToAbsentSitesAreLeftOut) {
  const TopologyFile file = Good();
  const Topology topology =
      MakeTopology({{"tokyo", "node1", 0, true}}, &file).value();
  EXPECT_EQ(topology.site_count(), 1);
}

TEST(MakeTopologyTest, WorksWithoutAFile) {
  const Topology topology =
      MakeTopology({{"default", "a", 0, true}, {"default", "b", 1, false}},
                   nullptr)
          .value();
  EXPECT_EQ(topology.site_count(), 1);
  EXPECT_THAT(topology.WanRanksOf(0), ElementsAre(0));
  EXPECT_FALSE(MakeTopology({}, nullptr).ok());
}

}  // namespace
}  // namespace longhaul
