// Once warm, an exchange over a connection asks the heap for nothing: the
// engine's thread never waits for an allocator's lock, nor for the kernel.
#include <array>
#include <optional>

#include "path/connection.h"
#include "support/counting_allocator.h"
#include "support/pch.h"
#include "support/pipe_endpoint.h"

namespace longhaul {
namespace {

class Quiet final : public MessageListener, public MessageObserver {
 public:
  size_t back = 0;
  uint64_t over = 0;  ///< operations before this one are
  void OnSent(SendOp& /*op*/, const Status& status) override {
    back += status.ok();
  }
  void OnReceived(RecvOp& /*op*/, const Status& status) override {
    back += status.ok();
  }
  OperationState StateOf(uint32_t /*epoch*/, uint64_t sequence) const override {
    return sequence < over ? OperationState::kDone : OperationState::kOpen;
  }
  void OnUnexpected(Connection&, const ChunkHeader&) override {}
  void OnDisagreement(Connection&, const RecvOp&, const ChunkHeader&) override {
  }
  void OnNotice(Connection&, const Notice&) override {}
  void OnFault(Connection&, const Status&) override {}
};

class Allocations : public testing::TestWithParam<bool> {
 protected:
  static constexpr size_t kEach = 24;       // messages each way in an operation
  static constexpr size_t kSize = 100'000;  // bytes, at most

  Allocations() {
    ConnectionConfig config;
    config.peer = "them";
    config.outbox.retain = config.inbox.acknowledge = GetParam();
    config.outbox.chunk_size = 32 << 10;
    config.inbox.shared_credit = 4 << 20;
    config.inbox.stream_reserve = 64 << 10;
    for (size_t i = 0; i < 2; ++i) {
      connections_[i].emplace(engine_, pool_, config);
      connections_[i]->Welcome(4 << 20, 64 << 10);
      connections_[i]->Attach(1, static_cast<uint32_t>(i), quiet_);
    }
    for (int i = 0; i < 2; ++i) {
      PipeEndpoint::Pair pair = PipeEndpoint::Make(engine_);
      pair.first->SetSink(*connections_[0]);
      pair.second->SetSink(*connections_[1]);
      connections_[0]->AddFlow(std::move(pair.first), now_);
      connections_[1]->AddFlow(std::move(pair.second), now_);
    }
  }

  // One operation: receives posted early, late, or in between.
  void Exchange(uint64_t sequence) {
    quiet_.back = 0;
    for (size_t side = 0; side < 2; ++side) {
      for (size_t i = 0; i < kEach; ++i) {
        const size_t size = i % 3 == 0 ? 64 : kSize / (1 + i % 5);
        const MessageId id{1,
                           0,
                           sequence,
                           static_cast<uint32_t>(side),
                           static_cast<uint32_t>(1 - side),
                           i};
        SendOp& send = sends_[side][i];
        send.id = id;
        send.data = source_.data();
        send.size = size;
        send.listener = &quiet_;
        RecvOp& recv = recvs_[side][i];
        recv.id = id;
        recv.data = target_.data();
        recv.size = size;
        recv.listener = &quiet_;
        if (i % 2 == 0) connections_[1 - side]->Recv(recv);
      }
    }
    Turn(3);
    for (size_t side = 0; side < 2; ++side) {
      for (SendOp& send : sends_[side]) connections_[side]->Send(send);
    }
    Turn(20);
    for (size_t side = 0; side < 2; ++side) {
      for (size_t i = 1; i < kEach; i += 2) {
        connections_[1 - side]->Recv(recvs_[side][i]);
      }
    }
    for (int turns = 0; quiet_.back < 4 * kEach && turns < 10'000; ++turns) {
      Turn(1);
    }
    quiet_.over = sequence + 1;
    for (uint32_t side = 0; side < 2; ++side) {
      connections_[side]->Forget({1, side, 0, sequence});
    }
    Turn(10);
  }
  void Turn(int times) {
    for (int i = 0; i < times; ++i) engine_.Turn(now_ += kMicrosecond);
  }

  Engine engine_;
  BlockPool pool_{size_t{256} << 20};
  Quiet quiet_;
  TimePoint now_ = kSecond;
  std::vector<uint8_t> source_ = std::vector<uint8_t>(kSize, 1);
  std::vector<uint8_t> target_ = std::vector<uint8_t>(kSize);
  std::array<std::array<SendOp, kEach>, 2> sends_;
  std::array<std::array<RecvOp, kEach>, 2> recvs_;
  std::array<std::optional<Connection>, 2> connections_;
};

INSTANTIATE_TEST_SUITE_P(, Allocations, testing::Bool(), [](const auto& param) {
  return param.param ? "Retained" : "Lent";
});

TEST_P(Allocations, AWarmExchangeMakesNone) {
  uint64_t sequence = 0;
  for (; sequence < 50; ++sequence) {
    Exchange(sequence);
    ASSERT_EQ(quiet_.back, 4 * kEach);
  }
  const size_t reserved = pool_.bytes_reserved();
  StartCountingAllocations();
  for (; sequence < 250; ++sequence) Exchange(sequence);
  EXPECT_EQ(StopCountingAllocations(), 0u);
  EXPECT_EQ(quiet_.back, 4 * kEach);
  EXPECT_EQ(pool_.bytes_reserved(), reserved) << "the kernel was asked";
}

TEST(Allocation, IsCounted) {
  StartCountingAllocations();
  auto* volatile memory = new int(3);
  delete memory;
  EXPECT_EQ(StopCountingAllocations(), 1u);
}

}  // namespace
}  // namespace longhaul
