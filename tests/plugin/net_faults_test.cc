// The network when things end early, in any order, or are disturbed.
#include <arpa/inet.h>
#include <dirent.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "plugin/net_end.h"

namespace longhaul::nccl {
namespace {

// Shims differ in their life cycle: without contexts, with them, the newest.
class NetFaultsTest : public testing::TestWithParam<int> {};

std::string NameOfVersion(const testing::TestParamInfo<int>& info) {
  return "v" + std::to_string(info.param);
}

INSTANTIATE_TEST_SUITE_P(Some, NetFaultsTest, testing::Values(8, 11, 12),
                         NameOfVersion);

// TCP ports this process listens on.
std::vector<uint16_t> ListeningPorts() {
  std::vector<uint16_t> ports;
  DIR* const open = opendir("/proc/self/fd");
  while (const dirent* entry = readdir(open)) {
    const int fd = std::atoi(entry->d_name);
    int listening = 0;
    socklen_t size = sizeof listening;
    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) != 0 ||
        listening == 0) {
      continue;
    }
    sockaddr_storage address{};
    size = sizeof address;
    getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
    if (address.ss_family == AF_INET) {
      ports.push_back(
          ntohs(reinterpret_cast<const sockaddr_in*>(&address)->sin_port));
    }
  }
  closedir(open);
  return ports;
}

UniqueFd Intrude(uint16_t port) {
  UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  EXPECT_EQ(connect(fd.get(), reinterpret_cast<const sockaddr*>(&address),
                    sizeof address),
            0);
  return fd;
}

