// Two peers, each with its connection and its listeners, in one engine: who
// opens which flows, over several addresses of the loopback interface.
#include "collective/path_dialer.h"

#include <sys/socket.h>

#include <chrono>
#include <map>
#include <optional>
#include <set>
#include <thread>

#include "base/clock.h"
#include "base/text.h"
#include "collective/peer.h"
#include "support/raw_peer.h"
#include "transport/tcp/tcp_listener.h"

namespace longhaul {
namespace {

using testing::HasSubstr;

constexpr uint64_t kLow = 0xaaaa;
constexpr uint64_t kHigh = 0xbbbb;
constexpr uint16_t kPaths = 2;
constexpr uint16_t kFlows = 2;

HelloPolicy PolicyOf(uint64_t self) {
  HelloPolicy policy;
  policy.job = 7;
  policy.self = self;
  policy.secret = {1, 2, 3};
  return policy;
}

// One flow that a side has accepted.
struct Taken {
  uint16_t path = 0;
  uint16_t flow = 0;
  Address from;
  UniqueFd socket;  // the same connection, so that a test can end it
};

class Side final : public FlowAcceptor {
 public:
  Side(Engine& engine, BlockPool& pool, Logger& log, uint64_t name,
       uint64_t other)
      : engine_(engine), log_(log), name_(name) {
    ConnectionConfig config;
    config.peer = Text("process %llx", static_cast<unsigned long long>(other));
    config.outbox.retain = config.inbox.acknowledge = true;
    config.timeout = config.reopen = 60 * kSecond;
    peer.emplace(engine, pool, log, Peer::Config{config, false, 1 << 16, {}});
  }

  // A listener of its own for every path, so that one can be missing.
  void Listen(uint16_t path, const Address& at) {
    TcpListener::Config config;
    config.addresses = {at};
    Result<std::unique_ptr<TcpListener>> listener =
        TcpListener::Open(engine_, config, *this, log_);
    ASSERT_TRUE(listener.ok()) << listener.status().text();
    ASSERT_TRUE((*listener)->Start(PolicyOf(name_)).ok());
    listeners[path] = std::move(listener).value();
  }

  Result<Hello> Accept(const Hello& theirs, TimePoint) override {
    const Status welcome = peer->Accept(theirs, name_ < theirs.from);
    if (!welcome.ok()) return welcome;
    return Hello();
  }
  void Accepted(UniqueFd fd, const Hello& theirs, TimePoint now) override {
    Taken flow{theirs.path, theirs.flow, PeerAddress(fd.get()),
               UniqueFd(::dup(fd.get()))};
    taken.Update([&](auto& all) { all.push_back(std::move(flow)); });
    peer->Accepted(std::move(fd), theirs, PathInfo{}, now);
  }

  // Ends all flows that this side has accepted so far, of one path or all.
  void Cut(std::optional<uint16_t> path = {}) {
    taken.Update([&](auto& all) {
      for (const Taken& flow : all) {
        if (!path || flow.path == *path) {
          ::shutdown(flow.socket.get(), SHUT_RDWR);
        }
      }
    });
  }
  bool WaitForTaken(size_t count) {
    return taken.WaitFor([&](const auto& all) { return all.size() >= count; });
  }
  std::multiset<std::pair<uint16_t, uint16_t>> TakenFlows() {
    return taken.Look([](const auto& all) {
      std::multiset<std::pair<uint16_t, uint16_t>> flows;
      for (const Taken& flow : all) flows.emplace(flow.path, flow.flow);
      return flows;
    });
  }

  std::optional<Peer> peer;
  std::map<uint16_t, std::unique_ptr<TcpListener>> listeners;  // by path
  test::Watched<std::vector<Taken>> taken;

