#include "collective/rendezvous.h"

#include <sys/resource.h>

#include <cstdio>
#include <thread>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "collective/rendezvous_frame.h"
#include "support/raw_peer.h"
#include "transport/tcp/tcp_socket.h"

namespace longhaul {
namespace {

using test::RawPeer;
using testing::AllOf;
using testing::HasSubstr;

constexpr Duration kLong = 120 * kSecond;

std::vector<uint8_t> BlobOf(uint32_t rank) {
  return std::vector<uint8_t>(size_t{rank % 7} * 10,
                              static_cast<uint8_t>(rank));
}

class RendezvousTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(engine_.Open().ok());
    ASSERT_TRUE(engine_.Start(0).ok());
    config_.addresses = {Address::Loopback(AddressFamily::kIpv4, 0)};
    config_.notice_interval = 20 * kMillisecond;
  }
  void TearDown() override {
    Stop();
    engine_.Stop();
  }
  void Serve() {
    engine_.Call([this](TimePoint) {
      server_ = RendezvousServer::Open(engine_, config_, trap_.log()).value();
    });
    // Where it is served again, clients may be reading it.
    if (address_ != server_->addresses().front()) {
      address_ = server_->addresses().front();
    }
  }
  void Stop() {
    engine_.Call([this](TimePoint) { server_.reset(); });
  }
  template <typename Read>
  auto OnEngine(Read read) {
    decltype(read(*server_)) value{};
    engine_.Call([&](TimePoint) { value = read(*server_); });
    return value;
  }
  // The server's turn comes after what clients have done; wait for it.
  template <typename Condition>
  bool Eventually(Condition condition) {
    const auto end = std::chrono::steady_clock::now() + test::kPatience;
    while (!OnEngine(condition)) {
      if (std::chrono::steady_clock::now() > end) return false;
      std::this_thread::yield();
    }
    return true;
  }
  RendezvousJoin JoinOf(uint32_t rank, uint32_t size,
                        const std::vector<uint8_t>& blob) {
    RendezvousJoin join;
    join.server = {address_.HostString(), address_.port};
    join.key = "world";
    join.rank = rank;
    join.size = size;
    join.incarnation = 1000 + rank;
    join.blob = blob;
    join.timeout = kLong;
    return join;
  }
  // All ranks gather, each on a thread of its own; `change` may alter a join.
  std::vector<Result<RendezvousTable>> Gather(
      uint32_t size, const std::function<void(RendezvousJoin&)>& change) {
    std::vector<std::optional<Result<RendezvousTable>>> tables(size);
    std::vector<std::thread> threads;
    for (uint32_t rank = 0; rank < size; ++rank) {
      threads.emplace_back([&, rank] {
        const std::vector<uint8_t> blob = BlobOf(rank);
        RendezvousJoin join = JoinOf(rank, size, blob);
        if (change) change(join);
        tables[rank] = RendezvousAllGather(join, trap_.log());
      });
    }
    std::vector<Result<RendezvousTable>> all;
    for (uint32_t rank = 0; rank < size; ++rank) {
      threads[rank].join();
      all.push_back(*std::move(tables[rank]));
    }
    return all;
  }
  static void ExpectTables(const std::vector<Result<RendezvousTable>>& all) {
    for (const Result<RendezvousTable>& table : all) {
      ASSERT_TRUE(table.ok()) << table.status().text();
      EXPECT_EQ(table->job, all.front()->job);
      EXPECT_EQ(table->secret, all.front()->secret);
      EXPECT_EQ(table->number, all.front()->number);
      ASSERT_EQ(table->blobs.size(), all.size());
      for (uint32_t rank = 0; rank < all.size(); ++rank) {
        EXPECT_EQ(table->blobs[rank], BlobOf(rank));
      }
    }
  }

  test::LogTrap trap_;
  Engine engine_;
  RendezvousServer::Config config_;
  std::unique_ptr<RendezvousServer> server_;
  Address address_;
};

TEST_F(RendezvousTest, OneRankNeedsNobody) {
  Serve();
  ExpectTables(Gather(1, {}));
}

TEST_F(RendezvousTest, EveryRankGetsEveryBlobInOrder) {
  Serve();
  for (const uint32_t size : {2u, 5u, 64u}) {
    const auto tables = Gather(size, [size](RendezvousJoin& join) {
      join.key = "world/" + std::to_string(size);
    });
    ExpectTables(tables);
    EXPECT_NE(tables.front()->secret, SipKey{});
  }
  EXPECT_TRUE(Eventually([](RendezvousServer& server) {
    return server.keys() == 0 && server.clients() == 0;
  }));
}

