// Connections between sites that are lost: those that are opened again, of
// which nobody above hears, and those whose peer is no more.
#include <dirent.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>

#include "plugin/net_end.h"

namespace longhaul::nccl {
namespace {

enum class Cut {
  kReset,     ///< both ends hear of a reset, as after a router's
  kShutdown,  ///< both ends hear of an orderly end
};

// TCP connections of this process, as descriptors.
std::vector<int> OwnFlows() {
  std::vector<int> flows;
  DIR* const open = opendir("/proc/self/fd");
  while (const dirent* entry = readdir(open)) {
    const int fd = std::atoi(entry->d_name);
    sockaddr_storage peer{};
    socklen_t size = sizeof peer;
    if (getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &size) == 0 &&
        (peer.ss_family == AF_INET || peer.ss_family == AF_INET6)) {
      flows.push_back(fd);
    }
  }
  closedir(open);
  return flows;
}

// Ends all TCP connections of this process behind the plugin's back; how many
// there were.
size_t CutFlows(Cut how) {
  const std::vector<int> flows = OwnFlows();
  for (const int fd : flows) {
    sockaddr nobody{};
    nobody.sa_family = AF_UNSPEC;
    if (how == Cut::kReset) {
      connect(fd, &nobody, sizeof nobody);  // which resets
    } else {
      shutdown(fd, SHUT_RDWR);
    }
  }
  return flows.size();
}

// What may be on its way at once is less than 20 messages of kMessage.
constexpr size_t kMessage = size_t{512} << 10;

std::vector<Rank> TwoSitesWithLittleRoom() {
  std::vector<Rank> ranks = TwoSites();
  for (Rank& rank : ranks) {
    rank.environment["LONGHAUL_WAN_POOL"] = "4M";
    rank.environment["LONGHAUL_WAN_RETENTION"] = "4M";
    rank.environment["LONGHAUL_TIMEOUT"] = "30s";
  }
  return ranks;
}

std::vector<size_t> ManySizes() {
  std::vector<size_t> sizes(120, kMessage);
  for (size_t i = 5; i < sizes.size(); i += 10) sizes[i] = i % 3;
  return sizes;
}

// A proxy's callback that cuts before some messages, so far apart that the
// connection must be there again.
SlotFn CuttingAt(std::vector<size_t> when, Cut how, SlotFn then) {
  return [when = std::move(when), how, then = std::move(then)](
             size_t index, std::span<std::byte> slot) {
    if (std::find(when.begin(), when.end(), index) != when.end()) {
      EXPECT_GT(CutFlows(how), 0u) << "at message " << index;
    }
    then(index, slot);
  };
}

class NetLostTest : public testing::TestWithParam<Cut> {};

INSTANTIATE_TEST_SUITE_P(Both, NetLostTest,
                         testing::Values(Cut::kReset, Cut::kShutdown),
                         [](const auto& cut) {
                           return cut.param == Cut::kReset ? "Reset"
                                                           : "Shutdown";
                         });

TEST_P(NetLostTest, EveryMessageArrivesThoughTheSenderLosesItsFlows) {
  RunProcesses(TwoSitesWithLittleRoom(), [](Process& process) {
    const std::vector<size_t> sizes = ManySizes();
    NetEnd end(kNewestNet);
    const OneWay way = ConnectOneWay(&end, &process);
    if (process.rank() == 0) {
      SendProxy proxy(end.net(), way.comm, sizes,
                      CuttingAt({20, 50, 80}, GetParam(), Filling(1)));
      EXPECT_EQ(Drive(&proxy), kOk);
    } else {
      Stream(&end, &process, way.comm, sizes);
    }
    process.Barrier();
    CloseOneWay(&end, &process, way);
  });
}

TEST_P(NetLostTest, EveryMessageArrivesThoughTheReceiverLosesItsFlows) {
  RunProcesses(TwoSitesWithLittleRoom(), [](Process& process) {
    const std::vector<size_t> sizes = ManySizes();
    NetEnd end(kNewestNet);
    const OneWay way = ConnectOneWay(&end, &process);
    if (process.rank() == 1) {
      RecvProxy proxy(end.net(), way.comm, sizes, kMessage,
                      CuttingAt({20, 50, 80}, GetParam(), Checking(1, sizes)));
      EXPECT_EQ(Drive(&proxy), kOk);
    } else {
      Stream(&end, &process, way.comm, sizes);
    }
    process.Barrier();
    CloseOneWay(&end, &process, way);
  });
}

// A row of connections, of which one is opened while there is no flow.
TEST_P(NetLostTest, ConnectionsAreMadeAndUsedAcrossALoss) {
  RunProcesses(TwoSitesWithLittleRoom(), [](Process& process) {
    NetEnd end(kNewestNet);
    const OneWay before = ConnectOneWay(&end, &process);
    Stream(&end, &process, before.comm, {10, 100'000});
    process.Barrier();  // nothing is under way
    if (process.rank() == 0) {
      EXPECT_GT(CutFlows(GetParam()), 0u);
    }
    const OneWay after = ConnectOneWay(&end, &process);
    Stream(&end, &process, after.comm, {0, 400'000, 1}, 1, 2);
    Stream(&end, &process, before.comm, {300'000, 0}, 1, 3);
    process.Barrier();
    CloseOneWay(&end, &process, before);
    CloseOneWay(&end, &process, after);
  });
}

// Much less than the LONGHAUL_TIMEOUT of 30 s that a line may be cut for.
constexpr auto kSoon = std::chrono::seconds(10);

// Rank `victim` is killed in the middle of a stream by the other, which must
// hear of it soon.
void ExpectDeathIsNoticed(int victim) {
  std::vector<Rank> ranks = TwoSitesWithLittleRoom();
  ranks[static_cast<size_t>(victim)].ending = Ending::kDies;
  RunProcesses(ranks, [victim](Process& process) {
    const std::vector<size_t> sizes(100'000, kMessage);
    NetEnd end(kNewestNet);
    const OneWay way = ConnectOneWay(&end, &process);
    pid_t pid = getpid();
    if (process.rank() == victim) {
      process.Send(1 - victim, std::as_bytes(std::span(&pid, 1)));
      Stream(&end, &process, way.comm, sizes);
      return;
    }
    const std::vector<std::byte> theirs = process.Recv(victim);
    std::memcpy(&pid, theirs.data(), sizeof pid);
    std::chrono::steady_clock::time_point killed;
    const auto killing = [&](SlotFn then) -> SlotFn {
      return
          [&, then = std::move(then)](size_t index, std::span<std::byte> slot) {
            if (index == 50) {
              killed = std::chrono::steady_clock::now();
              EXPECT_EQ(kill(pid, SIGKILL), 0);
            }
            then(index, slot);
          };
    };
    if (victim == 1) {
      SendProxy proxy(end.net(), way.comm, sizes, killing(Filling(1)));
      EXPECT_NE(Drive(&proxy), kOk);
    } else {
      RecvProxy proxy(end.net(), way.comm, sizes, kMessage,
                      killing(Checking(1, sizes)));
      EXPECT_NE(Drive(&proxy), kOk);
    }
    EXPECT_LT(std::chrono::steady_clock::now() - killed, kSoon);
    CloseOneWay(&end, &process, way);
  });
}

TEST(NetDeathTest, AKilledReceiverIsNoticedSoon) { ExpectDeathIsNoticed(1); }
TEST(NetDeathTest, AKilledSenderIsNoticedSoon) { ExpectDeathIsNoticed(0); }

}  // namespace
}  // namespace longhaul::nccl
