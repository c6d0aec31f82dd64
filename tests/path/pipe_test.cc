// What users of pipes see: order, back-pressure, lengths, and what becomes of
// memory when a pipe, or the connection, ends.
#include "path/pipe.h"

#include "path/path_world.h"

namespace longhaul {
namespace {

constexpr uint64_t kDoor = 0x1234567890abcdef;

struct Acceptor final : PipeAcceptor {
  bool OnPipe(PipeHub& hub, uint32_t number, uint64_t door,
              std::span<const uint8_t> greeting) override {
    came.push_back({&hub, number, door, {greeting.begin(), greeting.end()}});
    return door == kDoor;
  }
  struct Came {
    PipeHub* hub;
    uint32_t number;
    uint64_t door;
    std::vector<uint8_t> greeting;
  };
  std::vector<Came> came;
};

class Pipes : public testing::Test {
 protected:
  explicit Pipes(const PathConfig& config = {}) : path(config) {
    path.AddFlow(kWan);
  }

  std::unique_ptr<OutPipe> Open(uint32_t number, uint64_t door = kDoor) {
    return std::make_unique<OutPipe>(path.world.engine(0), *path.a.connection,
                                     number, door);
  }
  std::unique_ptr<InPipe> Accept(uint32_t number) {
    const auto has_come = [&] {
      return std::any_of(acceptor.came.begin(), acceptor.came.end(),
                         [&](const auto& c) { return c.number == number; });
    };
    EXPECT_TRUE(path.RunUntil(has_come, kSecond));
    return std::make_unique<InPipe>(path.world.engine(1), hub, number);
  }
  bool RunUntilDone(const PipeRequest* request) {
    return path.RunUntil([&] { return request->Done(); }, 60 * kSecond);
  }

