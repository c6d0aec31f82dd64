#include "transport/tcp/tcp_listener.h"

#include <sys/resource.h>

#include "support/raw_peer.h"

namespace longhaul {
namespace {

using test::RawPeer;

constexpr uint64_t kSelf = 0xbbbb;
constexpr uint64_t kPeer = 0xaaaa;

HelloPolicy Policy() {
  HelloPolicy policy;
  policy.job = 7;
  policy.self = kSelf;
  policy.secret = {1, 2, 3};
  return policy;
}

Hello Question(const SipKey& secret = {1, 2, 3}) {
  Hello hello;
  hello.flow = 1;
  hello.flows = 2;
  hello.job = 7;
  hello.from = kPeer;
  hello.to = kSelf;
  hello.proof = ProofOf(hello, secret);
  return hello;
}

class Acceptor final : public FlowAcceptor {
 public:
  Result<Hello> Accept(const Hello&, TimePoint) override {
    if (!refusal.ok()) return refusal;
    Hello answer;
    answer.shared_credit = 4096;
    answer.capabilities = 5;
    return answer;
  }
  void Accepted(UniqueFd flow, const Hello& theirs, TimePoint) override {
    flows.Update([&](auto& all) { all.emplace_back(std::move(flow), theirs); });
  }
  size_t Count() {
    return flows.Look([](const auto& all) { return all.size(); });
  }

  Status refusal;
  test::Watched<std::vector<std::pair<UniqueFd, Hello>>> flows;
};

class TcpListenerTest : public testing::TestWithParam<AddressFamily> {
 protected:
  void SetUp() override {
    ASSERT_TRUE(engine_.Open().ok());
    config_.addresses = {Address::Loopback(GetParam(), 0)};
    ASSERT_TRUE(engine_.Start(0).ok());
  }
  void TearDown() override {
    engine_.Call([this](TimePoint) { listener_.reset(); });
    engine_.Stop();
  }
  void Listen(bool start = true) {
    engine_.Call([this, start](TimePoint) {
      listener_ =
          TcpListener::Open(engine_, config_, acceptor_, trap_.log()).value();
      if (start) {
        EXPECT_TRUE(listener_->Start(Policy()).ok());
      }
    });
  }
  const Address& address() const { return listener_->addresses().front(); }
  size_t HalfOpen() {
    size_t count = 0;
    engine_.Call([&](TimePoint) { count = listener_->half_open(); });
    return count;
  }
  // A well-behaved process still gets its flow.
  void ExpectService() {
    const size_t before = acceptor_.Count();
    const RawPeer peer(address());
    const Hello question = Question();
    EXPECT_TRUE(peer.Send(EncodeHello(question)));
    const std::vector<uint8_t> bytes = peer.Receive(kHelloSize);
    ASSERT_EQ(bytes.size(), kHelloSize);
    const Result<Hello> answer =
        DecodeHello(std::span<const uint8_t, kHelloSize>(bytes));
    ASSERT_TRUE(answer.ok());
    HelloPolicy policy = Policy();
    policy.self = kPeer;
    EXPECT_TRUE(CheckAnswer(*answer, question, policy).ok());
    EXPECT_EQ(answer->shared_credit, 4096u);
    EXPECT_EQ(answer->capabilities, 5u);
    EXPECT_TRUE(acceptor_.flows.WaitFor(
        [before](const auto& all) { return all.size() == before + 1; }));
  }