TEST_F(RendezvousTest, KeysAreApart) {
  Serve();
  const auto tables = Gather(8, [](RendezvousJoin& join) {
    join.key = join.rank % 2 == 0 ? "even" : "odd";
    join.rank /= 2;
    join.size = 4;
  });
  for (uint32_t i = 0; i < 8; ++i) {
    ASSERT_TRUE(tables[i].ok());
    for (uint32_t rank = 0; rank < 4; ++rank) {
      EXPECT_EQ(tables[i]->blobs[rank], BlobOf(2 * rank + i % 2));
    }
    EXPECT_EQ(tables[i]->job, tables[0]->job);
    EXPECT_EQ(tables[i]->number, tables[i % 2]->number);
  }
  EXPECT_NE(tables[0]->number, tables[1]->number);
}

TEST_F(RendezvousTest, Ipv6) {
  config_.addresses = {Address::Loopback(AddressFamily::kIpv6, 0)};
  Serve();
  ExpectTables(Gather(3, {}));
}

TEST_F(RendezvousTest, LargeBlobsPass) {
  Serve();
  const std::vector<uint8_t> blob(kMaxRendezvousBlob, 5);
  const auto tables =
      Gather(8, [&blob](RendezvousJoin& join) { join.blob = blob; });
  for (const auto& table : tables) {
    ASSERT_TRUE(table.ok()) << table.status().text();
    for (const auto& got : table->blobs) EXPECT_EQ(got, blob);
  }
}

TEST_F(RendezvousTest, AServerThatComesLateIsFound) {
  // A port that is free, closed again until the clients have tried.
  Serve();
  config_.addresses = {address_};
  Stop();
  std::thread late([this] {
    EXPECT_TRUE(trap_.WaitFor("not there yet"));
    Serve();
  });
  ExpectTables(Gather(4, {}));
  late.join();
}

TEST_F(RendezvousTest, ProgressAndTimeOutNameTheMissing) {
  Serve();
  RendezvousJoin join = JoinOf(2, 8, {});
  join.timeout = kSecond;
  const Status status = RendezvousAllGather(join, trap_.log()).status();
  EXPECT_EQ(status.code(), StatusCode::kTimedOut);
  EXPECT_THAT(status.text(),
              AllOf(HasSubstr("rank 2"),
                    HasSubstr("waiting for ranks 0, 1, 3-7 of 8")));
  EXPECT_GE(trap_.Count("waiting for ranks 0, 1, 3-7 of 8"), 1u);
  EXPECT_TRUE(Eventually([](RendezvousServer& server) {
    return server.keys() == 0 && server.clients() == 0;
  }));
}

TEST_F(RendezvousTest, NobodyListeningIsSaid) {
  const UniqueFd closed = test::ClosedPort(AddressFamily::kIpv4);
  address_ = LocalAddress(closed.get());
  RendezvousJoin join = JoinOf(1, 2, {});
  join.timeout = 150 * kMillisecond;
  const Status status = RendezvousAllGather(join, trap_.log()).status();
  EXPECT_EQ(status.code(), StatusCode::kTimedOut);
  EXPECT_THAT(status.text(), AllOf(HasSubstr(address_.ToString()),
                                   HasSubstr("Connection refused"),
                                   HasSubstr("LONGHAUL_RENDEZVOUS")));
}

TEST_F(RendezvousTest, AnotherProgramThereIsSaid) {
  const UniqueFd mute = ListenTcp(config_.addresses[0], {}, {}).value();
  address_ = LocalAddress(mute.get());
  RendezvousJoin join = JoinOf(1, 2, {});
  join.timeout = 100 * kMillisecond;
  const Status status = RendezvousAllGather(join, trap_.log()).status();
  EXPECT_THAT(status.text(), HasSubstr("connected, but no answer"));
}

TEST_F(RendezvousTest, DifferentSizesAreToldToAll) {
  Serve();
  const auto tables = Gather(3, [](RendezvousJoin& join) {
    if (join.rank == 2) join.size = 4;
  });
  for (const auto& table : tables) {
    EXPECT_EQ(table.status().code(), StatusCode::kInvalidArgument);
    EXPECT_EQ(table.status().scope(), FaultScope::kCommunicator);
    EXPECT_THAT(table.status().text(),
                AllOf(HasSubstr("disagree"), HasSubstr("rank 2"),
                      HasSubstr("says 4"), HasSubstr("says 3")));
  }
}

