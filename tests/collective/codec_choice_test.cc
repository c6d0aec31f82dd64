// The codec that is fastest among those that keep the bound; none on a fast
// line; and the same on every rank.
#include "collective/codec_choice.h"

#include <gtest/gtest.h>
#include <longhaul/longhaul.h>

#include <mutex>
#include <set>

#include "support/job.h"
#include "topology/topology_file.h"

namespace longhaul {
namespace {

constexpr uint64_t kMany = 16 << 20;

Topology SitesOf(double rate, size_t sites = 2) {
  std::vector<Member> members;
  for (size_t i = 0; i < sites; ++i) {
    members.push_back(
        {SiteName(i), "h" + std::to_string(i), static_cast<int32_t>(i), true});
  }
  const Topology topology = *MakeTopology(members, nullptr);
  const std::vector<SiteRates> rates(sites, SiteRates{rate, rate});
  return topology.WithWanRates(rates);
}

class CodecChoiceTest : public ::testing::Test {
 protected:
  // With codecs that take `speed` elements a second.
  std::string Chosen(const char* bound, double rate, double speed,
                     VectorCall call = {Algorithm::kAuto, kMany}) {
    Codecs codecs(*CodecSpec::Parse(bound));
    const std::vector<double> speeds(2 * codecs.offers().size(), speed);
    codecs.SetSpeeds(speeds);
    const Topology topology = SitesOf(rate, sites_);
    const Result<CodecChoice> choice =
        ChooseCodec(call, codecs, topology, SharesOf(topology), {});
    EXPECT_TRUE(choice.ok()) << choice.status().ToString();
    return choice->offer == nullptr ? "none" : NameOf(choice->offer->spec().id);
  }

  size_t sites_ = 2;
};

TEST_F(CodecChoiceTest, TheBoundDecidesOnASlowLine) {
  EXPECT_EQ(Chosen("auto:0.5", 1e8, 1e9), "int4");
  EXPECT_EQ(Chosen("auto:5%", 1e8, 1e9), "int8");
  EXPECT_EQ(Chosen("auto:0.3%", 1e8, 1e9), "bf16");
  EXPECT_EQ(Chosen("auto:0", 1e8, 1e9), "lossless");
}

TEST_F(CodecChoiceTest, NothingIsEncodedWhereTheLineIsFasterThanTheProcessor) {
  EXPECT_EQ(Chosen("auto:0.5", 100e9, 1e9), "none");
  EXPECT_EQ(Chosen("auto:0.5", 1e9, 1e7), "none");
}

TEST_F(CodecChoiceTest, AnErrorThatBuysNothingIsNotMade) {
  // The processor holds all of them up alike.
  EXPECT_EQ(Chosen("auto:0.5", 1e8, 1.85e7), "bf16");
}

TEST_F(CodecChoiceTest, WhatIsEncodedTwiceErrsMore) {
  sites_ = 4;
  const VectorCall once = {Algorithm::kHierarchical, kMany};
  const VectorCall twice = {Algorithm::kSharded, kMany};
  const double error = CodecSpec::Of(CodecId::kInt8).TypicalError();
  const std::string bound = "auto:" + std::to_string(1.2 * error);
  EXPECT_EQ(Chosen(bound.c_str(), 1e8, 1e9, once), "int8");
  EXPECT_EQ(Chosen(bound.c_str(), 1e8, 1e9, twice), "bf16");
}

TEST_F(CodecChoiceTest, OnlySumsOfFloatsAreEncoded) {
  VectorCall call = {Algorithm::kAuto, kMany, DataType::kInt32};
  EXPECT_EQ(Chosen("auto:0.5", 1e8, 1e9, call), "none");
  call = {Algorithm::kAuto, kMany, DataType::kFloat32, ReduceOp::kMax};
  EXPECT_EQ(Chosen("auto:0.5", 1e8, 1e9, call), "none");
  call = {Algorithm::kRing, kMany};
  EXPECT_EQ(Chosen("auto:0.5", 1e8, 1e9, call), "none");
}

TEST_F(CodecChoiceTest, WhatIsAskedForIsUsedWhateverItTakes) {
  const VectorCall call = {Algorithm::kHierarchical, kMany};
  EXPECT_EQ(Chosen("int4", 100e9, 1e3, call), "int4");
  EXPECT_EQ(Chosen("none", 1e6, 1e12), "none");
}

// Ranks that would each choose another one, if each went by itself, disagree.
TEST(CodecChoiceJob, AllRanksChooseTheSame) {
  std::mutex mutex;
  std::set<std::string> chosen;
  RunJob(
      {2, 1},
      [&](Communicator& world) {
        std::vector<float> vector(1 << 20, 1.5F);
        for (int i = 0; i < 3; ++i) {
          const Status status =
              world
                  .AllReduce(vector.data(), vector.data(), vector.size(),
                             DataType::kFloat32, ReduceOp::kAvg)
                  .Wait();
          ASSERT_TRUE(status.ok()) << status.ToString();
        }
        EXPECT_NEAR(vector[77], 1.5F, 0.05F);
        uint64_t operations = 0;
        for (const CodecCounters& use : world.CodecUse()) {
          operations += use.operations;
          EXPECT_LE(use.coded_bytes, use.plain_bytes);
        }
        const std::string now =
            world.CodecFor(vector.size(), DataType::kFloat32).ToString();
        const std::scoped_lock lock(mutex);
        chosen.insert(now);
        EXPECT_EQ(operations, now == "none" ? 0U : 3U);
      },
      [](Options& options) {
        options.compress = *CodecSpec::Parse("auto:2%");
      });
  EXPECT_EQ(chosen.size(), 1U);
}

TEST(CodecChoiceJob, CountsWhatWasEncoded) {
  RunJob(
      {1, 1},
      [](Communicator& world) {
        std::vector<float> vector(100'000, 1);
        ASSERT_TRUE(world
                        .AllReduce(vector.data(), vector.data(), vector.size(),
                                   DataType::kFloat32, ReduceOp::kSum)
                        .Wait()
                        .ok());
        const std::vector<CodecCounters> all = world.CodecUse();
        ASSERT_EQ(all.size(), 1U);
        EXPECT_EQ(all[0].codec.id, CodecId::kBf16);
        EXPECT_EQ(all[0].operations, 1U);
        EXPECT_EQ(all[0].plain_bytes, 400'000U);
        EXPECT_EQ(all[0].coded_bytes, 200'000U);
        EXPECT_GT(all[0].encode_time.count(), 0);
        EXPECT_GT(all[0].decode_time.count(), 0);
      },
      [](Options& options) { options.compress = *CodecSpec::Parse("bf16"); });
}

}  // namespace
}  // namespace longhaul
