// How connections end: by death, by silence, in an orderly way, and by being
// destroyed.
#include <random>

#include "path/path_world.h"

namespace longhaul {
namespace {

class Endings : public testing::TestWithParam<bool> {
 protected:
  PathConfig Config() const {
    PathConfig config;
    config.retain = GetParam();
    config.timeout = 10 * kSecond;
    return config;
  }
};

INSTANTIATE_TEST_SUITE_P(, Endings, testing::Bool(), [](const auto& param) {
  return param.param ? "Retained" : "Lent";
});

// --- Death and silence

TEST_P(Endings, WhenTheLastFlowDiesEveryOpComesBack) {
  for (Duration at = 0; at < 30 * kMillisecond; at += 3 * kMillisecond) {
    SCOPED_TRACE(at);
    PathWorld path(Config());
    path.AddFlow({.rate = 1e8, .delay = 5 * kMillisecond});
    for (int i = 0; i < 5; ++i) {
      path.MakeAToB(1 << 20).Send();
      path.messages.back()->Recv();
      path.Make(path.b, path.a, 1000, path.next_sequence++).Recv();
    }
    path.RunFor(at);
    path.world.network().Kill(*path.flows[0].a);
    path.RunFor(kSecond);
    for (const auto& message : path.messages) {
      EXPECT_EQ(message->recv.back, 1);
      if (!message->recv.result.ok()) {
        EXPECT_EQ(message->recv.result.code(), StatusCode::kUnreachable);
        EXPECT_EQ(message->recv.result.scope(), FaultScope::kConnection);
      }
      if (message->from == &path.a) {
        EXPECT_EQ(message->send.back, 1);
      }
    }
    EXPECT_EQ(path.a.recorder.faults.size(), 1u);
    EXPECT_EQ(path.b.recorder.faults.size(), 1u);
    EXPECT_TRUE(path.a->closed());
    path.ExpectUnharmed();
    EXPECT_EQ(path.a.pool.bytes_in_use(), 0u);
    // Later ones come back at once.
    Message& late = path.MakeAToB(1);
    late.Send();
    late.Recv();
    EXPECT_EQ(late.send.result.code(), StatusCode::kUnreachable);
    EXPECT_EQ(late.recv.result.code(), StatusCode::kUnreachable);
  }
}

TEST_P(Endings, ASilentPeerIsGivenUpAfterTheTimeOutAndNotBefore) {
  PathConfig config = Config();
  PathWorld path(config);
  path.AddFlow(kWan);
  Message& message = path.MakeAToB(1000);
  message.Recv();
  path.RunFor(7 * kSecond);
  path.world.network().Blackhole(*path.flows[0].a);
  path.RunFor(config.timeout - 6 * kSecond);
  EXPECT_TRUE(path.b->status().ok());
  path.RunFor(6 * kSecond + kMillisecond);
  EXPECT_EQ(path.b->status().code(), StatusCode::kUnreachable);
  EXPECT_EQ(message.recv.back, 1);
  EXPECT_EQ(path.b.recorder.faults.size(), 1u);
  EXPECT_NE(path.b->status().text().find("silent"), std::string::npos);
}

TEST_P(Endings, AReceivePostedIntoSilenceGetsTheWholeTimeOut) {
  PathConfig config = Config();
  PathWorld path(config);
  path.AddFlow(kWan);
  path.RunFor(kSecond);
  path.world.network().Blackhole(*path.flows[0].a);
  path.RunFor(100 * kSecond);  // nothing is expected, nobody minds
  EXPECT_TRUE(path.b->status().ok());
  Message& message = path.MakeAToB(1000);
  message.Recv();
  path.RunFor(config.timeout - kMillisecond);
  EXPECT_EQ(message.recv.back, 0);
  path.RunFor(2 * kMillisecond);
  EXPECT_EQ(message.recv.result.code(), StatusCode::kUnreachable);
}

TEST_P(Endings, APeerThatIsAliveMayTakeItsTime) {
  PathConfig config = Config();
  PathWorld path(config);
  path.AddFlow(kWan);
  Message& message = path.MakeAToB(1000);
  message.Recv();
  path.RunFor(10 * config.timeout);
  path.ExpectWell();
  message.Send();
  EXPECT_TRUE(path.RunUntilArrived(kSecond));
}

TEST_P(Endings, ASilenceThatEndsInTimeIsForgiven) {
  PathConfig config = Config();
  PathWorld path(config);
  path.AddFlow(kWan);
  Message& message = path.MakeAToB(5 << 20);
  message.Recv();
  message.Send();
  path.RunFor(12 * kMillisecond);
  path.world.network().Blackhole(*path.flows[0].a);
  path.RunFor(config.timeout / 2);
  path.world.network().Restore(*path.flows[0].a);
  EXPECT_TRUE(path.RunUntilArrived(kSecond));
  path.ExpectWell();
}

TEST(Ending, SendsThatWaitForAFlowTooLongComeBack) {
  PathConfig config;
  config.timeout = 10 * kSecond;
  PathWorld path(config);
  Message& message = path.MakeAToB(10);
  message.Send();
  path.RunFor(11 * kSecond);
  EXPECT_EQ(message.send.result.code(), StatusCode::kUnreachable);
}

TEST_P(Endings, BrokenFromOutsideEverythingComesBack) {
  PathWorld path(Config());
  Message& message = path.MakeAToB(10);
  message.Send();
  path.a->Break(Status(StatusCode::kUnreachable, "no route"));
  path.a->Break(Status(StatusCode::kUnreachable, "no route"));
  EXPECT_EQ(message.send.result.text(), "no route");
  EXPECT_EQ(path.a.recorder.faults.size(), 1u);
  // A flow that is ready by then is of no use, and does no harm.
  path.AddFlow(kWan);
  path.RunFor(kSecond);
  EXPECT_EQ(path.a->Counters().flows, 0u);
}

// --- Goodbye

TEST_P(Endings, WhatWasSentBeforeTheCloseArrives) {
  for (const bool posted_first : {true, false}) {
    PathWorld path(Config());
    path.AddFlow({.rate = 1e8, .delay = 10 * kMillisecond});
    for (int i = 0; i < 5; ++i) path.MakeAToB(200'000);
    for (const auto& message : path.messages) {
      if (posted_first) message->Recv();
      message->Send();
    }
    path.a->StartClose(path.world.now());
    EXPECT_FALSE(path.a->closed());
    if (!posted_first) {
      path.RunFor(5 * kMillisecond);
      for (const auto& message : path.messages) message->Recv();
    }
    EXPECT_TRUE(path.RunUntilArrived(kSecond));
    EXPECT_TRUE(path.RunUntil([&] { return path.a->closed(); }, kSecond));
    path.RunFor(kSecond);
    EXPECT_TRUE(path.b.recorder.faults.empty()) << "nothing is missing";
    EXPECT_EQ(path.a->status().code(), StatusCode::kAborted);
    EXPECT_EQ(path.b->status().code(), StatusCode::kUnreachable);
    path.ExpectUnharmed();
  }
}

// The goodbye comes over the fast flow, data over the slow one.
TEST_P(Endings, AGoodbyeThatOvertakesDataHarmsNobody) {
  PathWorld path(Config());
  path.AddFlow({.rate = 1e6, .delay = 10 * kMillisecond});
  path.AddFlow({.rate = 1e9, .delay = kMillisecond});
  for (int i = 0; i < 2; ++i) path.MakeAToB(200'000);
  for (const auto& message : path.messages) {
    message->Recv();
    message->Send();
  }
  path.a->StartClose(path.world.now());
  EXPECT_TRUE(path.RunUntilArrived(5 * kSecond));
  EXPECT_TRUE(path.RunUntil([&] { return path.a->closed(); }, 5 * kSecond));
  path.RunFor(kSecond);
  EXPECT_TRUE(path.b.recorder.faults.empty());
}

TEST_P(Endings, WhoStillExpectsSomethingOfAPeerThatLeavesHearsOfIt) {
  PathWorld path(Config());
  path.AddFlow(kWan);
  Message& message = path.MakeAToB(100);
  message.Recv();
  path.RunFor(kSecond);
  path.a->StartClose(path.world.now());
  path.RunFor(kSecond);
  EXPECT_TRUE(path.a->closed());
  EXPECT_EQ(message.recv.result.code(), StatusCode::kUnreachable);
  EXPECT_NE(message.recv.result.text().find("has left"), std::string::npos);
  EXPECT_EQ(path.b.recorder.faults.size(), 1u);
}

TEST_P(Endings, WhoAsksSomethingOfAPeerThatHasLeftHearsOfIt) {
  PathWorld path(Config());
  path.AddFlow(kWan);
  path.a->StartClose(path.world.now());
  path.RunFor(kSecond);
  EXPECT_TRUE(path.b.recorder.faults.empty());
  Message& message = path.MakeAToB(100);
  message.Recv();
  EXPECT_EQ(message.recv.result.code(), StatusCode::kUnreachable);
  Message& other = path.Make(path.b, path.a, 100, 77);
  other.Send();
  EXPECT_EQ(other.send.result.code(), StatusCode::kUnreachable);
  path.b->StartClose(path.world.now());
  EXPECT_TRUE(path.b->closed());
}

// Each closes some time after its last message, in any order.
TEST_P(Endings, BothCloseInAnyOrder) {
  for (Duration lag = -40 * kMillisecond; lag <= 40 * kMillisecond;
       lag += 5 * kMillisecond) {
    SCOPED_TRACE(lag);
    PathWorld path(Config());
    path.AddFlow(kWan);
    path.AddFlow(kWan);
    Message& there = path.MakeAToB(300'000);
    Message& back = path.Make(path.b, path.a, 300'000, 50);
    for (Message* message : {&there, &back}) {
      message->Recv();
      message->Send();
    }
    ASSERT_TRUE(path.RunUntilArrived(kSecond));
    if (lag < 0) path.b->StartClose(path.world.now());
    if (lag > 0) path.a->StartClose(path.world.now());
    path.RunFor(std::abs(lag));
    path.a->StartClose(path.world.now());
    path.b->StartClose(path.world.now());
    EXPECT_TRUE(path.RunUntil(
        [&] { return path.a->closed() && path.b->closed(); }, 3 * kSecond));
    EXPECT_TRUE(path.a.recorder.faults.empty());
    EXPECT_TRUE(path.b.recorder.faults.empty());
    path.ExpectUnharmed();
    EXPECT_EQ(path.a.pool.bytes_in_use(), 0u);
  }
}

TEST(Ending, BothCloseOverLossyFlows) {
  for (unsigned seed = 0; seed < 10; ++seed) {
    SCOPED_TRACE(seed);
    PathConfig config;
    config.seed = seed;
    PathWorld path(config);
    path.AddFlow(kLossyWan);
    Message& message = path.MakeAToB(300'000);
    message.Recv();
    message.Send();
    ASSERT_TRUE(path.RunUntilArrived(10 * kSecond));
    path.a->StartClose(path.world.now());
    path.b->StartClose(path.world.now());
    EXPECT_TRUE(path.RunUntil(
        [&] { return path.a->closed() && path.b->closed(); }, 10 * kSecond));
    EXPECT_TRUE(path.a.recorder.faults.empty());
    EXPECT_TRUE(path.b.recorder.faults.empty());
  }
}

TEST_P(Endings, OpsAfterTheCloseHasBegunComeBack) {
  PathWorld path(Config());
  path.AddFlow(kWan);
  path.a->StartClose(path.world.now());
  Message& out = path.MakeAToB(10);
  out.Send();
  EXPECT_EQ(out.send.result.code(), StatusCode::kAborted);
  Message& in = path.Make(path.b, path.a, 10, 60);
  in.Recv();
  EXPECT_EQ(in.recv.result.code(), StatusCode::kAborted);
  path.RunFor(kSecond);
  EXPECT_TRUE(path.a->closed());
}

TEST_P(Endings, ClosingIsBounded) {
  enum class Peer { kDead, kSilent, kStuck, kNeverThere };
  for (const Peer peer :
       {Peer::kDead, Peer::kSilent, Peer::kStuck, Peer::kNeverThere}) {
    SCOPED_TRACE(static_cast<int>(peer));
    PathConfig config = Config();
    config.shared_credit = 64 << 10;
    PathWorld path(config);
    if (peer != Peer::kNeverThere) path.AddFlow(kWan);
    // Nobody asks for it, and it is more than the credit.
    Message& message = path.MakeAToB(1 << 20);
    message.Send();
    path.RunFor(kSecond);
    if (peer == Peer::kSilent) path.world.network().Blackhole(*path.flows[0].a);
    path.a->StartClose(path.world.now());
    if (peer == Peer::kDead) path.world.network().Kill(*path.flows[0].b);
    const Duration bound =
        peer == Peer::kDead ? kSecond : config.timeout + 100 * kMillisecond;
    EXPECT_TRUE(path.RunUntil([&] { return path.a->closed(); }, bound));
    EXPECT_EQ(message.send.back, 1);
    EXPECT_FALSE(message.send.result.ok());
  }
}

// --- Destruction

TEST_P(Endings, DestroyedAtAnyInstantEveryOpComesBack) {
  for (unsigned seed = 0; seed < 60; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    PathConfig config = Config();
    config.seed = seed;
    PathWorld path(config);
    const bool lossy = GetParam() && seed % 3 == 0;
    path.AddFlow(lossy ? kLossyWan : kWan);
    path.AddFlow(lossy ? kLossyWan : kWan);
    for (int i = 0; i < 20; ++i) {
      path.MakeAToB(random() % 300'000);
      path.Make(path.b, path.a, random() % 300'000, path.next_sequence++);
    }
    for (const auto& message : path.messages) {
      message->Send();
      if (random() % 2 == 0) message->Recv();
    }
    path.a->Tell({kCommunicator, 0, 1, Status(StatusCode::kAborted, "no")});
    path.RunFor(random() % (60 * kMillisecond));
    path.a.connection.reset();
    for (const auto& message : path.messages) {
      if (message->from == &path.a) {
        EXPECT_EQ(message->send.back, 1);
      } else if (message->recv.posted || message->recv.back > 0) {
        EXPECT_EQ(message->recv.back, 1);
      }
    }
    EXPECT_EQ(path.a.pool.bytes_in_use(), 0u);
    EXPECT_TRUE(path.a.recorder.faults.empty());
    path.RunFor(kSecond);
    EXPECT_EQ(path.b->status().code(), StatusCode::kUnreachable);
    for (const auto& message : path.messages) {
      if (message->from == &path.b) {
        EXPECT_EQ(message->send.back, 1);
      }
      EXPECT_FALSE(message->recv.posted);
    }
    path.ExpectUnharmed();
  }
}

}  // namespace
}  // namespace longhaul
