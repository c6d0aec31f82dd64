#include "harness/path_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "harness/report.h"

namespace longhaul::bench {
namespace {

using ::testing::HasSubstr;

PathFacts Facts(int rank, int peer, const char* name, uint64_t payload) {
  PathFacts path;
  path.rank = rank;
  path.peer = peer;
  std::strncpy(path.name, name, sizeof path.name - 1);
  std::strncpy(path.state, "up", sizeof path.state - 1);
  path.payload_sent = payload;
  return path;
}

// Rank `rank` of two, whose sums have what the other rank puts in as well.
class TwoRanks final : public Subject {
 public:
  TwoRanks(int rank, std::vector<PathFacts> own, TwoRanks* other)
      : rank_(rank), own_(std::move(own)), other_(other) {}
  int rank() const override { return rank_; }
  int size() const override { return 2; }
  int site_count() const override { return 2; }
  std::string Describe() const override { return ""; }
  Status Start(const void* /*input*/, void* /*output*/, size_t /*count*/,
               DataType /*type*/, ReduceOp /*op*/) override {
    return {};
  }
  Status StartBarrier() override { return {}; }
  Status Finish() override { return {}; }
  Status Combine(void* data, size_t count, DataType /*type*/,
                 ReduceOp op) override {
    if (op == ReduceOp::kMax) {
      auto* most = static_cast<uint64_t*>(data);
      *most = std::max<uint64_t>(*most, other_->own_.size());
      return {};
    }
    const size_t half = count / 2;
    auto* bytes = static_cast<uint8_t*>(data);
    std::memcpy(bytes + static_cast<size_t>(other_->rank_) * half,
                other_->own_.data(), other_->own_.size() * sizeof(PathFacts));
    return {};
  }
  std::vector<PathFacts> Paths() const override { return own_; }

 private:
  int rank_;
  std::vector<PathFacts> own_;
  TwoRanks* other_;
};

TEST(PathTableTest, PathsOfAllRanksAreGathered) {
  TwoRanks other(1, {Facts(1, 0, "c", 7)}, nullptr);
  TwoRanks self(0, {Facts(0, 1, "a", 30), Facts(0, 1, "b", 10)}, &other);
  const auto all = GatherPaths(self);
  ASSERT_TRUE(all.ok());
  ASSERT_EQ(all->size(), 3u);
  EXPECT_STREQ((*all)[0].name, "a");
  EXPECT_STREQ((*all)[1].name, "b");
  EXPECT_STREQ((*all)[2].name, "c");
  EXPECT_EQ((*all)[2].payload_sent, 7u);
}

TEST(PathTableTest, ShareIsOfWhatWentToThatPeer) {
  const std::vector<PathFacts> all{Facts(0, 1, "a", 30), Facts(0, 1, "b", 10),
                                   Facts(0, 2, "c", 5), Facts(1, 0, "d", 0)};
  EXPECT_EQ(ShareOf(all[0], all), 0.75);
  EXPECT_EQ(ShareOf(all[1], all), 0.25);
  EXPECT_EQ(ShareOf(all[2], all), 1);
  EXPECT_EQ(ShareOf(all[3], all), 0) << "nothing has been sent";
}

TEST(PathTableTest, LineHasWhatThePathDid) {
  PathFacts path = Facts(0, 3, "10.0.0.1 -> 10.0.1.7", 1);
  path.bytes_sent = 64'200'000;
  path.payload_restriped = 1'500'000;
  path.goodput = 50e6;
  path.rtt = 21 * kMillisecond;
  path.min_rtt = 20 * kMillisecond;
  path.retransmits = 12;
  path.failures = 2;
  path.credit_waits = 9;
  const std::string text = PathTable({path});
  EXPECT_THAT(text, HasSubstr("Paths between sites"));
  EXPECT_THAT(
      text,
      HasSubstr("#    0    3  10.0.0.1 -> 10.0.1.7             up         0   "
                "   64.2  100.0%     1.50    400.0       -    21.00    20.00   "
                "   12        2       9\n"));
  path.rate_limit = 12.5e6;
  EXPECT_THAT(PathTable({path}), HasSubstr("  100.0    21.00"));
}

TEST(PathTableTest, EveryLineIsAComment) {
  const std::string text = PathTable({Facts(0, 1, "a", 30)});
  for (size_t at = 0; at < text.size(); at = text.find('\n', at) + 1) {
    EXPECT_EQ(text[at], '#');
  }
  EXPECT_EQ(PathTable({}), "");
}

TEST(PathTableTest, ReportHasThePathsWhereAskedFor) {
  Settings settings;
  Report report;
  report.settings = &settings;
  report.paths = {Facts(0, 1, "a", 30)};
  EXPECT_EQ(ToJson(report).find("\"paths\""), std::string::npos);
  settings.wan = true;
  EXPECT_THAT(ToJson(report), HasSubstr("\"share\": 1.0"));
}

}  // namespace
}  // namespace longhaul::bench