  test::LogTrap trap_;
  Acceptor acceptor_;
  Engine engine_;
  TcpListener::Config config_;
  std::unique_ptr<TcpListener> listener_;
};

TEST_P(TcpListenerTest, HandsOverAFlowOfTheJob) {
  Listen();
  ExpectService();
  acceptor_.flows.Look([](const auto& all) {
    EXPECT_EQ(all.front().second.flow, 1);
    EXPECT_EQ(all.front().second.from, kPeer);
    EXPECT_TRUE(all.front().first.valid());
    return 0;
  });
  EXPECT_EQ(HalfOpen(), 0u);
}

TEST_P(TcpListenerTest, LeavesWhatFollowsTheHelloInTheSocket) {
  Listen();
  const RawPeer peer(address());
  const HelloBytes hello = EncodeHello(Question());
  std::vector<uint8_t> bytes(hello.begin(), hello.end());
  bytes.push_back(42);
  EXPECT_TRUE(peer.Send(bytes));
  ASSERT_TRUE(
      acceptor_.flows.WaitFor([](const auto& all) { return all.size() == 1; }));
  acceptor_.flows.Look([](const auto& all) {
    uint8_t byte = 0;
    EXPECT_EQ(::recv(all.front().first.get(), &byte, 1, 0), 1);
    EXPECT_EQ(byte, 42);
    return 0;
  });
}

TEST_P(TcpListenerTest, WhoComesBeforeTheStartWaits) {
  Listen(false);
  const RawPeer peer(address());
  EXPECT_TRUE(peer.Send(EncodeHello(Question())));
  EXPECT_EQ(acceptor_.Count(), 0u);
  engine_.Call(
      [this](TimePoint) { EXPECT_TRUE(listener_->Start(Policy()).ok()); });
  EXPECT_EQ(peer.Receive(kHelloSize).size(), kHelloSize);
}

TEST_P(TcpListenerTest, WhoHasLeftMeanwhileGetsNoFlow) {
  Listen(false);
  RawPeer peer(address());
  EXPECT_TRUE(peer.Send(EncodeHello(Question())));
  peer.Close();
  engine_.Call(
      [this](TimePoint) { EXPECT_TRUE(listener_->Start(Policy()).ok()); });
  ExpectService();
  EXPECT_EQ(acceptor_.Count(), 1u);
}

TEST_P(TcpListenerTest, ByteByByteIsFine) {
  Listen();
  const RawPeer peer(address());
  const HelloBytes bytes = EncodeHello(Question());
  for (const uint8_t& byte : bytes) {
    ASSERT_TRUE(peer.Send(std::span(&byte, 1)));
    engine_.Call([](TimePoint) {});  // the listener has had its turn
  }
  EXPECT_EQ(peer.Receive(kHelloSize).size(), kHelloSize);
}

TEST_P(TcpListenerTest, StrangersAreDroppedAndLoggedOnce) {
  Listen();
  for (int i = 0; i < 3; ++i) {
    const RawPeer browser(address());
    EXPECT_TRUE(browser.Send("GET / HTTP/1.1\r\n\r\n"));
    EXPECT_TRUE(browser.ClosedSilently());
  }
  EXPECT_EQ(trap_.Count("does not speak longhaul"), 1u);
  ExpectService();
}

TEST_P(TcpListenerTest, APortScanLeavesNothingBehind) {
  Listen();
  for (int i = 0; i < 20; ++i) RawPeer(address()).Close();
  EXPECT_TRUE(trap_.WaitFor("left without a hello"));
  ExpectService();  // accepted in order, so the scan has been seen by now
  EXPECT_EQ(trap_.Count("left without a hello"), 1u);
  EXPECT_EQ(HalfOpen(), 0u);
}

TEST_P(TcpListenerTest, HalfAHelloIsDroppedInTime) {
  config_.hello_timeout = 20 * kMillisecond;
  Listen();
  const RawPeer slow(address());
  const HelloBytes hello = EncodeHello(Question());
  EXPECT_TRUE(slow.Send(std::span(hello).first(50)));
  EXPECT_TRUE(slow.ClosedSilently());
  EXPECT_EQ(trap_.Count("no hello in time"), 1u);
}

TEST_P(TcpListenerTest, ACrowdPushesOutTheOldest) {
  config_.max_half_open = 4;
  config_.hello_timeout = 1000 * kSecond;
  Listen();
  std::vector<std::unique_ptr<RawPeer>> crowd;
  for (int i = 0; i < 12; ++i) {
    crowd.push_back(std::make_unique<RawPeer>(address()));
  }
  for (size_t i = 0; i < 8; ++i) EXPECT_TRUE(crowd[i]->ClosedSilently()) << i;
  EXPECT_LE(HalfOpen(), 4u);
  ExpectService();
}

TEST_P(TcpListenerTest, AnotherSecretIsToldSoAndGetsNoFlow) {
  Listen();
  const RawPeer peer(address());
  EXPECT_TRUE(peer.Send(EncodeHello(Question({9}))));
  const std::vector<uint8_t> bytes = peer.Receive(kHelloSize);
  ASSERT_EQ(bytes.size(), kHelloSize);
  EXPECT_EQ(DecodeHello(std::span<const uint8_t, kHelloSize>(bytes))->verdict,
            HelloVerdict::kWrongSecret);
  EXPECT_TRUE(peer.ClosedSilently());
  EXPECT_EQ(acceptor_.Count(), 0u);
  EXPECT_EQ(trap_.Count("secret"), 1u);
}

TEST_P(TcpListenerTest, TheAcceptorMayRefuse) {
  acceptor_.refusal = Status(StatusCode::kExhausted, "full");
  Listen();
  const RawPeer peer(address());
  EXPECT_TRUE(peer.Send(EncodeHello(Question())));
  const std::vector<uint8_t> bytes = peer.Receive(kHelloSize);
  ASSERT_EQ(bytes.size(), kHelloSize);
  EXPECT_EQ(DecodeHello(std::span<const uint8_t, kHelloSize>(bytes))->verdict,
            HelloVerdict::kBusy);
  EXPECT_EQ(acceptor_.Count(), 0u);
}

TEST_P(TcpListenerTest, RandomBytesNeverOpenAFlow) {
  Listen();
  uint32_t state = 1;
  for (int i = 0; i < 100; ++i) {
    // A good hello with some bytes changed, cut or followed by more.
    const HelloBytes hello = EncodeHello(Question());
    std::vector<uint8_t> bytes(hello.begin(), hello.end());
    for (int k = 0; k < 3; ++k) {
      state = state * 1664525 + 1013904223;
      bytes[(state >> 8) % bytes.size()] ^= static_cast<uint8_t>(state | 1);
    }
    bytes.resize((state >> 5) % 200);
    RawPeer peer(address());
    peer.Send(bytes);
  }
  ExpectService();
  EXPECT_EQ(acceptor_.Count(), 1u);
}

TEST_P(TcpListenerTest, ClosesWhatItHas) {
  const size_t before = test::OpenDescriptors();
  Listen();
  {
    const RawPeer quiet(address());
    ExpectService();
    engine_.Call([this](TimePoint) { listener_.reset(); });
    EXPECT_TRUE(quiet.ClosedSilently());
  }
  acceptor_.flows.Update([](auto& all) { all.clear(); });
  EXPECT_EQ(test::OpenDescriptors(), before);
}

TEST_P(TcpListenerTest, SurvivesAShortageOfDescriptors) {
  Listen(false);
  const RawPeer waiting(address());  // in the backlog
  rlimit before;
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  rlimit none = before;
  none.rlim_cur = 3;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  engine_.Call(
      [this](TimePoint) { EXPECT_TRUE(listener_->Start(Policy()).ok()); });
  EXPECT_TRUE(trap_.WaitFor("ulimit -n"));
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_TRUE(waiting.Send(EncodeHello(Question())));
  EXPECT_EQ(waiting.Receive(kHelloSize).size(), kHelloSize);
}

INSTANTIATE_TEST_SUITE_P(Families, TcpListenerTest,
                         testing::Values(AddressFamily::kIpv4,
                                         AddressFamily::kIpv6),
                         [](const auto& family) {
                           return family.param == AddressFamily::kIpv4 ? "Ipv4"
                                                                       : "Ipv6";
                         });

}  // namespace
}  // namespace longhaul