  PathWorld path;
  Acceptor acceptor;
  PipeHub hub{path.world.engine(1), *path.b.connection, acceptor};
};

TEST_F(Pipes, MessagesArriveInOrderWhateverTheirLength) {
  const std::vector<size_t> sizes = {0, 1, 65536, 3, 0, 1'000'000, 17};
  const auto out = Open(1);
  const auto in = Accept(1);
  std::vector<std::vector<uint8_t>> sources;
  std::vector<std::vector<uint8_t>> targets;
  std::vector<PipeRequest*> sends;
  std::vector<PipeRequest*> recvs;
  for (const size_t size : sizes) {
    sources.push_back(Pattern(size, size + 1));
    sends.push_back(out->Send(sources.back().data(), size));
    ASSERT_NE(sends.back(), nullptr);
  }
  for (size_t i = 0; i < sizes.size(); ++i) {
    targets.emplace_back(1'000'000);
    recvs.push_back(in->Recv(targets.back().data(), targets.back().size()));
  }
  for (size_t i = 0; i < sizes.size(); ++i) {
    ASSERT_TRUE(RunUntilDone(recvs[i])) << i;
    EXPECT_TRUE(recvs[i]->status().ok());
    ASSERT_EQ(recvs[i]->bytes(), sizes[i]) << i;
    EXPECT_TRUE(
        std::equal(sources[i].begin(), sources[i].end(), targets[i].begin()))
        << i;
    EXPECT_TRUE(sends[i]->Done());
    EXPECT_TRUE(sends[i]->status().ok());
  }
}

TEST_F(Pipes, TheAcceptorReadsTheGreeting) {
  for (const size_t size : {size_t{0}, size_t{5}, kLongestGreeting}) {
    const std::vector<uint8_t> greeting = Pattern(size, size);
    const auto number = static_cast<uint32_t>(size + 1);
    const OutPipe out(path.world.engine(0), *path.a.connection, number, kDoor,
                      greeting);
    Accept(number);
    EXPECT_EQ(acceptor.came.back().greeting, greeting);
  }
}

TEST_F(Pipes, ASendIsDoneWithoutAReceive) {
  const auto out = Open(1);
  std::vector<uint8_t> source = Pattern(100'000, 1);
  PipeRequest* send = out->Send(source.data(), source.size());
  ASSERT_TRUE(RunUntilDone(send));
  std::fill(source.begin(), source.end(), uint8_t{0});  // it is ours again
  const auto in = Accept(1);
  std::vector<uint8_t> target(100'000);
  ASSERT_TRUE(RunUntilDone(in->Recv(target.data(), target.size())));
  EXPECT_EQ(target, Pattern(100'000, 1));
}

TEST_F(Pipes, RequestsAreBoundedAndComeBack) {
  const auto out = Open(1);
  const auto in = Accept(1);
  std::vector<PipeRequest*> sends;
  while (PipeRequest* send = out->Send("x", 1)) sends.push_back(send);
  EXPECT_EQ(sends.size(), kPipeRequests);
  ASSERT_TRUE(RunUntilDone(sends.back()));
  EXPECT_EQ(out->Send("y", 1), nullptr) << "not given back yet";
  sends.front()->Release();
  EXPECT_NE(out->Send("y", 1), nullptr);
}

TEST_F(Pipes, AMessageTooLongFailsItsReceiveAlone) {
  const auto out = Open(1);
  const auto in = Accept(1);
  const std::vector<uint8_t> source = Pattern(5000, 1);
  ASSERT_TRUE(RunUntilDone(out->Send(source.data(), 5000)));
  ASSERT_TRUE(RunUntilDone(out->Send(source.data(), 50)));
  std::vector<uint8_t> target(100, kPoison);
  PipeRequest* first = in->Recv(target.data(), target.size());
  ASSERT_TRUE(RunUntilDone(first));
  EXPECT_EQ(first->status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(target, std::vector<uint8_t>(100, kPoison));
  PipeRequest* second = in->Recv(target.data(), target.size());
  ASSERT_TRUE(RunUntilDone(second));
  EXPECT_TRUE(second->status().ok());
  EXPECT_EQ(second->bytes(), 50u);
}

TEST_F(Pipes, ManyPipesShareAConnectionWithoutMixing) {
  constexpr uint32_t kCount = 20;
  std::vector<std::unique_ptr<OutPipe>> outs;
  std::vector<std::unique_ptr<InPipe>> ins;
  for (uint32_t n = 1; n <= kCount; ++n) outs.push_back(Open(n));
  for (uint32_t n = 1; n <= kCount; ++n) ins.push_back(Accept(n));
  std::vector<std::vector<uint8_t>> sources;
  for (uint32_t n = 0; n < kCount; ++n) {
    sources.push_back(Pattern(200'000, n));
    outs[n]->Send(sources[n].data(), sources[n].size());
  }
  for (uint32_t n = kCount; n-- > 0;) {
    std::vector<uint8_t> target(200'000);
    ASSERT_TRUE(RunUntilDone(ins[n]->Recv(target.data(), target.size())));
    EXPECT_EQ(target, sources[n]) << n;
  }
}

// One whose receiver does not listen must not hold up another: it may be what
// the first waits for.
TEST_F(Pipes, APipeNobodyReadsDoesNotStarveAnother) {
  const auto deaf = Open(1);
  const auto other = Open(2);
  const auto in_deaf = Accept(1);
  const auto in_other = Accept(2);
  const std::vector<uint8_t> source = Pattern(500'000, 1);
  for (size_t i = 0; i < kPipeRequests; ++i) {
    deaf->Send(source.data(), source.size());
  }
  path.RunFor(kSecond);
  std::vector<uint8_t> target(500'000);
  for (int i = 0; i < 10; ++i) {
    PipeRequest* send = other->Send(source.data(), source.size());
    PipeRequest* recv = in_other->Recv(target.data(), target.size());
    ASSERT_TRUE(RunUntilDone(recv)) << i;
    ASSERT_TRUE(RunUntilDone(send)) << i;
    send->Release();
    recv->Release();
  }
}

// Grants that come after their message was sent on credit must not pile up.
TEST_F(Pipes, ALongRowOfMessagesLeavesNothingBehind) {
  const auto out = Open(1);
  const auto in = Accept(1);
  std::array<uint8_t, 64> source{};
  std::array<uint8_t, 64> target{};
  for (int i = 0; i < 70'000; ++i) {
    PipeRequest* recv = in->Recv(target.data(), target.size());
    PipeRequest* send = out->Send(source.data(), source.size());
    ASSERT_NE(recv, nullptr);
    ASSERT_NE(send, nullptr);
    // Both under way at once, so that the grant and the message cross.
    ASSERT_TRUE(RunUntilDone(recv)) << i;
    ASSERT_TRUE(RunUntilDone(send)) << i;
    send->Release();
    recv->Release();
  }
  EXPECT_TRUE(path.a->status().ok()) << path.a->status().ToString();
}

TEST_F(Pipes, ADoorNobodyIsBehindTakesAllAndKeepsNothing) {
  const auto out = Open(1, 99);
  const std::vector<uint8_t> source = Pattern(300'000, 1);
  for (int i = 0; i < 20; ++i) {
    PipeRequest* send = out->Send(source.data(), source.size());
    ASSERT_TRUE(RunUntilDone(send)) << i;
    send->Release();
  }
  path.RunFor(kSecond);
  EXPECT_EQ(path.b.pool.bytes_in_use(), 0u);
  EXPECT_TRUE(path.b->status().ok());
}

TEST_F(Pipes, ClosedWithReceivesPostedNothingIsWrittenAnyMore) {
  auto out = Open(1);
  auto in = Accept(1);
  std::vector<uint8_t> target(200'000, kPoison);
  in->Recv(target.data(), target.size());
  path.RunFor(100 * kMillisecond);
  in.reset();
  const std::vector<uint8_t> source = Pattern(200'000, 1);
  PipeRequest* send = out->Send(source.data(), source.size());
  ASSERT_TRUE(RunUntilDone(send));
  path.RunFor(kSecond);
  EXPECT_EQ(target, std::vector<uint8_t>(200'000, kPoison));
  EXPECT_EQ(path.b.pool.bytes_in_use(), 0u);
}

TEST_F(Pipes, WhatIsDoneArrivesThoughThePipeIsClosed) {
  auto out = Open(1);
  const auto in = Accept(1);
  const std::vector<uint8_t> source = Pattern(400'000, 1);
  PipeRequest* send = out->Send(source.data(), source.size());
  ASSERT_TRUE(RunUntilDone(send));
  out.reset();
  std::vector<uint8_t> target(400'000);
  ASSERT_TRUE(RunUntilDone(in->Recv(target.data(), target.size())));
  EXPECT_EQ(target, source);
}

TEST_F(Pipes, ABrokenConnectionEndsEveryRequest) {
  const auto out = Open(1);
  const auto in = Accept(1);
  std::vector<uint8_t> target(100);
  PipeRequest* recv = in->Recv(target.data(), target.size());
  path.Kill(path.flows.front());
  ASSERT_TRUE(RunUntilDone(recv));
  EXPECT_EQ(recv->status().code(), StatusCode::kUnreachable);
  PipeRequest* send = out->Send("x", 1);
  ASSERT_TRUE(RunUntilDone(send));
  EXPECT_EQ(send->status().code(), StatusCode::kUnreachable);
}

}  // namespace
}  // namespace longhaul