TEST_F(RendezvousTest, TwoOfOneRankAreToldToAll) {
  Serve();
  const auto tables = Gather(4, [](RendezvousJoin& join) {
    if (join.rank == 3) join.rank = 1;
  });
  for (const auto& table : tables) {
    EXPECT_EQ(table.status().code(), StatusCode::kInvalidArgument);
    EXPECT_THAT(table.status().text(), HasSubstr("rank 1 of 4"));
  }
}

TEST_F(RendezvousTest, WhoComesLateLearnsOfTheDisagreementToo) {
  Serve();
  Gather(2, [](RendezvousJoin& join) { join.size += join.rank; });
  for (const uint32_t size : {2u, 3u}) {
    RendezvousJoin late = JoinOf(1, size, {});
    late.timeout = 5 * kSecond;
    EXPECT_THAT(RendezvousAllGather(late, trap_.log()).status().text(),
                HasSubstr("disagree"));
  }
}

TEST_F(RendezvousTest, AStrangerAfterTheTableIsRefused) {
  Serve();
  // Rank 1 keeps its connection, so that the key is remembered.
  JoinMessage message;
  message.rank = 1;
  message.size = 2;
  message.key = "world";
  std::vector<uint8_t> bytes = EncodeMessage(message);
  bytes.resize(bytes.size() + kRendezvousProofSize);
  const RawPeer rank1(address_);
  ASSERT_TRUE(rank1.Send(bytes));
  ASSERT_TRUE(RendezvousAllGather(JoinOf(0, 2, {}), trap_.log()).ok());
  for (const uint32_t rank : {0u, 1u}) {
    RendezvousJoin stranger = JoinOf(rank, 2, {});
    stranger.incarnation = 99;
    EXPECT_THAT(RendezvousAllGather(stranger, trap_.log()).status().text(),
                HasSubstr("comes too late"));
  }
}

TEST_F(RendezvousTest, AMemberThatComesAgainIsServed) {
  Serve();
  JoinMessage message;
  message.incarnation = 1001;
  message.rank = 1;
  message.size = 2;
  message.key = "world";
  message.blob = BlobOf(1);
  std::vector<uint8_t> bytes = EncodeMessage(message);
  bytes.resize(bytes.size() + kRendezvousProofSize);
  const RawPeer before(address_);
  ASSERT_TRUE(before.Send(bytes));
  EXPECT_TRUE(
      Eventually([](RendezvousServer& server) { return server.keys() == 1; }));
  // The same process over a new connection, while the old one looks alive.
  ExpectTables(Gather(2, {}));
}

TEST_F(RendezvousTest, WhoLeavesMakesRoomForItsSuccessor) {
  Serve();
  RendezvousJoin early = JoinOf(1, 2, {});
  early.incarnation = 55;
  early.timeout = 50 * kMillisecond;
  EXPECT_FALSE(RendezvousAllGather(early, trap_.log()).ok());
  ExpectTables(Gather(2, {}));
}

TEST_F(RendezvousTest, StrangersDoNotDisturb) {
  config_.join_timeout = 30 * kMillisecond;
  Serve();
  std::vector<std::unique_ptr<RawPeer>> strangers;
  for (int i = 0; i < 10; ++i) {
    strangers.push_back(std::make_unique<RawPeer>(address_));
    if (i % 3 == 0) strangers.back()->Send("GET / HTTP/1.1\r\n\r\n");
    if (i % 3 == 1) strangers.back()->Send(std::string(5000, 'x'));
  }
  ExpectTables(Gather(4, {}));
  EXPECT_TRUE(Eventually(
      [](RendezvousServer& server) { return server.clients() == 0; }));
  EXPECT_LE(trap_.Count("does not speak to the rendezvous"), 1u);
}

TEST_F(RendezvousTest, ACrowdOfStrangersIsBounded) {
  config_.max_strangers = 3;
  config_.join_timeout = 1000 * kSecond;
  Serve();
  std::vector<std::unique_ptr<RawPeer>> crowd;
  for (int i = 0; i < 9; ++i) {
    crowd.push_back(std::make_unique<RawPeer>(address_));
  }
  for (size_t i = 0; i < 6; ++i) EXPECT_TRUE(crowd[i]->ClosedSilently()) << i;
  crowd.clear();
  ExpectTables(Gather(2, {}));
}

