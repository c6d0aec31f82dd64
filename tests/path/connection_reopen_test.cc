// A connection that has lost its last flow: it waits for another, and nobody
// that uses it hears of it.
#include "path/path_world.h"

namespace longhaul {
namespace {

struct Source final : FlowSource {
  void Reopen(const Status&, TimePoint now) override { asked.push_back(now); }
  bool Want(FlowId, TimePoint) override { return false; }
  void Spare(FlowId) override {}
  std::vector<TimePoint> asked;
};

constexpr Duration kPatience = 5 * kSecond;

class Reopening : public testing::Test {
 protected:
  Reopening() {
    a.connection = MakeConnection(0, &source_a);
    b.connection = MakeConnection(1, &source_b);
    a->Attach(kCommunicator, 0, a.recorder);
    b->Attach(kCommunicator, 1, b.recorder);
    AddFlow(0);
  }

  std::unique_ptr<Connection> MakeConnection(size_t engine, Source* source) {
    PathConfig path_config;
    ConnectionConfig config = path_config.For("the peer");
    config.reopen = kPatience;
    config.source = source;
    Side& side = engine == 0 ? a : b;
    return std::make_unique<Connection>(path.world.engine(engine), side.pool,
                                        config);
  }
  // The numbers of both ends; a's end is in `flow`.
  void AddFlow(uint16_t number) {
    auto [at_a, at_b] = path.world.network().Connect(kWan, kWan);
    flow = at_a.get();
    at_a->SetSink(*a.connection);
    at_b->SetSink(*b.connection);
    a->AddFlow(std::move(at_a), path.world.now(), FlowId{0, number});
    b->AddFlow(std::move(at_b), path.world.now(), FlowId{0, number});
  }

  Source source_a;
  Source source_b;
  PathWorld path;
  Side& a = path.a;
  Side& b = path.b;
  SimEndpoint* flow = nullptr;
};

TEST_F(Reopening, WhatWasUnderWayArrivesOverTheNextFlow) {
  for (int i = 0; i < 8; ++i) {
    Message& message = path.MakeAToB(1'000'000);
    message.Send();
    if (i % 2 == 0) message.Recv();
  }
  path.RunFor(25 * kMillisecond);  // some is on the line, some has arrived
  path.world.network().Kill(*flow);
  path.RunFor(kSecond);
  EXPECT_EQ(source_a.asked.size(), 1u);
  EXPECT_EQ(source_b.asked.size(), 1u);
  EXPECT_FALSE(a->connected());
  EXPECT_TRUE(a.recorder.faults.empty());
  AddFlow(0);
  for (const auto& message : path.messages) {
    if (!message->recv.posted && message->recv.back == 0) message->Recv();
  }
  EXPECT_TRUE(path.RunUntilArrived(10 * kSecond));
  path.ExpectWell();
}

TEST_F(Reopening, ItMayBeLostAgainAndAgain) {
  for (int i = 0; i < 20; ++i) {
    path.MakeAToB(2'000'000).Send();
    path.messages.back()->Recv();
    path.RunFor(static_cast<Duration>(i) * 3 * kMillisecond);
    path.world.network().Kill(*flow);
    path.RunFor(50 * kMillisecond);
    AddFlow(0);
  }
  EXPECT_TRUE(path.RunUntilArrived(60 * kSecond));
  path.ExpectWell();
  EXPECT_EQ(source_a.asked.size(), 20u);
}

TEST_F(Reopening, OneThatDoesNotComeBackIsBrokenInTime) {
  Message& message = path.MakeAToB(1000);
  message.Recv();
  path.world.network().Kill(*flow);
  path.RunFor(kPatience - 100 * kMillisecond);
  EXPECT_EQ(message.recv.back, 0);
  path.RunFor(200 * kMillisecond);
  EXPECT_EQ(message.recv.back, 1);
  EXPECT_EQ(message.recv.result.code(), StatusCode::kUnreachable);
  EXPECT_EQ(b.recorder.faults.size(), 1u);
  EXPECT_EQ(a.recorder.faults.size(), 1u);
}

// Where the peer has seen a loss that is not seen here yet.
TEST_F(Reopening, AFlowOfTheSameNumberTakesThePlaceOfTheOld) {
  Message& message = path.MakeAToB(3'000'000);
  message.Send();
  message.Recv();
  path.RunFor(15 * kMillisecond);
  AddFlow(0);
  EXPECT_EQ(a->Counters().flows, 1u);
  EXPECT_TRUE(path.RunUntilArrived(10 * kSecond));
  path.ExpectWell();
}

TEST_F(Reopening, ClosingWaitsForTheFlowThatIsToCome) {
  Message& message = path.MakeAToB(500'000);
  message.Recv();
  message.Send();
  path.RunFor(11 * kMillisecond);
  path.world.network().Kill(*flow);
  path.RunFor(10 * kMillisecond);
  a->StartClose(path.world.now());
  path.RunFor(100 * kMillisecond);
  EXPECT_FALSE(a->closed());
  AddFlow(0);
  EXPECT_TRUE(path.RunUntilArrived(kSecond));
  EXPECT_TRUE(path.RunUntil([&] { return a->closed(); }, 10 * kSecond));
}

}  // namespace
}  // namespace longhaul
