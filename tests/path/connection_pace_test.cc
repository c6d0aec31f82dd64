// How connections between sites pace themselves and warm up.
#include <array>
#include <cmath>

#include "path/path_world.h"

namespace longhaul {
namespace {

// Forwards to another endpoint, and notes what it is told of pacing.
struct PaceLog {
  double pace = 0;
  int renewals = 0;
  bool refuse = false;
};

class LoggingEndpoint final : public Endpoint {
 public:
  LoggingEndpoint(std::unique_ptr<Endpoint> inner, PaceLog& log)
      : inner_(std::move(inner)), log_(log) {}
  bool TrySend(const ChunkHeader& header, ConstBuffer payload,
               void* cookie) override {
    return inner_->TrySend(header, payload, cookie);
  }
  bool TrySendControl(const ChunkHeader& header,
                      std::span<const uint8_t> payload) override {
    return inner_->TrySendControl(header, payload);
  }
  void Divert() override { inner_->Divert(); }
  void Finish() override { inner_->Finish(); }
  void Close() override { inner_->Close(); }
  void SetPace(double pace) override { log_.pace = pace; }
  bool Renew() override {
    ++log_.renewals;
    return !log_.refuse;
  }
  bool Drained() const override { return inner_->Drained(); }
  bool reliable() const override { return inner_->reliable(); }
  uint32_t max_payload() const override { return inner_->max_payload(); }
  EndpointStats Stats() const override { return inner_->Stats(); }
  std::string Name() const override { return inner_->Name(); }

 private:
  std::unique_ptr<Endpoint> inner_;
  PaceLog& log_;
};

// A sink's calls come from the inner endpoint; the connection knows the outer.
class Relay final : public ChunkSink {
 public:
  Relay(ChunkSink& to, Endpoint& as) : to_(to), as_(as) {}
  Buffer Place(Endpoint&, const ChunkHeader& h, TimePoint now) override {
    return to_.Place(as_, h, now);
  }
  void Arrived(Endpoint&, const ChunkHeader& h, Buffer b,
               TimePoint now) override {
    to_.Arrived(as_, h, b, now);
  }
  void Sent(Endpoint&, void* cookie) override { to_.Sent(as_, cookie); }
  void Writable(Endpoint&) override { to_.Writable(as_); }
  void Failed(Endpoint&, const Status& why) override { to_.Failed(as_, why); }

 private:
  ChunkSink& to_;
  Endpoint& as_;
};

// Two sites; the line from a to b is twice as wide as the way back.
class Paced : public testing::Test {
 protected:
  static constexpr double kNarrow = 20e6;
  static constexpr SimLink kOut{.rate = 2 * kNarrow,
                                .delay = 25 * kMillisecond};
  static constexpr SimLink kBack{.rate = kNarrow, .delay = 25 * kMillisecond};

  void Start(bool pace = true) {
    for (auto* side : {&a_, &b_}) {
      ConnectionConfig config = PathConfig().For("the other site");
      config.pace = pace;
      config.warm_up_bytes = 256 << 20;
      config.outbox.retention_limit = config.outbox.retention_most = 16 << 20;
      config.board = &boards_[side == &a_ ? 0 : 1];
      config.line = PaceBoard::LineTo("other");
      side->emplace(world_, side == &a_ ? 0 : 1, side == &a_ ? 0u : 1u, config,
                    256 << 20);
    }
    auto [end_a, end_b] = world_.network().Connect(kOut, kBack);
    Join(*a_, std::move(end_a), log_a_);
    Join(*b_, std::move(end_b), log_b_);
  }
  void Join(Side& side, std::unique_ptr<SimEndpoint> end, PaceLog& log) {
    SimEndpoint& raw = *end;
    auto outer = std::make_unique<LoggingEndpoint>(std::move(end), log);
    relays_.push_back(std::make_unique<Relay>(*side.connection, *outer));
    raw.SetSink(*relays_.back());
    side->AddFlow(std::move(outer), world_.now());
  }
  bool Warm() {
    return world_.RunUntil([&] { return (*a_)->warm() && (*b_)->warm(); },
                           world_.now() + 20 * kSecond);
  }

