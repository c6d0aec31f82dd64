// A job of real ranks in one process: each on a thread of its own, with a
// context of its own, over TCP on the loopback interface.
#pragma once

#include <arpa/inet.h>
#include <longhaul/longhaul.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <functional>
#include <random>
#include <string>
#include <thread>
#include <vector>

namespace longhaul {

/// A port that was free a moment ago, below those that the kernel gives to
/// outgoing connections.
inline uint16_t FreePort() {
  std::random_device random;
  for (;;) {
    const auto port = static_cast<uint16_t>(15'000 + random() % 15'000);
    const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    const bool free =
        ::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
    ::close(fd);
    if (free) return port;
  }
}

/// Options for a job on the loopback interface that ignores the environment.
inline Options JobOptions(uint16_t port) {
  Options options;
  options.rendezvous = "127.0.0.1:" + std::to_string(port);
  options.interfaces.names = {"lo"};
  options.address_family = AddressFamily::kIpv4;
  options.timeout = std::chrono::seconds(20);
  options.connect_timeout = std::chrono::seconds(60);
  options.warmup = 0;
  return options;
}

inline std::string SiteName(size_t site) {
  return "site" + std::to_string(site);
}

/// Runs `body` once per rank, `sites[i]` ranks in site i; each gets its
/// communicator.
inline void RunJob(const std::vector<int>& sites,
                   const std::function<void(Communicator&)>& body,
                   const std::function<void(Options&)>& tweak = {}) {
  const uint16_t port = FreePort();
  int size = 0;
  for (const int ranks : sites) size += ranks;
  std::vector<std::thread> threads;
  int rank = 0;
  for (size_t site = 0; site < sites.size(); ++site) {
    for (int i = 0; i < sites[site]; ++i, ++rank) {
      threads.emplace_back([&, site, rank] {
        Options options = JobOptions(port);
        options.rank = rank;
        options.world_size = size;
        options.site = SiteName(site);
        if (tweak) tweak(options);
        Result<std::unique_ptr<Context>> context = Context::Create(options);
        ASSERT_TRUE(context.ok()) << context.status().ToString();
        Result<std::unique_ptr<Communicator>> world =
            Communicator::Create(**context);
        ASSERT_TRUE(world.ok()) << world.status().ToString();
        body(**world);
      });
    }
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace longhaul
