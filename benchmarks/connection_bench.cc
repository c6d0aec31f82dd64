// What a connection costs, apart from the transport: two of them in one
// process, joined by a queue that carries frames with one copy each.
//
// Messages/s and bytes/s, one way, receives posted before (`/1`) or after
// (`/0`) the data comes, chunks retained as between sites (`Retained`) or lent
// as within one (`Lent`). Headers: encoding and decoding one.
#include <benchmark/benchmark.h>

#include <array>
#include <optional>
#include <vector>

#include "../tests/support/pipe_endpoint.h"
#include "path/connection.h"

namespace longhaul {
namespace {

constexpr size_t kWindow = 64;  // messages in an operation

class Counter final : public MessageListener, public MessageObserver {
 public:
  size_t received = 0;
  size_t sent = 0;
  uint64_t over = 0;  // operations before this one are
  void OnSent(SendOp& /*op*/, const Status& /*status*/) override { ++sent; }
  void OnReceived(RecvOp& /*op*/, const Status& /*status*/) override {
    ++received;
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

class Line {
 public:
  Line(bool retain, size_t size) : source_(size, 1), target_(size) {
    ConnectionConfig config;
    config.peer = "them";
    config.outbox.retain = config.inbox.acknowledge = retain;
    config.outbox.retention_limit = 64 << 20;
    config.inbox.shared_credit = 128 << 20;
    config.inbox.stream_reserve = 64 << 10;
    for (uint32_t i = 0; i < 2; ++i) {
      ends_[i].emplace(engine_, pool_, config);
      ends_[i]->Welcome(128 << 20, 64 << 10);
      ends_[i]->Attach(1, i, counter_);
    }
    PipeEndpoint::Pair pair = PipeEndpoint::Make(engine_);
    pair.first->SetSink(*ends_[0]);
    pair.second->SetSink(*ends_[1]);
    ends_[0]->AddFlow(std::move(pair.first), now_);
    ends_[1]->AddFlow(std::move(pair.second), now_);
  }

  // An operation of kWindow messages.
  bool Exchange(bool posted_first) {
    const uint64_t sequence = counter_.over;
    counter_.received = counter_.sent = 0;
    for (size_t i = 0; i < kWindow; ++i) {
      const MessageId id{1, 0, sequence, 0, 1, i};
      sends_[i].id = recvs_[i].id = id;
      sends_[i].data = source_.data();
      recvs_[i].data = target_.data();
      sends_[i].size = recvs_[i].size = source_.size();
      sends_[i].listener = recvs_[i].listener = &counter_;
    }
    if (posted_first) Post();
    for (SendOp& send : sends_) ends_[0]->Send(send);
    if (!posted_first) {
      Turn([&] { return counter_.sent < kWindow; });
      Post();
    }
    Turn(
        [&] { return counter_.received < kWindow || counter_.sent < kWindow; });
    ++counter_.over;
    ends_[0]->Forget({1, 0, 0, sequence});
    ends_[1]->Forget({1, 1, 0, sequence});
    return ends_[0]->status().ok() && ends_[1]->status().ok();
  }

 private:
  void Post() {
    for (RecvOp& recv : recvs_) ends_[1]->Recv(recv);
    engine_.Turn(now_ += kMicrosecond);
  }
  template <typename Condition>
  void Turn(Condition while_true) {
    for (int i = 0; while_true() && i < 1'000'000; ++i) {
      engine_.Turn(now_ += kMicrosecond);
    }
  }

  Engine engine_;
  BlockPool pool_{size_t{1} << 30};
  Counter counter_;
  TimePoint now_ = kSecond;
  std::vector<uint8_t> source_;
  std::vector<uint8_t> target_;
  std::array<SendOp, kWindow> sends_;
  std::array<RecvOp, kWindow> recvs_;
  std::array<std::optional<Connection>, 2> ends_;
};

void Messages(benchmark::State& state, bool retain) {
  const auto size = static_cast<size_t>(state.range(0));
  Line line(retain, size);
  for ([[maybe_unused]] auto _ : state) {
    if (!line.Exchange(state.range(1) != 0)) state.SkipWithError("broken");
  }
  const auto messages = state.iterations() * static_cast<int64_t>(kWindow);
  state.SetItemsProcessed(messages);
  state.SetBytesProcessed(messages * state.range(0));
}
void Retained(benchmark::State& state) { Messages(state, true); }
void Lent(benchmark::State& state) { Messages(state, false); }
BENCHMARK(Retained)->ArgsProduct({{64, 64 << 10, 1 << 20}, {0, 1}});
BENCHMARK(Lent)->ArgsProduct({{64, 64 << 10, 1 << 20}, {0, 1}});

ChunkHeader SomeHeader() {
  ChunkHeader header;
  header.id = {1, 2, 3, 4, 5, 6};
  header.total = 1 << 20;
  header.size = 1000;
  header.fingerprint.count = 12345;
  return header;
}

void EncodeOne(benchmark::State& state) {
  ChunkHeader header = SomeHeader();
  HeaderBytes bytes;
  for ([[maybe_unused]] auto _ : state) {
    ++header.id.message;
    EncodeHeader(header, bytes);
    benchmark::DoNotOptimize(bytes);
  }
}
BENCHMARK(EncodeOne);

void DecodeOne(benchmark::State& state) {
  HeaderBytes bytes;
  EncodeHeader(SomeHeader(), bytes);
  for ([[maybe_unused]] auto _ : state) {
    benchmark::DoNotOptimize(bytes);
    const Result<ChunkHeader> header = DecodeHeader(bytes);
    benchmark::DoNotOptimize(&header);
  }
}
BENCHMARK(DecodeOne);

}  // namespace
}  // namespace longhaul
