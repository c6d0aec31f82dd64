// Credit: memory for what nobody has asked for is bounded, and the bound locks
// nothing up.
#include <numeric>
#include <random>

#include "path/path_world.h"

namespace longhaul {
namespace {

class Credits : public testing::TestWithParam<bool> {
 protected:
  PathConfig Small() const {
    PathConfig config;
    config.retain = GetParam();
    config.chunk_size = 16 << 10;
    config.shared_credit = 64 << 10;
    config.stream_reserve = 8 << 10;
    config.retention = 64 << 10;
    return config;
  }
};

INSTANTIATE_TEST_SUITE_P(, Credits, testing::Bool(), [](const auto& param) {
  return param.param ? "Retained" : "Lent";
});

MessageId IdOf(uint32_t stream, uint64_t number) {
  return {kCommunicator, 0, 1, stream, 1, number};
}

TEST_P(Credits, WhatNobodyAskedForIsBounded) {
  for (unsigned seed = 0; seed < 20; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    PathWorld path(Small());
    path.AddFlow({.rate = 1e9, .delay = kMillisecond});
    constexpr uint32_t kStreams = 10;
    for (uint64_t i = 0; i < 200; ++i) {
      path.Make(path.a, path.b, random() % 20'000,
                IdOf(static_cast<uint32_t>(random() % kStreams), i));
    }
    for (const auto& message : path.messages) message->Send();
    size_t most = 0;
    const auto look = [&] {
      most = std::max(most, path.b.pool.bytes_in_use());
      return false;
    };
    path.RunUntil(look, kSecond);
    EXPECT_LE(most, (64u << 10) + kStreams * (8u << 10));
    EXPECT_GT(most, 64u << 10) << "the reserves are not used";
    for (const auto& message : path.messages) {
      message->Recv();
      path.RunUntil(look, random() % kMillisecond);
    }
    EXPECT_LE(most, (64u << 10) + kStreams * (8u << 10));
    EXPECT_TRUE(path.RunUntilArrived(kSecond));
    path.ExpectWell();
  }
}

// Receives are posted one after the other, each when the one before is done, in
// an order that has nothing to do with that of the sends: however little memory
// there is, that must come to an end.
TEST_P(Credits, NoOrderOfReceivesLocksUp) {
  for (unsigned seed = 0; seed < 60; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    PathConfig config = Small();
    config.seed = seed;
    config.stream_reserve = 0;  // the least there is
    if (seed % 2 == 0) config.shared_credit = 0;
    PathWorld path(config);
    const SimLink link{.rate = 1e9,
                       .delay = kMillisecond,
                       .jitter = 100 * kMicrosecond,
                       .queue = 1 + seed % 4};
    path.AddFlow(link);
    if (seed % 3 == 0 && config.retain) path.AddFlow(link);
    const uint32_t streams = 1 + static_cast<uint32_t>(random() % 8);
    for (uint64_t i = 0; i < 40; ++i) {
      const bool back = random() % 2 == 0;
      Side& from = back ? path.b : path.a;
      Side& to = back ? path.a : path.b;
      MessageId id = IdOf(static_cast<uint32_t>(random() % streams), i);
      id.target = to.rank;
      path.Make(from, to, random() % 60'000, id);
    }
    std::vector<size_t> order(path.messages.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::shuffle(order.begin(), order.end(), random);
    for (const auto& message : path.messages) message->Send();
    for (const size_t i : order) {
      Message& message = *path.messages[i];
      if (random() % 3 == 0) path.RunFor(3 * kMillisecond);
      message.Recv();
      ASSERT_TRUE(path.RunUntil([&] { return message.Arrived(); }, kSecond))
          << "locked up";
    }
    path.RunFor(kSecond);
    path.ExpectWell();
    EXPECT_EQ(path.a.pool.bytes_in_use(), 0u);
    EXPECT_EQ(path.b.pool.bytes_in_use(), 0u);
  }
}

TEST_P(Credits, ComesBackForEver) {
  PathWorld path(Small());
  path.AddFlow({.rate = 1e9, .delay = kMillisecond});
  std::mt19937 random(1);
  for (int round = 0; round < 100; ++round) {
    path.messages.clear();
    for (uint64_t i = 0; i < 20; ++i) {
      path.Make(path.a, path.b, random() % 8'000,
                {kCommunicator, 0, path.next_sequence++,
                 static_cast<uint32_t>(random() % 3), 1, i});
    }
    for (const auto& message : path.messages) message->Send();
    path.RunFor(2 * kMillisecond);
    for (const auto& message : path.messages) message->Recv();
    ASSERT_TRUE(path.RunUntilArrived(kSecond)) << round;
    for (const auto& message : path.messages) {
      path.b.Finish(message->send.id.sequence, OperationState::kDone);
    }
    path.RunFor(10 * kMillisecond);
  }
  EXPECT_GT(path.b->Counters().in.unexpected_bytes, 20u * (64 << 10));
  path.ExpectWell();
}

// Empty messages take memory as well.
TEST_P(Credits, EmptyMessagesAreBounded) {
  PathWorld path(Small());
  path.AddFlow({.rate = 1e9, .delay = kMillisecond});
  for (int i = 0; i < 1000; ++i) path.MakeAToB(0).Send();
  path.RunFor(kSecond);
  const size_t unexpected = path.b.recorder.unexpected.size();
  EXPECT_GT(unexpected, 50u);
  EXPECT_LE(unexpected, (72u << 10) / kChunkCost);
  for (const auto& message : path.messages) message->Recv();
  EXPECT_TRUE(path.RunUntilArrived(kSecond));
  path.ExpectWell();
}

// Without shared credit, what one stream leaves lying about does not hold up
// another.
TEST_P(Credits, TheReserveOfAStreamIsItsOwn) {
  PathConfig config = Small();
  PathWorld path(config);
  path.AddFlow({.rate = 1e9, .delay = kMillisecond});
  path.Make(path.a, path.b, 1 << 20, IdOf(1, 0)).Send();
  path.Make(path.a, path.b, 1 << 20, IdOf(2, 0)).Send();
  path.RunFor(kSecond);
  Message& other = path.Make(path.a, path.b, 4000, IdOf(3, 0));
  other.Send();
  path.RunFor(kSecond);
  EXPECT_EQ(other.send.back, 1);
  EXPECT_EQ(path.b.recorder.unexpected.size(), 3u);
}

TEST(Credit, OfferedInTheHelloIsUsed) {
  PathConfig config;
  PathWorld path(config);
  ConnectionConfig other = config.For("b");
  other.outbox.shared_credit = other.outbox.stream_reserve = 0;
  path.a.connection =
      std::make_unique<Connection>(path.world.engine(0), path.a.pool, other);
  path.a->Welcome(config.shared_credit, config.stream_reserve);
  path.AddFlow(kWan);
  for (int i = 0; i < 10; ++i) path.MakeAToB(64 << 10).Send();
  path.RunFor(kSecond);
  EXPECT_EQ(path.a.recorder.sent.size(), 10u);
}

}  // namespace
}  // namespace longhaul