  // So many bytes each way, at the same time.
  void Exchange(size_t size) {
    std::array<TestSend, 2> sends;
    std::array<TestRecv, 2> recvs;
    for (uint32_t i = 0; i < 2; ++i) {
      Side& from = i == 0 ? *a_ : *b_;
      Side& to = i == 0 ? *b_ : *a_;
      const MessageId id{kCommunicator, 0, 99, i, 1 - i, 0};
      sends[i].source.resize(size);
      recvs[i].target.resize(size);
      sends[i].id = recvs[i].id = id;
      sends[i].data = sends[i].source.data();
      recvs[i].data = recvs[i].target.data();
      sends[i].size = recvs[i].size = size;
      sends[i].listener = &from.recorder;
      recvs[i].listener = &to.recorder;
      to->Recv(recvs[i]);
      from->Send(sends[i]);
    }
    EXPECT_TRUE(world_.RunUntil([&] { return recvs[0].Ok() && recvs[1].Ok(); },
                                world_.now() + 20 * kSecond));
  }

  SimWorld world_{1, 2};
  PaceBoard boards_[2];
  PaceLog log_a_;
  PaceLog log_b_;
  std::vector<std::unique_ptr<Relay>> relays_;
  std::optional<Side> a_;
  std::optional<Side> b_;
};

TEST_F(Paced, WarmUpEndsLongBeforeItsBudgetAndLeavesAPace) {
  Start();
  EXPECT_FALSE((*a_)->warm());
  ASSERT_TRUE(Warm());
  EXPECT_LT((*b_)->Counters().padding_bytes, uint64_t{128} << 20);
  EXPECT_GT(log_b_.pace, 0.8 * kNarrow);
  EXPECT_EQ(log_b_.pace, (*b_)->Counters().pace);
}

TEST_F(Paced, WithoutPacingWarmUpEndsAsWell) {
  Start(false);
  ASSERT_TRUE(Warm());
  EXPECT_LT((*b_)->Counters().padding_bytes, uint64_t{128} << 20);
  EXPECT_EQ(log_b_.pace, 0);
}

TEST_F(Paced, TheWiderWayYieldsToTheNarrower) {
  Start();
  ASSERT_TRUE(Warm());
  Exchange(40 << 20);
  EXPECT_DOUBLE_EQ(std::floor((*a_)->Counters().pace),
                   (*b_)->Counters().peer_pace);
  // A simulated flow does not keep to its pace: more would be delivered, and
  // alone the pace would be more than that.
  EXPECT_LT(log_a_.pace, 0.97 * 2 * kNarrow);
  EXPECT_GT(log_a_.pace, 0.9 * kNarrow);
}

TEST_F(Paced, ACongestionControlBeginsAnewBetweenOperationsAndWhenItsTimeIsUp) {
  Start();
  ASSERT_TRUE(Warm());
  world_.RunFor(5 * kSecond);
  const int before = log_a_.renewals;
  Recorder recorder;
  const auto send = [&](TestSend& op, uint64_t sequence, size_t size) {
    op.id = {kCommunicator, 0, sequence, 0, 1, 0};
    op.source.resize(size);
    op.data = op.source.data();
    op.size = size;
    op.listener = &recorder;
    (*a_)->Send(op);
    world_.RunFor(kMillisecond);
  };
  TestSend first;
  TestSend second;
  send(first, 1, 1000);
  EXPECT_EQ(log_a_.renewals, before + 1);
  world_.RunFor(kSecond);
  send(second, 2, 1000);
  EXPECT_EQ(log_a_.renewals, before + 1) << "it has just done so";
}

TEST_F(Paced, RenewalIsAskedForAgainIfRefused) {
  log_a_.refuse = true;
  Start();
  ASSERT_TRUE(Warm());
  EXPECT_GT(log_a_.renewals, 3);
}

}  // namespace
}  // namespace longhaul
