#include "transport/tcp/tcp_connector.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <map>

#include "base/clock.h"
#include "support/raw_peer.h"
#include "transport/tcp/tcp_listener.h"

namespace longhaul {
namespace {

using testing::AllOf;
using testing::HasSubstr;

constexpr uint64_t kHere = 0xaaaa;
constexpr uint64_t kThere = 0xbbbb;

HelloPolicy PolicyOf(uint64_t self, std::optional<uint64_t> peer) {
  HelloPolicy policy;
  policy.job = 7;
  policy.self = self;
  policy.peer = peer;
  policy.secret = {1, 2, 3};
  return policy;
}

class Acceptor final : public FlowAcceptor {
 public:
  Result<Hello> Accept(const Hello& theirs, TimePoint) override {
    if (busy > 0) {
      --busy;
      return Status(StatusCode::kExhausted, "full");
    }
    Hello answer;
    answer.shared_credit = 1000 + uint64_t{theirs.flow};
    return answer;
  }
  void Accepted(UniqueFd flow, const Hello& theirs, TimePoint) override {
    flows.Update(
        [&](auto& all) { all[theirs.flow].push_back(std::move(flow)); });
  }
  int busy = 0;
  test::Watched<std::map<uint16_t, std::vector<UniqueFd>>> flows;
};

struct Outcome {
  std::map<uint16_t, std::pair<UniqueFd, Hello>> opened;
  std::map<uint16_t, Status> failed;
  size_t size() const { return opened.size() + failed.size(); }
};

class Opener final : public FlowOpener {
 public:
  void FlowOpened(uint16_t flow, UniqueFd fd, const Hello& theirs,
                  TimePoint) override {
    outcome.Update([&](Outcome& all) {
      EXPECT_FALSE(all.opened.contains(flow));
      all.opened[flow] = {std::move(fd), theirs};
    });
    if (ended) ended();
  }
  void FlowFailed(uint16_t flow, const Status& why, TimePoint) override {
    outcome.Update([&](Outcome& all) {
      EXPECT_FALSE(all.failed.contains(flow));
      all.failed[flow] = why;
    });
    if (ended) ended();
  }
  bool WaitFor(size_t count) {
    return outcome.WaitFor(
        [count](const Outcome& all) { return all.size() == count; });
  }
  Status Failure(uint16_t flow) {
    return outcome.Look([flow](const Outcome& all) {
      const auto at = all.failed.find(flow);
      return at == all.failed.end() ? Status() : at->second;
    });
  }
  size_t Opened() {
    return outcome.Look([](const Outcome& all) { return all.opened.size(); });
  }
  std::function<void()> ended;
  test::Watched<Outcome> outcome;
};

class TcpConnectorTest : public testing::TestWithParam<AddressFamily> {
 protected:
  void SetUp() override {
    ASSERT_TRUE(engine_.Open().ok());
    ASSERT_TRUE(engine_.Start(0).ok());
    config_.peer = "rank 3 (node7:4711)";
    config_.policy = PolicyOf(kHere, kThere);
    config_.hello.flows = 64;
    config_.stagger = 5 * kMillisecond;
    config_.first_pause = 5 * kMillisecond;
    config_.longest_pause = 20 * kMillisecond;
    config_.deadline = Now() + 60 * kSecond;
  }
  void TearDown() override {
    engine_.Call([this](TimePoint) {
      connector_.reset();
      listener_.reset();
    });
    engine_.Stop();
  }
  Address Loopback(uint16_t port = 0) const {
    return Address::Loopback(GetParam(), port);
  }
  // A port on which nobody listens, kept from others.
  Address Closed() {
    UniqueFd fd = test::ClosedPort(GetParam());
    Address address = LocalAddress(fd.get());
    kept_.push_back(std::move(fd));
    return address;
  }
  // Listens, but never answers: its backlog takes connections in.
  Address Mute() {
    UniqueFd fd = ListenTcp(Loopback(), {}, {}).value();
    Address address = LocalAddress(fd.get());
    kept_.push_back(std::move(fd));
    return address;
  }
  // Swallows SYNs: a listener whose backlog is full.
  Address BlackHole() {
    UniqueFd fd = test::ClosedPort(GetParam());
    EXPECT_EQ(::listen(fd.get(), 0), 0);
    Address address = LocalAddress(fd.get());
    kept_.push_back(std::move(fd));
    for (int i = 0; i < 4; ++i) {
      UniqueFd filler = OpenTcpSocket(GetParam(), {}).value();
      EXPECT_TRUE(BeginConnect(filler.get(), address).ok());
      kept_.push_back(std::move(filler));
    }
    return address;
  }
  Address Listen(uint64_t self = kThere, uint16_t port = 0) {
    engine_.Call([&](TimePoint) {
      TcpListener::Config config;
      config.addresses = {Loopback(port)};
      config.settings = settings_;
      listener_ =
          TcpListener::Open(engine_, config, acceptor_, trap_.log()).value();
      EXPECT_TRUE(listener_->Start(PolicyOf(self, {})).ok());
    });
    return listener_->addresses().front();
  }
  void Connect() {
    engine_.Call([this](TimePoint) {
      connector_ = std::make_unique<TcpConnector>(engine_, config_, opener_,
                                                  trap_.log());
    });
  }