TEST_F(RendezvousTest, KeysAndBytesAreBounded) {
  config_.max_keys = 1;
  config_.max_bytes = 10000;
  Serve();
  const std::vector<uint8_t> blob(20000, 1);
  RendezvousJoin large = JoinOf(0, 2, blob);
  EXPECT_EQ(RendezvousAllGather(large, trap_.log()).status().code(),
            StatusCode::kExhausted);
  JoinMessage message;
  message.size = 2;
  message.key = "other";
  std::vector<uint8_t> bytes = EncodeMessage(message);
  bytes.resize(bytes.size() + kRendezvousProofSize);
  const RawPeer holder(address_);
  ASSERT_TRUE(holder.Send(bytes));
  EXPECT_FALSE(holder.Receive(1).empty());
  EXPECT_EQ(RendezvousAllGather(JoinOf(0, 2, {}), trap_.log()).status().code(),
            StatusCode::kExhausted);
}

TEST_F(RendezvousTest, TheSecretIsProvedBothWays) {
  config_.key = SipKey{1, 2, 3};
  Serve();
  const auto tables = Gather(3, [](RendezvousJoin& join) {
    join.secret = SipKey{1, 2, 3};
  });
  ExpectTables(tables);
  EXPECT_NE(tables.front()->secret, SipKey{});
  EXPECT_NE(tables.front()->secret, (SipKey{1, 2, 3}));
}

TEST_F(RendezvousTest, ASecretThatDiffersIsToldToItsOwnerAndInNotices) {
  config_.key = SipKey{1, 2, 3};
  Serve();
  const auto tables = Gather(4, [](RendezvousJoin& join) {
    join.key = "k";
    join.size = 5;
    join.timeout = join.rank == 0 ? 1500 * kMillisecond : kLong;
    join.secret = SipKey{1, 2, 3};
    if (join.rank == 1) join.secret = SipKey{9};
    if (join.rank == 2) join.secret.reset();
    if (join.rank == 3) join.timeout = 1500 * kMillisecond;
  });
  EXPECT_THAT(tables[1].status().text(), HasSubstr("another secret"));
  EXPECT_EQ(tables[1].status().code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(tables[2].status().text(),
              HasSubstr("has no LONGHAUL_SECRET_FILE"));
  EXPECT_EQ(tables[0].status().code(), StatusCode::kTimedOut);
  EXPECT_THAT(tables[0].status().text(), HasSubstr("another secret"));
}

TEST_F(RendezvousTest, AServerWithoutTheSecretIsNotBelieved) {
  // It has the same port, no secret, and answers as if it needed none.
  const UniqueFd fake = ListenTcp(config_.addresses[0], {}, {}).value();
  address_ = LocalAddress(fake.get());
  std::thread impostor([&fake] {
    pollfd ready{fake.get(), POLLIN, 0};
    ASSERT_EQ(::poll(&ready, 1, 20000), 1);
    const UniqueFd client(::accept(fake.get(), nullptr, nullptr));
    std::vector<uint8_t> bytes =
        EncodeMessage(TableMessage{1, {}, 1, {{}, {}}});
    bytes.resize(bytes.size() + kRendezvousProofSize);
    ::send(client.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    char byte;
    while (::recv(client.get(), &byte, 1, 0) > 0) {
    }
  });
  RendezvousJoin join = JoinOf(1, 2, {});
  join.secret = SipKey{1};
  const Status status = RendezvousAllGather(join, trap_.log()).status();
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(status.text(), HasSubstr("does not know the secret"));
  impostor.join();
}

TEST_F(RendezvousTest, AnotherVersionIsToldSo) {
  Serve();
  JoinMessage message;
  message.size = 1;
  message.key = "world";
  std::vector<uint8_t> bytes = EncodeMessage(message);
  bytes[4] = 9;  // the version
  StoreLittle<uint32_t>(bytes.data() + 16, Crc32c(bytes.data(), 16));
  bytes.resize(bytes.size() + kRendezvousProofSize);
  const RawPeer peer(address_);
  ASSERT_TRUE(peer.Send(bytes));
  const std::vector<uint8_t> answer = peer.Receive(10000);
  ASSERT_GT(answer.size(), kRendezvousHeadSize + kRendezvousProofSize);
  const auto error = DecodeError(
      std::span(answer)
          .subspan(kRendezvousHeadSize)
          .first(answer.size() - kRendezvousHeadSize - kRendezvousProofSize));
  ASSERT_TRUE(error.ok());
  EXPECT_EQ(error->code, StatusCode::kUnsupported);
  EXPECT_THAT(error->text, HasSubstr("version 9, rank 0 speaks 1"));
}

TEST_F(RendezvousTest, ASecondServerOnThePortIsRefused) {
  Serve();
  RendezvousServer::Config again;
  again.addresses = {address_};
  engine_.Call([&](TimePoint) {
    const Status status =
        RendezvousServer::Open(engine_, again, trap_.log()).status();
    EXPECT_EQ(status.code(), StatusCode::kUnreachable);
    EXPECT_THAT(status.text(), HasSubstr("another job"));
  });
}

TEST_F(RendezvousTest, BadJoinsAreRefusedWithoutAServer) {
  const std::vector<uint8_t> blob(kMaxRendezvousBlob + 1);
  RendezvousJoin join = JoinOf(0, 2, blob);
  EXPECT_EQ(RendezvousAllGather(join, trap_.log()).status().code(),
            StatusCode::kInvalidArgument);
  join = JoinOf(2, 2, {});
  EXPECT_EQ(RendezvousAllGather(join, trap_.log()).status().code(),
            StatusCode::kInvalidArgument);
  join = JoinOf(0, 2, {});
  join.key.clear();
  EXPECT_EQ(RendezvousAllGather(join, trap_.log()).status().code(),
            StatusCode::kInvalidArgument);
}

// One thread plays all ranks; both ends of every connection are in here.
TEST_F(RendezvousTest, AThousandRanks) {
  constexpr uint32_t kRanks = 1024;
  config_.notice_interval = 5 * kSecond;
  rlimit limit;
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &limit), 0);
  const rlimit before = limit;
  if (limit.rlim_max < 2 * kRanks + 100) GTEST_SKIP() << "too few descriptors";
  limit.rlim_cur = limit.rlim_max;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &limit), 0);
  Serve();
  std::vector<std::unique_ptr<RawPeer>> peers;
  for (uint32_t rank = 0; rank < kRanks; ++rank) {
    JoinMessage message;
    message.rank = rank;
    message.size = kRanks;
    message.incarnation = rank + 1;
    message.key = "world";
    message.blob.assign(40, static_cast<uint8_t>(rank));
    std::vector<uint8_t> bytes = EncodeMessage(message);
    bytes.resize(bytes.size() + kRendezvousProofSize);
    peers.push_back(std::make_unique<RawPeer>(address_));
    ASSERT_TRUE(peers.back()->Send(bytes));
  }
  for (uint32_t rank = 0; rank < kRanks; ++rank) {
    RendezvousReader reader(8 << 20);
    do {
      if (reader.Complete()) reader.Next();
      while (!reader.Complete()) {
        const std::span<uint8_t> space = reader.Space();
        const ssize_t got =
            ::recv(peers[rank]->fd(), space.data(), space.size(), 0);
        ASSERT_GT(got, 0);
        ASSERT_TRUE(reader.Took(static_cast<size_t>(got)).ok());
      }
    } while (reader.kind() == RendezvousKind::kWaiting);
    const auto table = DecodeTable(reader.payload());
    ASSERT_TRUE(table.ok());
    ASSERT_EQ(table->blobs.size(), kRanks);
    EXPECT_EQ(table->blobs[rank],
              std::vector<uint8_t>(40, static_cast<uint8_t>(rank)));
    peers[rank].reset();
  }
  EXPECT_TRUE(Eventually([](RendezvousServer& server) {
    return server.Drained() && server.keys() == 0;
  }));
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
}

