// Random jobs: messages of many sizes and streams in both directions, receives
// posted in any order, operations aborted, flows that come and die, lose frames
// or not, little credit and little memory. Whatever happens, every op comes
// back once, what arrives is right, nothing is written late, nothing leaks, and
// nobody is accused of breaking the protocol.
#include <random>

#include "path/path_world.h"

namespace longhaul {
namespace {

class Job {
 public:
  explicit Job(unsigned seed)
      : random_(seed),
        lossy_(seed % 3 == 1),
        config_(MakeConfig(seed)),
        path_(config_) {
    const size_t flows = 1 + Below(3);
    for (size_t i = 0; i < flows; ++i) AddFlow();
    const size_t count = 10 + Below(40);
    for (size_t i = 0; i < count; ++i) AddMessage();
  }

  void Run() {
    while (!actions_.empty()) {
      const size_t which = Below(actions_.size());
      const auto action = std::move(actions_[which]);
      actions_.erase(actions_.begin() + static_cast<long>(which));
      action();
      path_.RunFor(
          Below(3) == 0 ? static_cast<Duration>(Below(20 * kMillisecond)) : 0);
      if (::testing::Test::HasFailure()) return;
    }
    ASSERT_TRUE(path_.RunUntil([this] { return AllBack(); }, 60 * kSecond))
        << Describe();
    ASSERT_TRUE(path_.RunUntil(
        [this] {
          return path_.a.pool.bytes_in_use() == 0 &&
                 path_.b.pool.bytes_in_use() == 0;
        },
        60 * kSecond))
        << "memory is never given back";
    path_.RunFor(kSecond);
    path_.ExpectWell();
    ExpectCreditIsWhole();
    path_.a->StartClose(path_.world.now());
    path_.b->StartClose(path_.world.now());
    EXPECT_TRUE(path_.RunUntil(
        [this] { return path_.a->closed() && path_.b->closed(); },
        10 * kSecond));
    EXPECT_TRUE(path_.a.recorder.faults.empty());
    EXPECT_TRUE(path_.b.recorder.faults.empty());
    path_.ExpectUnharmed();
  }

 private:
  PathConfig MakeConfig(unsigned seed) {
    PathConfig config;
    config.seed = seed;
    config.chunk_size = 4 << (10 + Below(5));
    config.shared_credit = Below(4) == 0 ? 0 : Below(512) << 10;
    config.stream_reserve = (8 + Below(64)) << 10;
    config.retention = (16 + Below(1000)) << 10;
    return config;
  }
  uint64_t Below(uint64_t bound) { return random_() % bound; }

  void AddFlow() {
    SimLink link{.rate = 1e7 * static_cast<double>(1 + Below(100)),
                 .delay = static_cast<Duration>(Below(20 * kMillisecond)),
                 .queue = 1 + Below(8),
                 .control_queue = 1 + Below(8)};
    if (lossy_) {
      link.reliable = false;
      link.loss = 0.05;
      link.duplicate = 0.05;
      link.reorder = 0.1;
      link.jitter = kMillisecond;
      link.late = 20 * kMillisecond;
    }
    path_.AddFlow(link);
    ++alive_;
    if (Below(2) == 0) {
      const size_t flow = path_.flows.size() - 1;
      actions_.push_back([this, flow] {
        if (alive_ == 1) AddFlow();
        --alive_;
        const auto& ends = path_.flows[flow];
        path_.world.network().Kill(Below(2) == 0 ? *ends.a : *ends.b);
      });
    }
  }