  test::LogTrap trap_;
  Acceptor acceptor_;
  Opener opener_;
  Engine engine_;
  std::vector<UniqueFd> kept_;
  TcpConnector::Config config_;
  TcpSettings settings_;  // of the listener
  std::unique_ptr<TcpListener> listener_;
  std::unique_ptr<TcpConnector> connector_;
};

TEST_P(TcpConnectorTest, OpensAllItsFlows) {
  config_.addresses = {Listen()};
  config_.first_flow = 2;
  config_.flow_count = 8;
  Connect();
  ASSERT_TRUE(opener_.WaitFor(8));
  opener_.outcome.Look([](const Outcome& all) {
    EXPECT_EQ(all.opened.begin()->first, 2);
    EXPECT_EQ(all.opened.rbegin()->first, 9);
    for (const auto& [flow, end] : all.opened) {
      EXPECT_EQ(end.second.shared_credit, 1000u + flow);
      EXPECT_EQ(end.second.from, kThere);
    }
    return 0;
  });
  // Both ends of flow 5 are one connection.
  ASSERT_TRUE(
      acceptor_.flows.WaitFor([](const auto& all) { return all.size() == 8; }));
  const uint8_t sent = 99;
  uint8_t got = 0;
  opener_.outcome.Look([&](const Outcome& all) {
    return ::send(all.opened.at(5).first.get(), &sent, 1, 0);
  });
  acceptor_.flows.Look([&](const auto& all) {
    pollfd ready{all.at(5).front().get(), POLLIN, 0};
    EXPECT_EQ(::poll(&ready, 1, 20000), 1);
    return ::recv(ready.fd, &got, 1, 0);
  });
  EXPECT_EQ(got, 99);
}

int CodePoint(int fd, AddressFamily family) {
  const bool ipv6 = family == AddressFamily::kIpv6;
  int value = 0;
  socklen_t size = sizeof value;
  EXPECT_EQ(::getsockopt(fd, ipv6 ? IPPROTO_IPV6 : IPPROTO_IP,
                         ipv6 ? IPV6_TCLASS : IP_TOS, &value, &size),
            0);
  return value >> 2;
}

TEST_P(TcpConnectorTest, BothEndsBetweenSitesHaveTheCodePoint) {
  settings_.dscp = config_.settings.dscp = 46;
  config_.settings.congestion_control = "system";
  settings_.congestion_control = "system";
  config_.hello.link = LinkClass::kOtherSite;
  config_.addresses = {Listen()};
  Connect();
  ASSERT_TRUE(opener_.WaitFor(1));
  ASSERT_TRUE(
      acceptor_.flows.WaitFor([](const auto& all) { return all.size() == 1; }));
  EXPECT_EQ(opener_.outcome.Look([](const Outcome& all) {
    return CodePoint(all.opened.at(0).first.get(), GetParam());
  }),
            46);
  EXPECT_EQ(acceptor_.flows.Look([](const auto& all) {
    return CodePoint(all.at(0).front().get(), GetParam());
  }),
            46);
}

TEST_P(TcpConnectorTest, TakesTheNextAddressIfOneRefuses) {
  config_.addresses = {Closed(), Listen()};
  config_.stagger = 1000 * kSecond;  // an error does not wait for it
  Connect();
  ASSERT_TRUE(opener_.WaitFor(1));
  EXPECT_EQ(opener_.Opened(), 1u);
}

TEST_P(TcpConnectorTest, TakesTheNextAddressIfOneIsSilent) {
  config_.addresses = {BlackHole(), Listen()};
  config_.flow_count = 4;
  Connect();
  ASSERT_TRUE(opener_.WaitFor(4));
  EXPECT_EQ(opener_.Opened(), 4u);
}

TEST_P(TcpConnectorTest, TakesTheNextAddressIfOneNeverAnswers) {
  config_.addresses = {Mute(), Listen()};
  config_.attempt_timeout = 50 * kMillisecond;
  Connect();
  ASSERT_TRUE(opener_.WaitFor(1));
  EXPECT_EQ(opener_.Opened(), 1u);
}

TEST_P(TcpConnectorTest, AsksOneAddressAtATime) {
  // Two addresses take the connection in; nobody answers yet.
  config_.addresses = {Mute(), Mute()};
  config_.attempt_timeout = 1000 * kSecond;
  Connect();
  std::array<UniqueFd, 2> ends;
  for (size_t i = 0; i < 2; ++i) {
    pollfd ready{kept_[i].get(), POLLIN, 0};
    ASSERT_EQ(::poll(&ready, 1, 20000), 1);
    ends[i].Reset(::accept(ready.fd, nullptr, nullptr));
  }
  engine_.Call([](TimePoint) {});
  HelloBytes bytes;
  EXPECT_EQ(::recv(ends[0].get(), bytes.data(), kHelloSize, MSG_WAITALL),
            static_cast<ssize_t>(kHelloSize));
  EXPECT_EQ(::recv(ends[1].get(), bytes.data(), kHelloSize, MSG_DONTWAIT), -1);
  ends[0].Reset();  // now the other's turn has come
  EXPECT_EQ(::recv(ends[1].get(), bytes.data(), kHelloSize, MSG_WAITALL),
            static_cast<ssize_t>(kHelloSize));
}

TEST_P(TcpConnectorTest, TakesTheNextAddressIfAnotherProcessIsThere) {
  const Address other = Listen(0xcccc);
  std::unique_ptr<TcpListener> first = std::move(listener_);
  config_.addresses = {other, Listen()};
  Connect();
  ASSERT_TRUE(opener_.WaitFor(1));
  EXPECT_EQ(opener_.Opened(), 1u);
  engine_.Call([&](TimePoint) { first.reset(); });
}

TEST_P(TcpConnectorTest, KeepsTryingUntilThePeerListens) {
  const Address address = Closed();
  config_.addresses = {address};
  Connect();
  EXPECT_TRUE(trap_.WaitFor("not open yet", 3));
  kept_.clear();
  Listen(kThere, address.port);
  ASSERT_TRUE(opener_.WaitFor(1));
  EXPECT_EQ(opener_.Opened(), 1u);
}

TEST_P(TcpConnectorTest, ABusyPeerIsAskedAgain) {
  acceptor_.busy = 3;
  config_.addresses = {Listen()};
  Connect();
  ASSERT_TRUE(opener_.WaitFor(1));
  EXPECT_EQ(opener_.Opened(), 1u);
}

TEST_P(TcpConnectorTest, SaysWhatEachAddressSays) {
  config_.addresses = {Closed(), Mute(), BlackHole()};
  config_.attempt_timeout = 50 * kMillisecond;
  Connect();
  const std::vector<Address>& to = config_.addresses;
  EXPECT_TRUE(trap_.WaitFor(to[0].ToString() + ": Connection refused"));
  EXPECT_TRUE(trap_.WaitFor(to[1].ToString() + ": connected, but no answer"));
  EXPECT_TRUE(trap_.WaitFor(to[2].ToString() + ": no answer to connect"));
}

TEST_P(TcpConnectorTest, ATimeOutNamesThePeerAndItsAddresses) {
  config_.addresses = {Closed(), Mute()};
  config_.deadline = Now() + 200 * kMillisecond;
  config_.first_flow = 4;
  Connect();
  ASSERT_TRUE(opener_.WaitFor(1));
  const Status why = opener_.Failure(4);
  EXPECT_EQ(why.code(), StatusCode::kTimedOut);
  EXPECT_THAT(why.text(), AllOf(HasSubstr("flow 4 to rank 3 (node7:4711)"),
                                HasSubstr(config_.addresses[0].ToString()),
                                HasSubstr(config_.addresses[1].ToString())));
}

TEST_P(TcpConnectorTest, AWrongSecretFailsAtOnce) {
  config_.addresses = {Listen()};
  config_.policy.secret = {9};
  config_.deadline = kNever;
  Connect();
  ASSERT_TRUE(opener_.WaitFor(1));
  EXPECT_EQ(opener_.Failure(0).code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(opener_.Failure(0).text(), HasSubstr("secret"));
}

TEST_P(TcpConnectorTest, AWrongVersionFailsAtOnceAndIsNamed) {
  config_.addresses = {Listen()};
  config_.policy.version_min = config_.policy.version_max = 9;
  config_.deadline = kNever;
  Connect();
  ASSERT_TRUE(opener_.WaitFor(1));
  EXPECT_EQ(opener_.Failure(0).code(), StatusCode::kUnsupported);
  EXPECT_THAT(opener_.Failure(0).text(),
              HasSubstr("versions 1 to 1, this process 9 to 9"));
}

TEST_P(TcpConnectorTest, WithoutAddressesItSaysSo) {
  Connect();
  ASSERT_TRUE(opener_.WaitFor(1));
  EXPECT_THAT(opener_.Failure(0).text(), HasSubstr("no address"));
}

TEST_P(TcpConnectorTest, BindsToItsSource) {
  config_.addresses = {Listen()};
  config_.source = GetParam() == AddressFamily::kIpv4
                       ? Address::ParseHost("127.0.0.2", 0).value()
                       : Loopback();
  Connect();
  ASSERT_TRUE(opener_.WaitFor(1));
  opener_.outcome.Look([this](const Outcome& all) {
    EXPECT_EQ(LocalAddress(all.opened.at(0).first.get()).WithPort(0),
              config_.source);
    return 0;
  });
}

TEST_P(TcpConnectorTest, DestroyingItCancels) {
  const size_t before = test::OpenDescriptors();
  config_.addresses = {BlackHole(), Mute(), Closed()};
  config_.flow_count = 4;
  Connect();
  engine_.Call([this](TimePoint) { connector_.reset(); });
  kept_.clear();
  EXPECT_EQ(test::OpenDescriptors(), before);
  EXPECT_EQ(opener_.outcome.Look([](const Outcome& o) { return o.size(); }),
            0u);
}

TEST_P(TcpConnectorTest, MayBeDestroyedByItsOpener) {
  config_.addresses = {Listen()};
  config_.flow_count = 3;
  opener_.ended = [this] { connector_.reset(); };
  Connect();
  ASSERT_TRUE(opener_.WaitFor(1));
  engine_.Call([](TimePoint) {});
  EXPECT_EQ(connector_, nullptr);
  EXPECT_EQ(opener_.Opened(), 1u);
}

INSTANTIATE_TEST_SUITE_P(Families, TcpConnectorTest,
                         testing::Values(AddressFamily::kIpv4,
                                         AddressFamily::kIpv6),
                         [](const auto& family) {
                           return family.param == AddressFamily::kIpv4 ? "Ipv4"
                                                                       : "Ipv6";
                         });

}  // namespace
}  // namespace longhaul
