// Several flows, some of which die, lose frames, or are late.
#include <random>

#include "path/path_world.h"

namespace longhaul {
namespace {

void SendAndRecvAll(PathWorld& path) {
  for (const auto& message : path.messages) {
    message->Recv();
    message->Send();
  }
}

// --- Flows that die

TEST(Flows, OneKilledAtAnyInstantIsNotNoticedByMessages) {
  uint64_t resent = 0;
  for (unsigned seed = 0; seed < 60; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    PathConfig config;
    config.seed = seed;
    PathWorld path(config);
    for (int i = 0; i < 3; ++i) {
      path.AddFlow({.rate = 1e8, .delay = (1 + i * 4) * kMillisecond});
    }
    for (int i = 0; i < 30; ++i) path.MakeAToB(random() % 200'000);
    for (int i = 0; i < 10; ++i) {
      path.Make(path.b, path.a, random() % 200'000, path.next_sequence++);
    }
    for (const auto& message : path.messages) {
      if (random() % 2 == 0) message->Recv();
      message->Send();
    }
    path.RunFor(random() % (40 * kMillisecond));
    const auto& victim = path.flows[random() % 3];
    path.world.network().Kill(random() % 2 == 0 ? *victim.a : *victim.b);
    path.RunFor(random() % (40 * kMillisecond));
    for (const auto& message : path.messages) {
      if (!message->recv.posted && message->recv.back == 0) message->Recv();
    }
    ASSERT_TRUE(path.RunUntilArrived(10 * kSecond));
    path.RunFor(kSecond);
    path.ExpectWell();
    EXPECT_EQ(path.a.pool.bytes_in_use(), 0u) << "never acknowledged";
    EXPECT_EQ(path.b.pool.bytes_in_use(), 0u);
    EXPECT_EQ(path.a->Counters().flows_lost, 1u);
    EXPECT_EQ(path.b->Counters().flows, 2u);
    EXPECT_EQ(path.a.recorder.sent.size(), 30u);
    resent += path.a->Counters().out.resent_bytes;
  }
  EXPECT_GT(resent, 1'000'000u);
}

TEST(Flows, ComeAndGoAllDayLong) {
  PathWorld path;
  path.AddFlow(kWan);
  for (int i = 0; i < 50; ++i) {
    for (int k = 0; k < 4; ++k) path.MakeAToB(100'000);
    for (size_t k = path.messages.size() - 4; k < path.messages.size(); ++k) {
      path.messages[k]->Recv();
      path.messages[k]->Send();
    }
    path.AddFlow(kWan);
    path.RunFor(i * 531 * kMicrosecond);
    path.Kill(path.flows[path.flows.size() - 2]);
    ASSERT_TRUE(path.RunUntilArrived(kSecond));
  }
  path.RunFor(kSecond);
  path.ExpectWell();
  EXPECT_EQ(path.a->Counters().flows_lost, 50u);
  EXPECT_EQ(path.a->Counters().flows, 1u);
  EXPECT_EQ(path.a.pool.bytes_in_use(), 0u);
}

TEST(Flows, WithoutRetentionTheLossOfOneIsTheEnd) {
  PathConfig config;
  config.retain = false;
  PathWorld path(config);
  path.AddFlow({.rate = 1e8, .delay = kMillisecond});
  path.AddFlow({.rate = 1e8, .delay = kMillisecond});
  for (int i = 0; i < 10; ++i) path.MakeAToB(1 << 20);
  SendAndRecvAll(path);
  path.RunFor(30 * kMillisecond);
  path.Kill(path.flows[0]);
  path.RunFor(kSecond);
  for (const auto& message : path.messages) {
    EXPECT_EQ(message->send.back, 1);
    EXPECT_EQ(message->recv.back, 1);
  }
  EXPECT_EQ(path.b->status().code(), StatusCode::kUnreachable);
  EXPECT_EQ(path.a.recorder.faults.size(), 1u);
  EXPECT_EQ(path.b.recorder.faults.size(), 1u);
  path.ExpectUnharmed();
}

TEST(Flows, ASilentOneIsGivenUpWhileOthersLive) {
  PathConfig config;
  config.timeout = 20 * kSecond;
  PathWorld path(config);
  path.AddFlow(kWan);
  path.AddFlow(kWan);
  for (int i = 0; i < 40; ++i) path.MakeAToB(1 << 20);
  SendAndRecvAll(path);
  path.RunFor(15 * kMillisecond);
  path.world.network().Blackhole(*path.flows[0].a);
  EXPECT_TRUE(path.RunUntilArrived(20 * kSecond));
  path.RunFor(20 * kSecond);
  path.ExpectWell();
  EXPECT_EQ(path.a->Counters().flows, 1u);
  EXPECT_GT(path.a->Counters().out.resent_bytes, 0u);
  EXPECT_EQ(path.a.pool.bytes_in_use(), 0u);
}

// What is said about posted receives and credit is lost with a flow that dies;
// it is said again.
TEST(Flows, GrantsAndCreditLostWithAFlowAreRepaired) {
  for (Duration at = 0; at < 30 * kMillisecond; at += kMillisecond) {
    SCOPED_TRACE(at);
    PathConfig config;
    config.shared_credit = 128 << 10;
    config.stream_reserve = 16 << 10;
    PathWorld path(config);
    path.AddFlow({.rate = 1e9, .delay = 5 * kMillisecond});
    path.AddFlow({.rate = 1e9, .delay = 5 * kMillisecond});
    // First what needs all the credit there is, then what needs a grant.
    for (int i = 0; i < 30; ++i) path.MakeAToB(30'000);
    path.MakeAToB(5 << 20);
    for (const auto& message : path.messages) message->Send();
    path.RunFor(20 * kMillisecond);
    for (const auto& message : path.messages) message->Recv();
    path.RunFor(at);
    path.world.network().Kill(*path.flows[0].b);  // which says all of it
    EXPECT_TRUE(path.RunUntilArrived(kSecond));
    path.ExpectWell();
    // The credit is whole: as much as at the start goes without a receive.
    const size_t before = path.a.recorder.sent.size();
    for (int i = 0; i < 2; ++i) path.MakeAToB(32 << 10).Send();
    path.RunFor(kSecond);
    EXPECT_EQ(path.a.recorder.sent.size(), before + 2);
  }
}

// A stream whose credit is used up for good needs the grant.
TEST(Flows, AGrantLostWithAFlowIsGivenAgain) {
  for (Duration at = 0; at < 12 * kMillisecond; at += kMillisecond) {
    for (const bool lossy : {true, false}) {
      SCOPED_TRACE(testing::Message() << at << lossy);
      PathConfig config;
      config.shared_credit = 0;
      config.stream_reserve = 16 << 10;
      PathWorld path(config);
      const SimLink link{.rate = 1e9, .delay = 5 * kMillisecond};
      SimLink back = link;
      path.AddFlow(link, back);
      path.AddFlow(link, back);
      path.MakeAToB(100'000).Send();  // never asked for
      Message& wanted = path.MakeAToB(100'000);
      wanted.Send();
      path.RunFor(100 * kMillisecond);
      if (lossy) {
        back.reliable = false;
        back.loss = 1;
        for (const auto& ends : path.flows) {
          path.world.network().Change(*ends.b, back);
        }
      }
      wanted.Recv();
      path.RunFor(at);
      if (lossy) {
        back.loss = 0;
        for (const auto& ends : path.flows) {
          path.world.network().Change(*ends.a, back);
          path.world.network().Change(*ends.b, back);
        }
      } else {
        path.world.network().Kill(*path.flows[0].b);
      }
      EXPECT_TRUE(path.RunUntil([&] { return wanted.Arrived(); }, kSecond));
      path.ExpectWell();
    }
  }
}

// --- Flows that lose frames

TEST(Flows, WhatLossyOnesLoseArrivesAllTheSame) {
  for (unsigned seed = 0; seed < 20; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    PathConfig config;
    config.seed = seed;
    config.chunk_size = 16 << 10;
    config.shared_credit = 256 << 10;
    PathWorld path(config);
    for (unsigned i = 0; i <= seed % 3; ++i) path.AddFlow(kLossyWan);
    for (int i = 0; i < 20; ++i) path.MakeAToB(random() % 100'000);
    for (int i = 0; i < 20; ++i) {
      path.Make(path.b, path.a, random() % 100'000, path.next_sequence++);
    }
    for (const auto& message : path.messages) {
      if (random() % 2 == 0) message->Recv();
      message->Send();
    }
    for (uint64_t i = 0; i < 10; ++i) {
      path.a->Tell({kCommunicator, 0, i, Status(StatusCode::kAborted, "no")});
    }
    path.RunFor(100 * kMillisecond);
    for (const auto& message : path.messages) {
      if (!message->recv.posted && message->recv.back == 0) message->Recv();
    }
    ASSERT_TRUE(path.RunUntilArrived(20 * kSecond));
    ASSERT_TRUE(path.RunUntil(
        [&] {
          return path.a.pool.bytes_in_use() == 0 &&
                 path.b.pool.bytes_in_use() == 0 &&
                 path.b.recorder.notices.size() >= 10;
        },
        20 * kSecond));
    path.RunFor(10 * kSecond);
    EXPECT_EQ(path.b.recorder.notices.size(), 10u) << "each once";
    path.ExpectWell();
  }
}

// On a slow line a chunk takes longer to leave than the peer to answer: it must
// not be sent again before it can have been acknowledged.
TEST(Flows, ASlowLossyLineIsNotFilledWithTwins) {
  SimLink link{.rate = 1e6, .delay = kMillisecond, .reliable = false};
  PathConfig config;
  config.chunk_size = 1 << 20;
  PathWorld path(config);
  path.AddFlow(link);
  for (int i = 0; i < 8; ++i) path.MakeAToB(1'000'000);  // a second each
  SendAndRecvAll(path);
  EXPECT_TRUE(path.RunUntilArrived(10 * kSecond));
  EXPECT_EQ(path.a->Counters().out.resent_bytes, 0u);
  EXPECT_LT(path.world.network().event_count(), 10'000u) << "it spins";
}

// --- Twins

// The chunk is arriving over the slow flow from 0.5 s to 1.5 s. When it has
// left, after 1.05 s, the sender loses that flow, which the receiver does not
// hear before 1.55 s, and the twin comes over the fast flow.
class LateTwins : public testing::Test {
 protected:
  LateTwins() {
    config_.chunk_size = 1 << 20;
    config_.shared_credit = 8 << 20;
  }
  Message& Start(PathWorld& path, bool posted) {
    path.AddFlow({.rate = 1e6, .delay = 500 * kMillisecond});
    Message& message = path.MakeAToB(1'000'000);
    if (posted) message.Recv();
    message.Send();
    path.RunFor(1050 * kMillisecond);
    EXPECT_EQ(path.b->Counters().in.bytes, 0u);
    path.AddFlow({.rate = 1e9, .delay = kMillisecond});
    path.world.network().Kill(*path.flows[0].a);
    return message;
  }
  void ExpectCleanEnd(PathWorld& path) {
    path.RunFor(5 * kSecond);
    path.ExpectWell();
    EXPECT_EQ(path.a.pool.bytes_in_use(), 0u);
    EXPECT_EQ(path.b.pool.bytes_in_use(), 0u);
  }
  PathConfig config_;
};

TEST_F(LateTwins, TheFirstToBeWholeWinsAndTheOtherWritesNoMore) {
  for (const bool posted : {true, false}) {
    SCOPED_TRACE(posted);
    PathWorld path(config_);
    Message& message = Start(path, posted);
    path.RunFor(20 * kMillisecond);
    if (!posted) message.Recv();
    EXPECT_TRUE(message.Arrived()) << "the twin did not win";
    ExpectCleanEnd(path);
  }
}

TEST_F(LateTwins, ATwinThatIsLaterStillIsThrownAway) {
  for (const bool posted : {true, false}) {
    SCOPED_TRACE(posted);
    PathWorld path(config_);
    Message& message = Start(path, posted);
    path.world.network().Change(*path.flows[1].a,
                                {.rate = 5e5, .delay = kMillisecond});
    path.RunFor(480 * kMillisecond);
    if (!posted) message.Recv();
    EXPECT_TRUE(
        path.RunUntil([&] { return message.Arrived(); }, 30 * kMillisecond));
    ExpectCleanEnd(path);
  }
}

TEST_F(LateTwins, WithoutMemoryTheNewcomerTakesOver) {
  for (const bool posted : {true, false}) {
    SCOPED_TRACE(posted);
    config_.pool = 4 << 20;
    PathWorld path(config_);
    Message& message = Start(path, posted);
    std::vector<uint8_t*> taken;
    while (uint8_t* block = path.b.pool.Take(256)) taken.push_back(block);
    path.RunFor(20 * kMillisecond);
    if (!posted) message.Recv();
    EXPECT_TRUE(message.Arrived());
    for (uint8_t* block : taken) path.b.pool.Give(block, 256);
    ExpectCleanEnd(path);
  }
}

TEST_F(LateTwins, ACancelledReceiveStaysCancelled) {
  for (const bool posted : {true, false}) {
    for (Duration at = 0; at < 600 * kMillisecond; at += 90 * kMillisecond) {
      PathWorld path(config_);
      Message& message = Start(path, posted);
      path.world.network().Change(*path.flows[1].a,
                                  {.rate = 3e6, .delay = kMillisecond});
      if (!posted) message.Recv();
      path.RunFor(at);
      path.b->Cancel(message.recv, Status(StatusCode::kAborted, "enough"));
      EXPECT_EQ(message.recv.back, 1);
      path.b.Finish(message.recv.id.sequence, OperationState::kAborted);
      ExpectCleanEnd(path);
    }
  }
}

// A chunk of an operation that is over comes again with the flow that dies:
// its credit is returned once, no more, no less.
TEST(Flows, TwinsOfAbortedOperationsDoNotUpsetCredit) {
  for (unsigned seed = 0; seed < 30; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    PathConfig config;
    config.seed = seed;
    config.shared_credit = 256 << 10;
    config.stream_reserve = 16 << 10;
    PathWorld path(config);
    path.AddFlow(kWan);
    for (int i = 0; i < 40; ++i) {
      path.AddFlow(kWan);
      std::vector<Message*> round;
      for (int k = 0; k < 6; ++k) {
        round.push_back(&path.MakeAToB(random() % 60'000));
        round.back()->Send();
      }
      path.RunFor(random() % (30 * kMillisecond));
      path.b.Finish(round[0]->send.id.sequence, OperationState::kAborted);
      path.b.Finish(round[1]->send.id.sequence, OperationState::kAborted);
      path.RunFor(random() % (10 * kMillisecond));
      path.Kill(path.flows[path.flows.size() - 2]);
      for (int k = 2; k < 6; ++k) round[static_cast<size_t>(k)]->Recv();
      ASSERT_TRUE(path.RunUntil(
          [&] {
            return std::all_of(round.begin(), round.end(),
                               [](Message* m) { return m->send.back == 1; });
          },
          kSecond))
          << "no credit any more";
      ASSERT_TRUE(path.b->status().ok()) << path.b->status().ToString();
    }
    path.RunFor(kSecond);
    path.ExpectWell();
    EXPECT_EQ(path.b.pool.bytes_in_use(), 0u);
  }
}

}  // namespace
}  // namespace longhaul
