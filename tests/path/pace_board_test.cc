#include "path/pace_board.h"

#include <limits>

#include "path/path_world.h"

namespace longhaul {
namespace {

constexpr uint64_t kLine = 77;
constexpr TimePoint kNow = 10 * kSecond;

// Some connection to be told apart by.
class Boards : public testing::Test {
 protected:
  PathWorld world_;
  const Connection& own_ = *world_.a.connection;
  const Connection& mate_ = *world_.b.connection;
  PaceBoard board_;
};

TEST_F(Boards, AloneTheShareIsOne) {
  EXPECT_EQ(board_.Share(kLine, kNow), 1);
  board_.Publish(own_, kLine, 10e6);
  EXPECT_EQ(board_.Share(kLine, kNow), 1);
}

TEST_F(Boards, TheShareLeadsToTheMean) {
  board_.Publish(own_, kLine, 20e6);
  board_.Heard(mate_, kLine, 30e6, kNow);
  EXPECT_DOUBLE_EQ(board_.Share(kLine, kNow), 25.0 / 20);
  board_.Heard(mate_, kLine, 10e6, kNow);
  EXPECT_DOUBLE_EQ(board_.Share(kLine, kNow), 15.0 / 20);
}

TEST_F(Boards, AProcessCountsWithAllItsConnectionsOnTheLine) {
  board_.Publish(own_, kLine, 20e6);
  board_.Publish(mate_, kLine, 10e6);  // another of its own, to the same site
  PathWorld more;
  board_.Heard(*more.a.connection, kLine, 30e6, kNow);
  EXPECT_DOUBLE_EQ(board_.Share(kLine, kNow), 1);
  board_.Withdraw(mate_);
  EXPECT_DOUBLE_EQ(board_.Share(kLine, kNow), 25.0 / 20);
}

TEST_F(Boards, APaceThatIsLiftedCountsNoMore) {
  board_.Publish(own_, kLine, 20e6);
  board_.Heard(mate_, kLine, 30e6, kNow);
  board_.Heard(mate_, kLine, 0, kNow);
  EXPECT_EQ(board_.Share(kLine, kNow), 1);
  board_.Heard(mate_, kLine, 30e6, kNow);
  board_.Publish(own_, kLine, 0);
  EXPECT_EQ(board_.Share(kLine, kNow), 1);
}

TEST_F(Boards, OtherLinesAndOldNewsDoNotCount) {
  board_.Publish(own_, kLine, 20e6);
  board_.Heard(mate_, kLine + 1, 80e6, kNow);
  board_.Heard(mate_, kLine, 40e6, kNow - 2 * kSecond);
  EXPECT_EQ(board_.Share(kLine, kNow), 1);
}

TEST_F(Boards, WhatAMateSaysHasLimits) {
  board_.Publish(own_, kLine, 20e6);
  for (const double nonsense :
       {0.0, 1.0, 1e300, std::numeric_limits<double>::infinity()}) {
    board_.Heard(mate_, kLine, nonsense, kNow);
    EXPECT_GE(board_.Share(kLine, kNow), PaceBoard::kLeastShare);
    EXPECT_LE(board_.Share(kLine, kNow), 1 / PaceBoard::kLeastShare);
  }
}

TEST_F(Boards, ANameIsTheSameLineEverywhere) {
  // A value of the wire: FNV-1a's own test vector.
  EXPECT_EQ(PaceBoard::LineTo("foobar"), 0x85944171f73967e8u);
}

// Two mates, each with a board.
struct Mates {
  PaceBoard at_a;
  PaceBoard at_b;
  PathWorld world;
  Side a;
  Side b;

  static ConnectionConfig With(PaceBoard& board, uint64_t line) {
    ConnectionConfig config = PathConfig().For("mate");
    config.board = &board;
    config.line = line;
    return config;
  }
  explicit Mates(uint64_t line)
      : a(world.world, 0, 2, With(at_a, line), 1 << 20),
        b(world.world, 1, 3, With(at_b, line), 1 << 20) {
    auto [end_a, end_b] = world.world.network().Connect(kWan, kWan);
    end_a->SetSink(*a.connection);
    end_b->SetSink(*b.connection);
    a->AddFlow(std::move(end_a), world.world.now());
    b->AddFlow(std::move(end_b), world.world.now());
  }
};

TEST(PaceBoard, MatesHearTheLatestPace) {
  Mates mates(0);
  mates.at_b.Publish(*mates.b.connection, kLine, 10e6);
  mates.at_a.Publish(*mates.a.connection, kLine, 99e6);
  mates.at_a.Publish(*mates.a.connection, kLine, 12e6);
  mates.world.RunFor(kSecond / 2);
  EXPECT_DOUBLE_EQ(mates.at_b.Share(kLine, mates.world.world.now()), 1.1);
  EXPECT_TRUE(mates.b->status().ok());
}

TEST(PaceBoard, OtherSitesAreNoMates) {
  Mates mates(kLine);
  mates.at_b.Publish(*mates.b.connection, kLine, 10e6);
  mates.at_a.Publish(*mates.a.connection, kLine, 12e6);
  mates.a->TellPace(kLine, 12e6);  // as one would that breaks the rules
  mates.world.RunFor(kSecond / 2);
  EXPECT_EQ(mates.at_b.Share(kLine, mates.world.world.now()), 1);
  EXPECT_TRUE(mates.b->status().ok());
}

}  // namespace
}  // namespace longhaul