TEST_P(NetFaultsTest, ClosesInAnyOrder) {
  RunProcesses(TwoSites(), [](Process& process) {
    NetEnd end(GetParam());
    std::vector<int> order = {0, 1, 2};
    do {
      OneWay way = ConnectOneWay(&end, &process);
      Stream(&end, &process, way.comm, {100, 0, 100'000});
      for (const int what : order) {
        process.Barrier();
        if (what == 0 && process.rank() == 0) {
          EXPECT_EQ(end->CloseSend(way.comm), kOk);
        } else if (what == 1 && process.rank() == 1) {
          EXPECT_EQ(end->CloseRecv(way.comm), kOk);
        } else if (what == 2 && process.rank() == 1) {
          EXPECT_EQ(end->CloseListen(way.listen), kOk);
        }
      }
    } while (std::next_permutation(order.begin(), order.end()));
  });
}

// NCCL closes as soon as its own sends are done, while the peer still waits.
TEST_P(NetFaultsTest, WhatWasSentArrivesThoughTheSenderCloses) {
  RunProcesses(TwoSites(), [](Process& process) {
    const std::vector<size_t> sizes = {300'000, 0, 1, 300'000, 77};
    NetEnd end(GetParam());
    const OneWay way = ConnectOneWay(&end, &process);
    if (process.rank() == 0) {
      Stream(&end, &process, way.comm, sizes);
      EXPECT_EQ(end->CloseSend(way.comm), kOk);
      process.Barrier();
    } else {
      process.Barrier();
      Stream(&end, &process, way.comm, sizes);
      EXPECT_EQ(end->CloseRecv(way.comm), kOk);
      EXPECT_EQ(end->CloseListen(way.listen), kOk);
    }
    process.Barrier();
  });
}

TEST_P(NetFaultsTest, ReceivesInFlightEndWithTheirComm) {
  RunProcesses(TwoSites(), [](Process& process) {
    NetEnd end(GetParam());
    const OneWay way = ConnectOneWay(&end, &process);
    std::vector<std::byte> memory(1 << 20);
    if (process.rank() == 1) {
      for (size_t i = 0; i < kSlots; ++i) {
        RecvSoon(end.net(), way.comm, memory.data() + i * 1000, 1000);
      }
    }
    process.Barrier();
    CloseOneWay(&end, &process, way);
    process.Barrier();
  });
}

TEST_P(NetFaultsTest, SendsInFlightEndWithTheirComm) {
  RunProcesses(TwoSites(), [](Process& process) {
    NetEnd end(GetParam());
    const OneWay way = ConnectOneWay(&end, &process);
    std::vector<std::byte> memory(size_t{4} << 20);
    if (process.rank() == 0) {
      // As many as are taken; nobody receives.
      for (int i = 0; i < abi::kMaxRequests; ++i) {
        void* request = nullptr;
        ASSERT_EQ(end->Isend(way.comm, memory.data(), memory.size(), 0, nullptr,
                             &request),
                  kOk);
        if (!request) break;
      }
    }
    process.Barrier();
    if (process.rank() == 1) CloseOneWay(&end, &process, way);
    process.Barrier();
    if (process.rank() == 0) CloseOneWay(&end, &process, way);
    process.Barrier();
  });
}

// After a close with requests in flight, the process's other connections go on.
TEST_P(NetFaultsTest, OneCommsEndIsNotAnothers) {
  RunProcesses(TwoSites(), [](Process& process) {
    NetEnd end(GetParam());
    const OneWay gone = ConnectOneWay(&end, &process);
    const OneWay stays = ConnectOneWay(&end, &process);
    std::vector<std::byte> memory(1 << 20);
    if (process.rank() == 0) {
      SendSoon(end.net(), gone.comm, memory.data(), memory.size());
    } else {
      RecvSoon(end.net(), gone.comm, memory.data(), memory.size());
    }
    CloseOneWay(&end, &process, gone);
    process.Barrier();
    Stream(&end, &process, stays.comm, {1, 400'000, 0, 400'000});
    process.Barrier();
    CloseOneWay(&end, &process, stays);
  });
}

TEST_P(NetFaultsTest, AcceptAndConnectDoNotWaitForAPeer) {
  RunProcesses(TwoSites(), [](Process& process) {
    NetEnd end(GetParam());
    if (process.rank() == 1) {
      Listener listener = end.Listen();
      void* comm = nullptr;
      for (int i = 0; i < 1000; ++i) {
        ASSERT_EQ(end->Accept(listener.comm, &comm), kOk);
        ASSERT_EQ(comm, nullptr);
      }
      process.Send(0, listener.handle.bytes());
      process.Barrier();  // the peer has tried, and nobody has accepted
      comm = end.Accept(listener.comm);
      Stream(&end, &process, comm, {10, 100'000});
      process.Barrier();
      EXPECT_EQ(end->CloseRecv(comm), kOk);
      EXPECT_EQ(end->CloseListen(listener.comm), kOk);
    } else {
      Handle handle = Handle::Of(process.Recv(1));
      void* comm = nullptr;
      for (int i = 0; i < 1000 && !comm; ++i) {
        ASSERT_EQ(end->Connect(end.context(), 0, handle.data(), &comm), kOk);
      }
      process.Barrier();
      while (!comm) {
        ASSERT_EQ(end->Connect(end.context(), 0, handle.data(), &comm), kOk);
        std::this_thread::yield();
      }
      Stream(&end, &process, comm, {10, 100'000});
      process.Barrier();
      EXPECT_EQ(end->CloseSend(comm), kOk);
    }
  });
}

// NCCL drops objects that never became comms: there is no call to close them.
TEST_P(NetFaultsTest, HalfOpenObjectsEndWithTheContext) {
  RunProcesses(TwoSites(), [](Process& process) {
    NetEnd end(GetParam());
    if (process.rank() == 1) {
      Listener listener = end.Listen();
      process.Send(0, listener.handle.bytes());
      process.Barrier();
      EXPECT_EQ(end->CloseListen(listener.comm), kOk);
    } else {
      Handle handle = Handle::Of(process.Recv(1));
      void* comm = nullptr;
      EXPECT_EQ(end->Connect(end.context(), 0, handle.data(), &comm), kOk);
      process.Barrier();
      if (comm) {
        EXPECT_EQ(end->CloseSend(comm), kOk);
      }
    }
    process.Barrier();
  });
}

// Port scanners, health checks, other jobs.
TEST_P(NetFaultsTest, StrangersAtTheDoorAreTolerated) {
  RunProcesses(TwoSites(), [](Process& process) {
    NetEnd end(GetParam());
    if (process.rank() == 1) {
      Listener listener = end.Listen();
      const std::vector<uint16_t> ports = ListeningPorts();
      ASSERT_FALSE(ports.empty());
      std::vector<UniqueFd> staying;
      std::vector<std::byte> junk(10'000);
      FillPattern(99, 0, junk);
      for (const uint16_t port : ports) {
        Intrude(port);                     // comes and goes
        staying.push_back(Intrude(port));  // says nothing
        for (const size_t size : {size_t{1}, size_t{100}, junk.size()}) {
          staying.push_back(Intrude(port));
          EXPECT_GT(send(staying.back().get(), junk.data(), size, MSG_NOSIGNAL),
                    0);
          const UniqueFd leaving = Intrude(port);
          send(leaving.get(), junk.data() + 8, std::min(size, junk.size() - 8),
               MSG_NOSIGNAL);
        }
      }
      process.Send(0, listener.handle.bytes());
      void* const comm = end.Accept(listener.comm);
      Stream(&end, &process, comm, {1, 100'000, 0});
      process.Barrier();
      EXPECT_EQ(end->CloseRecv(comm), kOk);
      EXPECT_EQ(end->CloseListen(listener.comm), kOk);
    } else {
      void* const comm = end.Connect(Handle::Of(process.Recv(1)));
      Stream(&end, &process, comm, {1, 100'000, 0});
      process.Barrier();
      EXPECT_EQ(end->CloseSend(comm), kOk);
    }
  });
}

TEST_P(NetFaultsTest, AHandleOfNonsenseIsRefused) {
  RunProcesses(InSites({"paris"}), [](Process&) {
    NetEnd end(GetParam());
    for (const int fill : {0x00, 0x5a, 0xff}) {
      std::array<std::byte, abi::kHandleBytes> nonsense{};
      nonsense.fill(static_cast<std::byte>(fill));
      void* comm = nullptr;
      EXPECT_NE(end->Connect(end.context(), 0, nonsense.data(), &comm), kOk);
      EXPECT_EQ(comm, nullptr);
    }
  });
}

TEST_P(NetFaultsTest, ADeadPeerEndsTheReceivesFromIt) {
  std::vector<Rank> ranks = TwoSites();
  ranks[0].ending = Ending::kDies;
  for (Rank& rank : ranks) rank.environment["LONGHAUL_TIMEOUT"] = "5s";
  RunProcesses(ranks, [](Process& process) {
    NetEnd end(GetParam());
    const OneWay way = ConnectOneWay(&end, &process);
    Stream(&end, &process, way.comm, {10, 10'000});
    process.Barrier();
    if (process.rank() == 0) std::_Exit(3);
    std::byte data[64];
    void* const request = RecvSoon(end.net(), way.comm, data, sizeof data);
    int done = 0;
    abi::ResultCode code = kOk;
    while (code == kOk && !done) {
      code = end->Test(request, &done, nullptr);
      std::this_thread::yield();
    }
    EXPECT_NE(code, kOk);
    EXPECT_EQ(done, 0);
    EXPECT_EQ(end->CloseRecv(way.comm), kOk);
    EXPECT_EQ(end->CloseListen(way.listen), kOk);
  });
}

TEST_P(NetFaultsTest, ADeadPeerEndsTheSendsToIt) {
  std::vector<Rank> ranks = TwoSites();
  ranks[1].ending = Ending::kDies;
  for (Rank& rank : ranks) rank.environment["LONGHAUL_TIMEOUT"] = "5s";
  RunProcesses(ranks, [](Process& process) {
    NetEnd end(GetParam());
    const OneWay way = ConnectOneWay(&end, &process);
    Stream(&end, &process, way.comm, {10, 10'000});
    process.Barrier();
    if (process.rank() == 1) std::_Exit(3);
    {
      SendProxy proxy(end.net(), way.comm,
                      std::vector<size_t>(100'000, size_t{512} << 10),
                      Filling(1));
      EXPECT_NE(Drive(&proxy), kOk);
      EXPECT_NE(proxy.Step(), kOk) << "the fault must not be forgotten";
    }
    EXPECT_EQ(end->CloseSend(way.comm), kOk);
  });
}

}  // namespace
}  // namespace longhaul::nccl