  void AddMessage() {
    const bool back = Below(3) == 0;
    Side& from = back ? path_.b : path_.a;
    Side& to = back ? path_.a : path_.b;
    const size_t size = Below(4) == 0 ? Below(3) : Below(200'000);
    const uint64_t sequence = path_.next_sequence++;
    Message& message =
        path_.Make(from, to, size,
                   {kCommunicator, 0, sequence, from.rank, to.rank, Below(3)});
    actions_.push_back([&message] {
      if (message.send.back == 0) message.Send();
    });
    actions_.push_back([&message] {
      if (message.recv.back == 0) message.Recv();
    });
    if (Below(5) != 0) return;
    actions_.push_back([this, &message] { AbortSend(message); });
    actions_.push_back([this, &message] { AbortRecv(message); });
  }

  // Each side aborts on its own, before or after its op is handed in.
  void AbortSend(Message& message) {
    const uint64_t sequence = message.send.id.sequence;
    message.from->recorder.states[sequence] = OperationState::kAborted;
    if (message.send.state == SendOp::State::kIdle) {
      if (message.send.back == 0) message.send.back = 1;
    } else {
      (*message.from)
          ->Cancel(message.send, Status(StatusCode::kAborted, "enough"));
    }
    if (message.send.back == 1)
      (*message.from)->Forget(message.from->Operation(sequence));
  }
  void AbortRecv(Message& message) {
    const uint64_t sequence = message.send.id.sequence;
    message.to->recorder.states[sequence] = OperationState::kAborted;
    if (message.recv.posted) {
      (*message.to)
          ->Cancel(message.recv, Status(StatusCode::kAborted, "enough"));
    } else if (message.recv.back == 0) {
      message.recv.back = 1;
      message.recv.target.assign(message.recv.target.size(), kPoison);
    }
    if (Below(2) == 0) path_.RunFor(static_cast<Duration>(Below(kSecond / 50)));
    (*message.to)->Forget(message.to->Operation(sequence));
  }

  bool AllBack() const {
    return std::all_of(
        path_.messages.begin(), path_.messages.end(),
        [](const auto& m) { return m->send.back == 1 && m->recv.back == 1; });
  }
  std::string Describe() const {
    std::string text;
    for (const auto& m : path_.messages) {
      if (m->send.back == 1 && m->recv.back == 1) continue;
      text += " operation " + std::to_string(m->send.id.sequence) + " sent " +
              std::to_string(m->send.next) + "/" +
              std::to_string(m->send.size) + " back " +
              std::to_string(m->send.back) + std::to_string(m->recv.back);
    }
    return text + " a: " + path_.a->status().ToString() +
           " b: " + path_.b->status().ToString();
  }

  // As much goes without a receive as the credit of a fresh connection allows,
  // but for what is too little to be announced.
  void ExpectCreditIsWhole() {
    std::vector<Message*> probes;
    const uint64_t credit = (config_.shared_credit / 4 * 3) / ChargeFor(256) +
                            (config_.stream_reserve / 4 * 3) / ChargeFor(256);
    for (uint64_t i = 0; i + 2 < credit; ++i) {
      probes.push_back(&path_.MakeAToB(256));
      probes.back()->Send();
    }
    EXPECT_TRUE(path_.RunUntil(
        [&] {
          return std::all_of(probes.begin(), probes.end(),
                             [](Message* m) { return m->send.back == 1; });
        },
        20 * kSecond))
        << "credit has been lost";
    for (Message* probe : probes) probe->Recv();
    EXPECT_TRUE(path_.RunUntil(
        [&] {
          return std::all_of(probes.begin(), probes.end(),
                             [](Message* m) { return m->Arrived(); });
        },
        20 * kSecond));
    path_.RunFor(2 * kSecond);
  }

  std::mt19937_64 random_;
  const bool lossy_;
  PathConfig config_;
  PathWorld path_;
  std::vector<std::function<void()>> actions_;
  size_t alive_ = 0;
};

class Model : public testing::TestWithParam<unsigned> {};

INSTANTIATE_TEST_SUITE_P(, Model, testing::Range(0u, 10u));

TEST_P(Model, EveryJobComesToItsEnd) {
  for (unsigned i = 0; i < 30; ++i) {
    const unsigned seed = GetParam() * 1000 + i;
    SCOPED_TRACE("seed " + std::to_string(seed));
    Job job(seed);
    job.Run();
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace longhaul