class SecretFileTest : public testing::Test {
 protected:
  std::string Write(std::string_view content) {
    path_ = testing::TempDir() + "longhaul_secret";
    std::FILE* file = std::fopen(path_.c_str(), "w");
    std::fwrite(content.data(), 1, content.size(), file);
    std::fclose(file);
    return path_;
  }
  void TearDown() override {
    if (!path_.empty()) std::remove(path_.c_str());
  }
  std::string path_;
};

TEST_F(SecretFileTest, EqualContentGivesEqualKeys) {
  const SipKey key = ReadSecretFile(Write("0123456789abcdef")).value();
  EXPECT_EQ(ReadSecretFile(Write("0123456789abcdef\n")).value(), key);
  EXPECT_NE(ReadSecretFile(Write("0123456789abcdeg")).value(), key);
}

TEST_F(SecretFileTest, ShortOrMissingFilesAreRefused) {
  EXPECT_THAT(ReadSecretFile(Write("secret")).status().text(),
              AllOf(HasSubstr("6 bytes"), HasSubstr("16")));
  EXPECT_THAT(ReadSecretFile("/nowhere/at/all").status().text(),
              AllOf(HasSubstr("LONGHAUL_SECRET_FILE"),
                    HasSubstr("/nowhere/at/all"), HasSubstr("No such file")));
}

}  // namespace
}  // namespace longhaul