 private:
  Engine& engine_;
  Logger& log_;
  const uint64_t name_;
};

class PathDialerTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(engine_.Open().ok());
    ASSERT_TRUE(engine_.Start(0).ok());
    Call([this](TimePoint) {
      a_.emplace(engine_, pool_, trap_.log(), kLow, kHigh);
      b_.emplace(engine_, pool_, trap_.log(), kHigh, kLow);
    });
  }
  void TearDown() override {
    Call([this](TimePoint) {
      for (std::optional<Side>* side : {&a_, &b_}) {
        if (!*side) continue;
        (*side)->listeners.clear();
        (*side)->peer.reset();
      }
    });
    engine_.Stop();
  }

  template <typename Work>
  void Call(Work work) {
    engine_.Call([&](TimePoint now) { work(now); });
  }
  // 127.0.0.1 for a's first path, .2 for its second; .11 and .12 for b's.
  static Address AddressOf(bool low, uint16_t path) {
    const int host = (low ? 1 : 11) + path;
    return Address::ParseHost("127.0.0." + std::to_string(host), 0).value();
  }
  // Where that side listens for the path; a port of nobody's if it does not.
  Address At(Side& side, uint16_t path) {
    const auto listener = side.listeners.find(path);
    if (listener != side.listeners.end()) {
      return listener->second->addresses().front();
    }
    const bool low = &side == &*a_;
    UniqueFd fd = OpenTcpSocket(AddressFamily::kIpv4, {}).value();
    sockaddr_storage address;
    const socklen_t size = AddressOf(low, path).ToSockaddr(&address);
    EXPECT_EQ(::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
    const Address free = LocalAddress(fd.get());
    kept_[free] = std::move(fd);
    return free;
  }
  void ListenOn(Side& side, std::initializer_list<uint16_t> paths) {
    Call([&](TimePoint) {
      for (const uint16_t path : paths) {
        side.Listen(path, AddressOf(&side == &*a_, path));
      }
    });
  }

  // Tells `side` of the other's addresses.
  void Introduce(Side& side, uint64_t self, uint64_t other) {
    Side& to = &side == &*a_ ? *b_ : *a_;
    PathDialer::Config config = config_;
    config.flows = kFlows;
    config.call.peer = side.peer->connection().peer();
    config.call.policy = PolicyOf(self);
    config.call.policy.peer = other;
    config.call.hello.link = LinkClass::kOtherSite;
    config.call.settings.congestion_control = "system";
    for (uint16_t path = 0; path < kPaths; ++path) {
      config.paths.push_back({path,
                              {At(to, path)},
                              AddressOf(&side == &*a_, path),
                              {"path" + std::to_string(path), 0},
                              false});
    }
    side.peer->Know(config);
  }
  // The other side does not know where to call.
  void IntroduceCaller() {
    Call([this](TimePoint now) {
      Introduce(*a_, kLow, kHigh);
      a_->peer->Call(now);
    });
  }
  void IntroduceAndCall() {
    Call([this](TimePoint now) {
      Introduce(*a_, kLow, kHigh);
      Introduce(*b_, kHigh, kLow);
      a_->peer->Call(now);
    });
  }
  // Looks from time to time; what is looked at is the engine's.
  template <typename Predicate>
  bool WaitUntil(Predicate predicate) {
    const TimePoint end = Now() + 60 * kSecond;
    while (Now() < end) {
      bool done = false;
      Call([&](TimePoint) { done = predicate(); });
      if (done) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    return false;
  }
  static size_t Flows(Side& side) {
    return side.peer->connection().Counters().flows;
  }
  Status StatusOf(Side& side) {
    Status status;
    Call([&](TimePoint) { status = side.peer->connection().status(); });
    return status;
  }
  bool Want(Side& side, FlowId flow) {
    bool wanted = false;
    Call([&](TimePoint now) { wanted = side.peer->Want(flow, now); });
    return wanted;
  }

  test::LogTrap trap_;
  Engine engine_;
  BlockPool pool_{size_t{1} << 30};
  PathDialer::Config config_ = Hasty();
  std::map<Address, UniqueFd> kept_;
  std::optional<Side> a_;  // the lower name
  std::optional<Side> b_;

 private:
  static PathDialer::Config Hasty() {
    PathDialer::Config config;
    config.grace = 20 * kMillisecond;
    config.shortest_round = 50 * kMillisecond;
    config.first_pause = config.longest_pause = 5 * kMillisecond;
    return config;
  }
};

TEST_F(PathDialerTest, OpensAllFlowsOfAllPathsFromTheirOwnAddresses) {
  ListenOn(*b_, {0, 1});
  IntroduceAndCall();
  ASSERT_TRUE(b_->WaitForTaken(kPaths * kFlows));
  EXPECT_EQ(b_->TakenFlows(), (std::multiset<std::pair<uint16_t, uint16_t>>{
                                  {0, 0}, {0, 1}, {1, 0}, {1, 1}}));
  b_->taken.Look([](const auto& all) {
    for (const Taken& flow : all) {
      EXPECT_EQ(flow.from.HostString(),
                AddressOf(true, flow.path).HostString());
    }
    return 0;
  });
  EXPECT_TRUE(WaitUntil([&] { return Flows(*a_) == kPaths * kFlows; }));
}

TEST_F(PathDialerTest, APathThatIsNotThereDoesNoHarmAndIsTriedAgain) {
  ListenOn(*b_, {0});
  IntroduceCaller();
  ASSERT_TRUE(trap_.WaitFor("path path1 to process bbbb cannot be opened"));
  EXPECT_TRUE(StatusOf(*a_).ok());
  EXPECT_EQ(b_->TakenFlows().size(), kFlows);
  // From then on by one flow.
  const char* second = "flow 1 to process bbbb not open yet";
  ASSERT_TRUE(trap_.WaitFor("flow 0 to process bbbb not open yet",
                            trap_.Count(second) + 3));
  const size_t before = trap_.Count(second);
  ASSERT_TRUE(trap_.WaitFor("flow 0 to process bbbb not open yet",
                            trap_.Count("flow 0") + 20));
  EXPECT_EQ(trap_.Count(second), before);
  // It comes up: on the port that was told.
  const Address at = kept_.begin()->first;
  kept_.clear();
  Call([&](TimePoint) { b_->Listen(1, at); });
  ASSERT_TRUE(b_->WaitForTaken(kPaths * kFlows));
  EXPECT_TRUE(WaitUntil([&] { return Flows(*a_) == kPaths * kFlows; }));
  EXPECT_EQ(trap_.Count("cannot be opened"), 1u);
}

TEST_F(PathDialerTest, OnlyTheCallerOpensWhatIsWanted) {
  ListenOn(*a_, {0, 1});
  ListenOn(*b_, {0, 1});
  IntroduceAndCall();
  ASSERT_TRUE(WaitUntil([&] { return Flows(*a_) == kPaths * kFlows; }));
  EXPECT_FALSE(Want(*b_, {1, 0}));
  EXPECT_FALSE(Want(*a_, {7, 0}));  // no path of ours
  // What is cut both connections want again, and only a opens it.
  b_->Cut(1);
  ASSERT_TRUE(b_->WaitForTaken(kPaths * kFlows + 2));
  EXPECT_TRUE(WaitUntil([&] {
    return Flows(*a_) == kPaths * kFlows && Flows(*b_) == kPaths * kFlows;
  }));
  EXPECT_EQ(b_->TakenFlows().count({1, 0}), 2u);
  EXPECT_EQ(b_->TakenFlows().count({1, 1}), 2u);
}

TEST_F(PathDialerTest, OneFlowMoreThanThereWereCanBeWanted) {
  ListenOn(*b_, {0, 1});
  IntroduceAndCall();
  ASSERT_TRUE(WaitUntil([&] { return Flows(*a_) == kPaths * kFlows; }));
  EXPECT_TRUE(Want(*a_, {1, kFlows}));
  ASSERT_TRUE(b_->WaitForTaken(kPaths * kFlows + 1));
  EXPECT_EQ(b_->TakenFlows().count({1, kFlows}), 1u);
}

TEST_F(PathDialerTest, WhatIsSparedIsNotOpened) {
  ListenOn(*b_, {0, 1});
  IntroduceAndCall();
  ASSERT_TRUE(WaitUntil([&] { return Flows(*a_) == kPaths * kFlows; }));
  const Address at = At(*b_, 1);
  Call([&](TimePoint) { b_->listeners.erase(1); });
  b_->Cut(1);
  ASSERT_TRUE(WaitUntil([&] { return Flows(*a_) == kFlows; }));
  // One that the connections know nothing of, so that none asks for it again.
  EXPECT_TRUE(Want(*a_, {1, kFlows}));
  ASSERT_TRUE(trap_.WaitFor("path1 to process bbbb cannot be opened"));
  Call([&](TimePoint) {
    a_->peer->Spare({1, kFlows});
    b_->Listen(1, at);
  });
  // Others come through there again and again, it does not.
  for (size_t times = 2; times < 8; ++times) {
    ASSERT_TRUE(WaitUntil([&] {
      EXPECT_TRUE(a_->peer->Want({1, 1}, Now()));
      return b_->TakenFlows().count({1, 1}) >= times;
    }));
  }
  EXPECT_EQ(b_->TakenFlows().count({1, kFlows}), 0u);
}

TEST_F(PathDialerTest, BothSidesOpenAgainWhenAllAreGone) {
  ListenOn(*a_, {0, 1});
  ListenOn(*b_, {0, 1});
  IntroduceAndCall();
  ASSERT_TRUE(WaitUntil([&] {
    return Flows(*a_) == kPaths * kFlows && Flows(*b_) == kPaths * kFlows;
  }));
  for (int round = 0; round < 3; ++round) {
    // Between two turns of the engine, or one flow is open again before the
    // last is gone.
    Call([&](TimePoint) {
      b_->Cut();
      a_->Cut();
    });
    ASSERT_TRUE(
        trap_.WaitFor("lost process bbbb", static_cast<size_t>(round) + 1));
    ASSERT_TRUE(WaitUntil([&] {
      return Flows(*a_) == kPaths * kFlows && Flows(*b_) == kPaths * kFlows;
    })) << round;
  }
  EXPECT_TRUE(StatusOf(*a_).ok());
  EXPECT_TRUE(StatusOf(*b_).ok());
}

// The callee may be the only one to know that all flows are gone.
TEST_F(PathDialerTest, TheCalleeMayOpenAgainByItself) {
  ListenOn(*a_, {0, 1});
  ListenOn(*b_, {0, 1});
  IntroduceAndCall();
  ASSERT_TRUE(WaitUntil([&] {
    return Flows(*a_) == kPaths * kFlows && Flows(*b_) == kPaths * kFlows;
  }));
  Call([&](TimePoint now) {
    b_->peer->Reopen(Status(StatusCode::kUnreachable, "the line is cut"), now);
  });
  ASSERT_TRUE(a_->WaitForTaken(kPaths * kFlows));
  EXPECT_TRUE(WaitUntil([&] {
    return Flows(*a_) == kPaths * kFlows && Flows(*b_) == kPaths * kFlows;
  }));
  EXPECT_TRUE(StatusOf(*a_).ok());
}

TEST_F(PathDialerTest, AProcessThatIsNoMoreIsToldAtOnce) {
  ListenOn(*b_, {0, 1});
  IntroduceAndCall();
  ASSERT_TRUE(WaitUntil([&] { return Flows(*a_) == kPaths * kFlows; }));
  const TimePoint begin = Now();
  Call([&](TimePoint) {
    b_->listeners.clear();
    b_->peer.reset();
  });
  b_->Cut();
  ASSERT_TRUE(WaitUntil([&] { return !a_->peer->connection().status().ok(); }));
  EXPECT_LT(Now() - begin, 30 * kSecond);  // the path time-out is 60 s
  EXPECT_EQ(StatusOf(*a_).code(), StatusCode::kUnreachable);
  EXPECT_THAT(StatusOf(*a_).text(), HasSubstr("refused"));
  Call([&](TimePoint) { b_.reset(); });
}

TEST_F(PathDialerTest, ARefusalOnOnePathIsThatPathsOwnMatter) {
  ListenOn(*b_, {0, 1});
  IntroduceCaller();
  ASSERT_TRUE(WaitUntil([&] { return Flows(*a_) == kPaths * kFlows; }));
  const Address at = At(*b_, 0);
  // One path refuses; the other swallows what comes: nobody greets there.
  UniqueFd mute;
  Call([&](TimePoint) {
    const Address second = At(*b_, 1);
    b_->listeners.clear();
    mute = ListenTcp(second, {}, {}).value();
  });
  b_->Cut();
  ASSERT_TRUE(trap_.WaitFor("lost process bbbb"));
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  EXPECT_TRUE(StatusOf(*a_).ok());
  Call([&](TimePoint) { b_->Listen(0, at); });
  EXPECT_TRUE(WaitUntil([&] { return Flows(*a_) == kFlows; }));
  EXPECT_TRUE(StatusOf(*a_).ok());
}

TEST_F(PathDialerTest, CallsThatCrossEndWithOneFlowEach) {
  ListenOn(*a_, {0, 1});
  ListenOn(*b_, {0, 1});
  Call([this](TimePoint now) {
    Introduce(*a_, kLow, kHigh);
    Introduce(*b_, kHigh, kLow);
    b_->peer->Call(now);
    a_->peer->Call(now);
  });
  ASSERT_TRUE(WaitUntil([&] {
    return Flows(*a_) == kPaths * kFlows && Flows(*b_) == kPaths * kFlows;
  }));
  EXPECT_TRUE(StatusOf(*a_).ok());
  EXPECT_TRUE(StatusOf(*b_).ok());
}

TEST_F(PathDialerTest, AnotherProcessAtAnAddressIsLeftAlone) {
  config_.pause_if_final = 1000 * kSecond;
  ListenOn(*b_, {0});
  Side other(engine_, pool_, trap_.log(), 0xcccc, kLow);
  Call([&](TimePoint now) {
    other.Listen(1, AddressOf(false, 1));
    b_->listeners[1] = std::move(other.listeners[1]);
    Introduce(*a_, kLow, kHigh);
    a_->peer->Call(now);
  });
  ASSERT_TRUE(WaitUntil([&] { return Flows(*a_) == kFlows; }));
  ASSERT_TRUE(trap_.WaitFor("path1 to process bbbb cannot be opened"));
  EXPECT_TRUE(StatusOf(*a_).ok());
  Call([&](TimePoint) {
    b_->listeners.clear();
    other.peer.reset();
  });
}

TEST_F(PathDialerTest, NobodyAtTheStartBreaksTheConnectionInTime) {
  config_.connect_timeout = 100 * kMillisecond;
  IntroduceAndCall();
  ASSERT_TRUE(WaitUntil([&] { return !a_->peer->connection().status().ok(); }));
  const Status status = StatusOf(*a_);
  EXPECT_EQ(status.code(), StatusCode::kUnreachable);
  EXPECT_THAT(status.text(), HasSubstr("time is up"));
  EXPECT_THAT(status.text(), HasSubstr("127.0.0.11"));
  EXPECT_THAT(status.text(), HasSubstr("127.0.0.12"));
}

TEST_F(PathDialerTest, PathsBeyondAllNumbersAreRefused) {
  Hello hello;
  hello.link = LinkClass::kOtherSite;
  hello.path = 64 * 64 - 1;
  EXPECT_TRUE(b_->peer->Accept(hello, false).ok());
  hello.path = 64 * 64;
  EXPECT_EQ(b_->peer->Accept(hello, false).code(),
            StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace longhaul
