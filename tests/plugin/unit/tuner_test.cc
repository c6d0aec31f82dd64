#include "tuner.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <limits>

#include "abi/tuner_constants.h"

namespace longhaul::nccl {
namespace {

using abi::FuncCode;
using testing::Each;

constexpr float kNever = -1;
constexpr size_t kMiB = size_t{1} << 20;

// NCCL's table: costs[algorithm][protocol].
struct Table {
  std::array<std::array<float, abi::kProtocols>, abi::kAlgorithms> costs;

  Table() {
    for (auto& row : costs) row.fill(kNever);
  }
  // Everything NCCL could offer, Ring over LL128 being the cheapest.
  static Table Full() {
    Table table;
    float cost = 50;
    for (auto& row : table.costs) {
      for (float& entry : row) entry = cost++;
    }
    table.costs[abi::kAlgoRing][abi::kProtoLl128] = 1;
    return table;
  }
  Table& Without(int algorithm) {
    costs[static_cast<size_t>(algorithm)].fill(kNever);
    return *this;
  }
  float* data() { return costs[0].data(); }
  // As NCCL chooses: the lowest that is not negative.
  std::pair<int, int> Choice() const {
    std::pair best(-1, -1);
    float least = std::numeric_limits<float>::max();
    for (int a = 0; a < abi::kAlgorithms; ++a) {
      for (int p = 0; p < abi::kProtocols; ++p) {
        const float cost =
            costs[static_cast<size_t>(a)][static_cast<size_t>(p)];
        if (cost >= 0 && cost < least) {
          least = cost;
          best = {a, p};
        }
      }
    }
    return best;
  }
};

std::pair<int, int> Simple(int algorithm) {
  return {algorithm, abi::kProtoSimple};
}

TunerFacts TwoSitesOfTwo() {
  TunerFacts facts;
  facts.sites = 2;
  facts.largest_site = 2;
  return facts;
}

Tuner Spanning(TunerFacts facts = TwoSitesOfTwo()) {
  return {facts, {}, 32, 4};
}

std::pair<int, int> ChoiceFor(FuncCode function, Table table,
                              const Tuner& tuner = Spanning()) {
  int channels = 0;
  tuner.Price(function, table.data(), abi::kAlgorithms, abi::kProtocols,
              &channels);
  return table.Choice();
}

TopologyFile Parse(const char* text) {
  return TopologyFile::Parse(text, "test").value();
}

TEST(TunerFactsTest, CountHostsOfTheLargestSite) {
  const TunerFacts facts = TunerFacts::Of(Parse(R"(
    [[site]]
    name = "paris"
    hosts = ["a", "b", "c"]
    [[site]]
    name = "tokyo"
    hosts = ["d"]
  )"));
  EXPECT_EQ(facts.sites, 2);
  EXPECT_EQ(facts.largest_site, 3U);
  EXPECT_EQ(facts.bdp_bytes, 6'250'000U);  // assumed: 1 Gbit/s x 50 ms
}

TEST(TunerFactsTest, APatternMayMeanAnyNumber) {
  EXPECT_FALSE(TunerFacts::Of(Parse(R"(
    [[site]]
    name = "paris"
    hosts = ["a", "b*"]
    [[site]]
    name = "tokyo"
    hosts = ["d"]
  )"))
                   .largest_site);
}

TEST(TunerFactsTest, BdpIsOfTheLineThatHoldsMost) {
  const TunerFacts facts = TunerFacts::Of(Parse(R"(
    [[site]]
    name = "paris"
    hosts = ["a"]
    [[site]]
    name = "tokyo"
    hosts = ["b"]
    [[site]]
    name = "lima"
    hosts = ["c"]
    [[path]]
    between = ["paris", "tokyo"]
    rate = "1gbit"
    delay = "100ms"
    [[path]]
    between = ["paris", "lima"]
    rate = "8gbit"
    delay = "1ms"
  )"));
  EXPECT_EQ(facts.bdp_bytes, 25'000'000U);  // 1 Gbit/s x 200 ms
}

TEST(TunerTest, SpansSitesIfNoSiteIsLargeEnough) {
  EXPECT_TRUE(Tuner(TwoSitesOfTwo(), {}, 3, 3).spans_sites());
  EXPECT_FALSE(Tuner(TwoSitesOfTwo(), {}, 16, 2).spans_sites());
  TunerFacts one_site = TwoSitesOfTwo();
  one_site.sites = 1;
  EXPECT_FALSE(Tuner(one_site, {}, 3, 3).spans_sites());
  TunerFacts patterns = TwoSitesOfTwo();
  patterns.largest_site.reset();
  EXPECT_FALSE(Tuner(patterns, {}, 1000, 1000).spans_sites());
  EXPECT_FALSE(Tuner({}, {}, 8, 8).spans_sites());
}

TEST(TunerTest, BelievesTheAgreementWhereEveryRankHasIt) {
  const Agreement spans{.members = 2, .sites = 2};
  EXPECT_TRUE(Tuner({}, spans, 2, 2).spans_sites());
  const Agreement within{.members = 3, .sites = 1};
  EXPECT_FALSE(Tuner(TwoSitesOfTwo(), within, 3, 3).spans_sites());
}

// Ranks that are no heads know nothing of it.
TEST(TunerTest, IgnoresTheAgreementWhereSomeRanksMayLackIt) {
  const Agreement spans{.members = 2, .sites = 2};
  EXPECT_FALSE(Tuner({}, spans, 16, 2).spans_sites());
  const Agreement within{.members = 4, .sites = 1};
  EXPECT_TRUE(Tuner(TwoSitesOfTwo(), within, 8, 4).spans_sites());
  const Agreement of_others{.members = 2, .sites = 2};
  EXPECT_FALSE(Tuner({}, of_others, 3, 3).spans_sites());
}

TEST(TunerTest, LeavesACommunicatorWithinASiteAlone) {
  Table table = Table::Full();
  const Table before = table;
  int channels = 0;
  size_t chunk = 5;
  const Tuner tuner(TwoSitesOfTwo(), {}, 16, 2);
  tuner.Price(FuncCode::kAllReduce, table.data(), abi::kAlgorithms,
              abi::kProtocols, &channels);
  tuner.ChunkBytes(kMiB, abi::kAlgoTree, abi::kProtoSimple, 1, &chunk);
  EXPECT_EQ(table.costs, before.costs);
  EXPECT_EQ(channels, 0);
  EXPECT_EQ(chunk, 5U);
}

TEST(TunerTest, AllReduceTakesCollNetThenTree) {
  const auto choice = [](Table table) {
    return ChoiceFor(FuncCode::kAllReduce, table);
  };
  Table table = Table::Full();
  EXPECT_EQ(choice(table), Simple(abi::kAlgoCollNetDirect));
  EXPECT_EQ(choice(table.Without(abi::kAlgoCollNetDirect)),
            Simple(abi::kAlgoCollNetChain));
  EXPECT_EQ(choice(table.Without(abi::kAlgoCollNetChain)),
            Simple(abi::kAlgoTree));
  EXPECT_EQ(choice(table.Without(abi::kAlgoTree)), Simple(abi::kAlgoRing));
}

TEST(TunerTest, GatheringTakesCollNetThenRing) {
  for (const FuncCode function :
       {FuncCode::kAllGather, FuncCode::kReduceScatter}) {
    Table table = Table::Full();
    EXPECT_EQ(ChoiceFor(function, table), Simple(abi::kAlgoCollNetDirect));
    table.Without(abi::kAlgoCollNetDirect).Without(abi::kAlgoCollNetChain);
    EXPECT_EQ(ChoiceFor(function, table), Simple(abi::kAlgoRing));
    table.Without(abi::kAlgoRing);
    EXPECT_EQ(ChoiceFor(function, table), Simple(abi::kAlgoPat));
  }
}

TEST(TunerTest, BroadcastAndReduceStayOnSimple) {
  Table ring;
  ring.costs[abi::kAlgoRing] = {1, 2, 3};
  for (const FuncCode function : {FuncCode::kBroadcast, FuncCode::kReduce}) {
    EXPECT_EQ(ChoiceFor(function, ring), Simple(abi::kAlgoRing));
  }
}

TEST(TunerTest, WhatIsNotOfferedStaysSo) {
  Table table;
  table.costs[abi::kAlgoTree] = {3, kNever, 4};
  int channels = 0;
  Spanning().Price(FuncCode::kAllReduce, table.data(), abi::kAlgorithms,
                   abi::kProtocols, &channels);
  EXPECT_EQ(table.Choice(), Simple(abi::kAlgoTree));
  EXPECT_EQ(table.costs[abi::kAlgoTree][abi::kProtoLl128], kNever);
  EXPECT_GT(table.costs[abi::kAlgoTree][abi::kProtoLl], 1e9F);
  for (size_t a = abi::kAlgoRing; a < abi::kAlgorithms; ++a) {
    EXPECT_THAT(table.costs[a], Each(kNever));
  }
}

TEST(TunerTest, WithoutSimpleTheTableStays) {
  Table table;
  table.costs[abi::kAlgoRing] = {3, 4, kNever};
  const Table before = table;
  EXPECT_EQ(ChoiceFor(FuncCode::kAllReduce, table), before.Choice());
}

TEST(TunerTest, UnknownFunctionsAreLeftAlone) {
  EXPECT_EQ(ChoiceFor(static_cast<FuncCode>(8), Table::Full()),
            std::pair(int{abi::kAlgoRing}, int{abi::kProtoLl128}));
}

// NCCL 2.22 has six algorithms: the row after them is not ours.
TEST(TunerTest, ASmallerTableIsNotOverrun) {
  Table table = Table::Full();
  for (int a = 0; a < abi::kAlgoPat; ++a) {
    if (a != abi::kAlgoNvls) table.Without(a);
  }
  const Table before = table;
  int channels = 0;
  Spanning().Price(FuncCode::kAllReduce, table.data(), abi::kAlgoPat,
                   abi::kProtocols, &channels);
  EXPECT_EQ(table.costs, before.costs);
}

TEST(TunerTest, ChannelsHoldTheLine) {
  TunerFacts facts = TwoSitesOfTwo();
  facts.bdp_bytes = 80 * kMiB;
  Table table = Table::Full();
  table.Without(abi::kAlgoCollNetDirect).Without(abi::kAlgoCollNetChain);
  int channels = 0;
  Spanning(facts).Price(FuncCode::kAllReduce, table.data(), abi::kAlgorithms,
                        abi::kProtocols, &channels);
  EXPECT_EQ(channels, 20);  // of 4 MiB
  facts.bdp_bytes = 10'000 * kMiB;
  Spanning(facts).Price(FuncCode::kAllReduce, table.data(), abi::kAlgorithms,
                        abi::kProtocols, &channels);
  EXPECT_EQ(channels, 64);
  facts.buffer_bytes = 1000 * kMiB;
  Spanning(facts).Price(FuncCode::kAllReduce, table.data(), abi::kAlgorithms,
                        abi::kProtocols, &channels);
  EXPECT_EQ(channels, 10);
}

// NCCL does not bound them by what the communicator has.
TEST(TunerTest, ChannelsOfCollNetAreNotTouched) {
  TunerFacts facts = TwoSitesOfTwo();
  facts.bdp_bytes = 80 * kMiB;
  Table table = Table::Full();
  int channels = 0;
  Spanning(facts).Price(FuncCode::kAllReduce, table.data(), abi::kAlgorithms,
                        abi::kProtocols, &channels);
  EXPECT_EQ(channels, 0);
}

TEST(TunerTest, ChunksFillTheLineWhereTheMessageIsLong) {
  TunerFacts facts = TwoSitesOfTwo();
  facts.bdp_bytes = 16 * kMiB;
  const Tuner tuner = Spanning(facts);
  const auto chunk = [&](size_t bytes, int algorithm, int protocol) {
    size_t result = 128 << 10;
    tuner.ChunkBytes(bytes, algorithm, protocol, 8, &result);
    return result;
  };
  const int direct = abi::kAlgoCollNetDirect;
  EXPECT_EQ(chunk(1024 * kMiB, direct, abi::kProtoSimple), kMiB / 2);
  EXPECT_EQ(chunk(1024 * kMiB, abi::kAlgoTree, abi::kProtoSimple), kMiB / 2);
  EXPECT_EQ(chunk(16 * kMiB, direct, abi::kProtoSimple), kMiB / 4);
  EXPECT_EQ(chunk(kMiB, direct, abi::kProtoSimple), kMiB / 8);
  EXPECT_EQ(chunk(1024 * kMiB, abi::kAlgoNvls, abi::kProtoSimple), kMiB / 8);
  EXPECT_EQ(chunk(1024 * kMiB, abi::kAlgoTree, abi::kProtoLl128), kMiB / 8);
}

TEST(TunerTest, TheAgreedLineCounts) {
  const Agreement agreed{.members = 4, .sites = 2, .bdp_bytes = 32 * kMiB};
  TunerFacts facts;
  facts.bdp_bytes = kMiB;
  size_t chunk = 1;
  Tuner(facts, agreed, 4, 4)
      .ChunkBytes(8 * kMiB, abi::kAlgoCollNetChain, abi::kProtoSimple, 8,
                  &chunk);
  EXPECT_EQ(chunk, kMiB / 8);  // and a quarter of that by `facts`
}

TEST(TunerTest, NothingToWriteToIsFine) {
  TunerFacts facts = TwoSitesOfTwo();
  facts.bdp_bytes = kMiB;
  const Tuner tuner = Spanning(facts);
  tuner.Price(FuncCode::kAllReduce, nullptr, abi::kAlgorithms, abi::kProtocols,
              nullptr);
  Table table = Table::Full();
  tuner.Price(FuncCode::kAllReduce, table.data(), abi::kAlgorithms,
              abi::kProtocols, nullptr);
  EXPECT_EQ(table.Choice(), Simple(abi::kAlgoCollNetDirect));
  tuner.ChunkBytes(kMiB, abi::kAlgoTree, abi::kProtoSimple, 0, nullptr);
}

}  // namespace
}  // namespace longhaul::nccl
