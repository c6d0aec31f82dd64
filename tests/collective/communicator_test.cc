// The public API over real TCP on the loopback interface.

#include <longhaul/longhaul.h>
#include <sys/wait.h>

#include <atomic>
#include <csignal>
#include <cstring>
#include <fstream>
#include <numeric>
#include <random>
#include <unordered_map>

#include "base/crc32c.h"
#include "compute/convert.h"
#include "support/job.h"

namespace longhaul {
namespace {

using std::chrono::seconds;

/// Element `i` of rank `r`: small integers, so that every type holds the exact
/// sum and product of four ranks.
int Value(int r, size_t i) { return 1 + (r + static_cast<int>(i % 3)) % 3; }

int Expected(ReduceOp op, int size, size_t i) {
  int result = Value(0, i);
  for (int r = 1; r < size; ++r) {
    const int v = Value(r, i);
    switch (op) {
      case ReduceOp::kSum:
      case ReduceOp::kAvg:
        result += v;
        break;
      case ReduceOp::kProd:
        result *= v;
        break;
      case ReduceOp::kMax:
        result = std::max(result, v);
        break;
      case ReduceOp::kMin:
        result = std::min(result, v);
        break;
    }
  }
  return result;
}

void Store(DataType type, uint8_t* at, int value) {
  const auto put = [at](auto v) { std::memcpy(at, &v, sizeof v); };
  switch (type) {
    case DataType::kInt8:
      return put(static_cast<int8_t>(value));
    case DataType::kUint8:
      return put(static_cast<uint8_t>(value));
    case DataType::kInt32:
      return put(static_cast<int32_t>(value));
    case DataType::kUint32:
      return put(static_cast<uint32_t>(value));
    case DataType::kInt64:
      return put(static_cast<int64_t>(value));
    case DataType::kUint64:
      return put(static_cast<uint64_t>(value));
    case DataType::kFloat32:
      return put(static_cast<float>(value));
    case DataType::kFloat64:
      return put(static_cast<double>(value));
    case DataType::kFloat16:
      return put(F16FromF32(static_cast<float>(value)));
    case DataType::kBfloat16:
      return put(Bf16FromF32(static_cast<float>(value)));
  }
}

double Load(DataType type, const uint8_t* at) {
  const auto get = [at](auto v) {
    std::memcpy(&v, at, sizeof v);
    return static_cast<double>(v);
  };
  switch (type) {
    case DataType::kInt8:
      return get(int8_t{});
    case DataType::kUint8:
      return get(uint8_t{});
    case DataType::kInt32:
      return get(int32_t{});
    case DataType::kUint32:
      return get(uint32_t{});
    case DataType::kInt64:
      return get(int64_t{});
    case DataType::kUint64:
      return get(uint64_t{});
    case DataType::kFloat32:
      return get(float{});
    case DataType::kFloat64:
      return get(double{});
    case DataType::kFloat16: {
      uint16_t bits = 0;
      std::memcpy(&bits, at, sizeof bits);
      return F32FromF16(bits);
    }
    case DataType::kBfloat16: {
      uint16_t bits = 0;
      std::memcpy(&bits, at, sizeof bits);
      return F32FromBf16(bits);
    }
  }
  return 0;
}

void CheckEveryTypeAndOp(Communicator& world) {
  constexpr size_t kCount = 1003;
  for (int t = 0; t < kDataTypeCount; ++t) {
    const auto type = static_cast<DataType>(t);
    for (int o = 0; o < kReduceOpCount; ++o) {
      const auto op = static_cast<ReduceOp>(o);
      std::vector<uint8_t> in(kCount * SizeOf(type));
      std::vector<uint8_t> out(in.size(), 0xee);
      for (size_t i = 0; i < kCount; ++i) {
        Store(type, &in[i * SizeOf(type)], Value(world.rank(), i));
      }
      const Status status =
          world.AllReduce(in.data(), out.data(), kCount, type, op).Wait();
      ASSERT_TRUE(status.ok()) << status.ToString();
      for (size_t i = 0; i < kCount; ++i) {
        const int exact = Expected(op, world.size(), i);
        const double got = Load(type, &out[i * SizeOf(type)]);
        const int whole = exact / world.size();
        double expected = exact;
        if (op == ReduceOp::kAvg) {
          const bool real =
              type == DataType::kFloat32 || type == DataType::kFloat64 ||
              type == DataType::kFloat16 || type == DataType::kBfloat16;
          expected = real ? static_cast<double>(exact) / world.size() : whole;
        }
        ASSERT_NEAR(got, expected, 0.01)
            << NameOf(type) << " " << NameOf(op) << " element " << i;
      }
    }
  }
}

TEST(CommunicatorTest, EveryTypeAndOperatorWithinASite) {
  RunJob({3}, CheckEveryTypeAndOp);
}

TEST(CommunicatorTest, EveryTypeAndOperatorAcrossSites) {
  RunJob({2, 2}, CheckEveryTypeAndOp);
}

TEST(CommunicatorTest, UnevenSitesAndTheRing) {
  RunJob({2, 1, 1}, CheckEveryTypeAndOp);
  RunJob({2, 2}, CheckEveryTypeAndOp,
         [](Options& o) { o.algo = Algorithm::kRing; });
}

void SumInPlace(Communicator& world, size_t count, int rounds) {
  std::vector<float> data(count);
  for (int round = 0; round < rounds; ++round) {
    for (size_t i = 0; i < count; ++i) {
      data[i] = static_cast<float>((world.rank() + 1) * (round + 1)) +
                static_cast<float>(i % 512);
    }
    const Status status = world
                              .AllReduce(data.data(), data.data(), count,
                                         DataType::kFloat32, ReduceOp::kSum)
                              .Wait();
    ASSERT_TRUE(status.ok()) << status.ToString();
    const int n = world.size();
    const int first = n * (n + 1) / 2 * (round + 1);
    for (size_t i = 0; i < count; ++i) {
      ASSERT_EQ(data[i],
                static_cast<float>(first) +
                    static_cast<float>(n) * static_cast<float>(i % 512))
          << "round " << round << ", element " << i;
    }
  }
}

TEST(CommunicatorTest, LargeVectorsInPlace) {
  RunJob({2, 2}, [](Communicator& world) { SumInPlace(world, 3'000'001, 3); });
}

// Two paths on one interface: its addresses of either version of IP.
void OverTwoPaths(Options& options) {
  options.address_family = AddressFamily::kAuto;
  options.paths = {{"127.0.0.1", "127.0.0.1"}, {"::1", "::1"}};
  options.wan_flows = 2;
}

TEST(CommunicatorTest, AJobOverTwoPaths) {
  Options options = JobOptions(FreePort());
  OverTwoPaths(options);
  options.address_family = AddressFamily::kIpv6;
  if (!Context::Create(options).ok()) GTEST_SKIP() << "no IPv6";
  RunJob(
      {2, 1},
      [](Communicator& world) {
        SumInPlace(world, 300'001, 3);
        for (const PeerCounters& peer : world.Counters()) {
          if (peer.rank == world.rank()) continue;
          EXPECT_EQ(peer.flows, peer.same_site ? 1u : 4u) << peer.rank;
        }
        // Whoever leaves takes its flows along.
        EXPECT_TRUE(world.Barrier().Wait().ok());
      },
      OverTwoPaths);
}

TEST(CommunicatorTest, PathsThatAreNotThereAreToldWithWhatIs) {
  const uint16_t port = FreePort();
  std::vector<std::thread> ranks;
  for (int rank = 0; rank < 2; ++rank) {
    ranks.emplace_back([port, rank] {
      Options options = JobOptions(port);
      options.rank = rank;
      options.world_size = 2;
      options.site = SiteName(static_cast<size_t>(rank));
      options.paths = {{"p0", "p0"}};
      const auto context = Context::Create(options);
      ASSERT_TRUE(context.ok());
      const auto world = Communicator::Create(**context);
      ASSERT_FALSE(world.ok());
      EXPECT_EQ(world.status().code(), StatusCode::kInvalidArgument);
      EXPECT_THAT(world.status().text(), testing::HasSubstr("lo 127.0.0.1"));
      EXPECT_THAT(world.status().text(),
                  testing::HasSubstr("LONGHAUL_PATHS (p0)"));
    });
  }
  for (std::thread& rank : ranks) rank.join();
}

TEST(CommunicatorTest, SixteenBitSumsHaveTheSameBitsEverywhere) {
  std::vector<std::vector<uint16_t>> results(5);
  RunJob({2, 3}, [&](Communicator& world) {
    std::vector<uint16_t> data(50'000);
    for (size_t i = 0; i < data.size(); ++i) {
      const auto seed = static_cast<uint32_t>(i * 2654435761u) +
                        static_cast<uint32_t>(world.rank()) * 40503u;
      data[i] = Bf16FromF32(static_cast<float>(seed % 10007) / 97.0f - 50);
    }
    ASSERT_TRUE(world
                    .AllReduce(data.data(), data.data(), data.size(),
                               DataType::kBfloat16, ReduceOp::kSum)
                    .Wait()
                    .ok());
    results[static_cast<size_t>(world.rank())] = data;
  });
  for (size_t r = 1; r < results.size(); ++r) EXPECT_EQ(results[r], results[0]);
}

TEST(CommunicatorTest, SeveralFlowsPerPeer) {
  RunJob(
      {2, 2}, [](Communicator& world) { SumInPlace(world, 1'000'000, 2); },
      [](Options& o) { o.wan_flows = 4; });
}

TEST(CommunicatorTest, ManyRequestsInFlight) {
  RunJob({1, 1}, [](Communicator& world) {
    std::vector<std::vector<int>> data(100, std::vector<int>(1000, 1));
    std::vector<Request> requests;
    for (auto& vector : data) {
      requests.push_back(world.AllReduce(vector.data(), vector.data(),
                                         vector.size(), DataType::kInt32,
                                         ReduceOp::kSum));
    }
    for (Request& request : requests) ASSERT_TRUE(request.Wait().ok());
    for (const auto& vector : data) {
      for (const int value : vector) ASSERT_EQ(value, 2);
    }
  });
}

TEST(CommunicatorTest, TooManyRequestsAreRefusedNotLost) {
  RunJob({2}, [](Communicator& world) {
    std::vector<Request> requests;
    for (int i = 0; i < Communicator::kMaxRequests; ++i) {
      requests.push_back(world.Barrier());
    }
    EXPECT_EQ(world.Barrier().Wait().code(), StatusCode::kExhausted);
    for (Request& request : requests) EXPECT_TRUE(request.Wait().ok());
    requests.clear();
    EXPECT_TRUE(world.Barrier().Wait().ok());
  });
}

TEST(CommunicatorTest, SeveralCommunicatorsShareAContext) {
  const uint16_t port = FreePort();
  std::vector<std::thread> threads;
  for (int rank = 0; rank < 4; ++rank) {
    threads.emplace_back([rank, port] {
      Options options = JobOptions(port);
      options.rank = rank;
      options.world_size = 4;
      options.site = SiteName(rank < 2 ? 0 : 1);
      auto context = Context::Create(options);
      ASSERT_TRUE(context.ok()) << context.status().ToString();
      auto world = Communicator::Create(**context);
      ASSERT_TRUE(world.ok()) << world.status().ToString();
      CommunicatorConfig pair;
      pair.name = rank % 2 == 0 ? "even" : "odd";
      pair.rank = rank / 2;
      pair.size = 2;
      auto half = Communicator::Create(**context, pair);
      ASSERT_TRUE(half.ok()) << half.status().ToString();
      auto again = Communicator::Create(**context);
      ASSERT_TRUE(again.ok()) << again.status().ToString();
      SumInPlace(**half, 10'000, 2);
      SumInPlace(**world, 10'000, 2);
      world->reset();
      SumInPlace(**again, 10'000, 2);
    });
  }
  for (std::thread& thread : threads) thread.join();
}

/// Two names whose first communicators have keys of the same CRC-32C.
std::pair<std::string, std::string> CollidingNames() {
  std::mt19937_64 random(1);
  std::unordered_map<uint32_t, std::string> seen;
  for (;;) {
    const std::string name = std::to_string(random());
    const std::string key = name + "#0";
    const auto [at, added] = seen.emplace(Crc32c(key.data(), key.size()), name);
    if (!added) return {at->second, name};
  }
}

// Whatever a communicator's id is made of: no checksum of its name.
TEST(CommunicatorTest, CommunicatorsStayApartWhateverTheirNames) {
  const auto names = CollidingNames();
  const uint16_t port = FreePort();
  std::vector<std::thread> ranks;
  for (int rank = 0; rank < 2; ++rank) {
    ranks.emplace_back([&, rank] {
      Options options = JobOptions(port);
      options.rank = rank;
      options.world_size = 2;
      auto context = Context::Create(options);
      ASSERT_TRUE(context.ok()) << context.status().ToString();
      CommunicatorConfig config;
      config.name = names.first;
      auto first = Communicator::Create(**context, config);
      ASSERT_TRUE(first.ok()) << first.status().ToString();
      config.name = names.second;
      auto second = Communicator::Create(**context, config);
      ASSERT_TRUE(second.ok()) << second.status().ToString();
      SumInPlace(**first, 10'000, 2);
      SumInPlace(**second, 10'000, 2);
    });
  }
  for (std::thread& rank : ranks) rank.join();
}

TEST(CommunicatorTest, SeveralRanksShareAProcess) {
  const uint16_t port = FreePort();
  std::vector<std::thread> processes;
  for (int process = 0; process < 2; ++process) {
    processes.emplace_back([process, port] {
      Options options = JobOptions(port);
      options.site = SiteName(process == 0 ? 0 : 1);
      auto context = Context::Create(options);
      ASSERT_TRUE(context.ok()) << context.status().ToString();
      std::vector<std::thread> ranks;
      for (int local = 0; local < 2; ++local) {
        ranks.emplace_back([&, local] {
          CommunicatorConfig config;
          config.rank = process * 2 + local;
          config.size = 4;
          auto world = Communicator::Create(**context, config);
          ASSERT_TRUE(world.ok()) << world.status().ToString();
          SumInPlace(**world, 200'000, 3);
        });
      }
      for (std::thread& rank : ranks) rank.join();
    });
  }
  for (std::thread& process : processes) process.join();
}

TEST(CommunicatorTest, OneRankNeedsNoOneElse) {
  Options options = JobOptions(1);
  options.rendezvous.clear();
  options.rank = 0;
  options.world_size = 1;
  auto context = Context::Create(options);
  ASSERT_TRUE(context.ok()) << context.status().ToString();
  auto world = Communicator::Create(**context);
  ASSERT_TRUE(world.ok()) << world.status().ToString();
  SumInPlace(**world, 100'000, 2);
}

TEST(CommunicatorTest, DisagreementIsNamedOnEveryRank) {
  RunJob({2, 2}, [](Communicator& world) {
    std::vector<float> data(100'000, 1.0f);
    const size_t count = world.rank() == 3 ? 50'000 : 100'000;
    const Status status = world
                              .AllReduce(data.data(), data.data(), count,
                                         DataType::kFloat32, ReduceOp::kSum)
                              .Wait();
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
    EXPECT_NE(status.text().find("50000"), std::string::npos) << status.text();
    EXPECT_NE(status.text().find("100000"), std::string::npos) << status.text();
    // The communicator is none the worse.
    SumInPlace(world, 1000, 1);
  });
}

/// What Communicator::Create says on each rank, one per topology file.
std::vector<Status> CreateWithFiles(const std::vector<std::string>& files) {
  const uint16_t port = FreePort();
  std::vector<Status> said(files.size());
  std::vector<std::thread> ranks;
  for (size_t rank = 0; rank < files.size(); ++rank) {
    ranks.emplace_back([&, rank] {
      Options options = JobOptions(port);
      options.rank = static_cast<Rank>(rank);
      options.world_size = static_cast<Rank>(files.size());
      options.site = SiteName(rank % 2);
      options.topology = files[rank];
      auto context = Context::Create(options);
      ASSERT_TRUE(context.ok()) << context.status().ToString();
      said[rank] = Communicator::Create(**context).status();
    });
  }
  for (std::thread& rank : ranks) rank.join();
  return said;
}

TEST(CommunicatorTest, AnotherTopologyFileIsNamedOnEveryRank) {
  const auto write = [](const char* name, const char* text) {
    std::string path = testing::TempDir() + name;
    std::ofstream(path) << text;
    return path;
  };
  const std::string file =
      write("longhaul_file.toml", "[[site]]\nname = 'site0'\n");
  const std::string same =
      write("longhaul_same.toml", "[[site]] # here\nname = \"site0\"\n");
  const std::string other = write(
      "longhaul_other.toml",
      "[[site]]\nname = 'site0'\nwan = { up = '1gbit', down = '1gbit' }\n");
  struct Case {
    std::vector<std::string> files;
    const char* reason;
  };
  for (const Case& c : std::vector<Case>{
           {{file, same, other}, "rank 2's differs from rank 0's"},
           {{file, "", file}, "rank 1 has none, rank 0 has one"},
           {{"", "", file}, "rank 2 has one, rank 0 has none"}}) {
    for (const Status& status : CreateWithFiles(c.files)) {
      EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
      EXPECT_NE(status.text().find(c.reason), std::string::npos)
          << status.text();
    }
  }
  for (const Status& status : CreateWithFiles({file, same, file})) {
    EXPECT_TRUE(status.ok()) << status.ToString();
  }
}

TEST(CommunicatorTest, BadArgumentsAreRefusedWithAReason) {
  RunJob({1, 1}, [](Communicator& world) {
    float data[8] = {};
    EXPECT_EQ(
        world.AllReduce(nullptr, data, 8, DataType::kFloat32, ReduceOp::kSum)
            .Wait()
            .code(),
        StatusCode::kInvalidArgument);
    EXPECT_EQ(
        world.AllReduce(data, data + 2, 4, DataType::kFloat32, ReduceOp::kSum)
            .Wait()
            .code(),
        StatusCode::kInvalidArgument);
    EXPECT_EQ(world
                  .AllReduce(data, data, SIZE_MAX / 2, DataType::kFloat32,
                             ReduceOp::kSum)
                  .Wait()
                  .code(),
              StatusCode::kInvalidArgument);
    EXPECT_EQ(
        world
            .AllReduce(data, data, 8, static_cast<DataType>(99), ReduceOp::kSum)
            .Wait()
            .code(),
        StatusCode::kInvalidArgument);
    EXPECT_EQ(
        world
            .AllReduce(ConstBuffer(data, 8, MemoryKind::kCuda, 0),
                       Buffer{data, 8}, DataType::kFloat32, ReduceOp::kSum)
            .Wait()
            .code(),
        StatusCode::kUnsupported);
    EXPECT_TRUE(world.Barrier().Wait().ok());
  });
}

TEST(CommunicatorTest, WhoIsMissingIsNamed) {
  Options options = JobOptions(FreePort());
  options.rank = 0;
  options.world_size = 3;
  options.connect_timeout = std::chrono::milliseconds(300);
  auto context = Context::Create(options);
  ASSERT_TRUE(context.ok());
  auto world = Communicator::Create(**context);
  ASSERT_FALSE(world.ok());
  EXPECT_EQ(world.status().code(), StatusCode::kTimedOut);
  EXPECT_NE(world.status().text().find("1"), std::string::npos);
  EXPECT_NE(world.status().text().find("2"), std::string::npos);
}

TEST(CommunicatorTest, WithoutRankOrRendezvousTheTextSaysWhatToSet) {
  Options options = JobOptions(1);
  auto context = Context::Create(options);
  ASSERT_TRUE(context.ok());
  const auto world = Communicator::Create(**context);
  ASSERT_FALSE(world.ok());
  EXPECT_NE(world.status().text().find("LONGHAUL_RANK"), std::string::npos);
  CommunicatorConfig config;
  config.rank = 0;
  config.size = 2;
  Options none = JobOptions(1);
  none.rendezvous.clear();
  auto second = Context::Create(none);
  ASSERT_TRUE(second.ok());
  const auto lost = Communicator::Create(**second, config);
  ASSERT_FALSE(lost.ok());
  EXPECT_NE(lost.status().text().find("LONGHAUL_RENDEZVOUS"),
            std::string::npos);
}

TEST(CommunicatorTest, StrangersOnThePortHarmNobody) {
  const uint16_t data_port = FreePort();
  RunJob(
      {1, 1},
      [&](Communicator& world) {
        if (world.rank() == 0) {
          for (int i = 0; i < 20; ++i) {
            const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
            sockaddr_in to{};
            to.sin_family = AF_INET;
            to.sin_port = htons(data_port);
            to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
            if (::connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to) ==
                0) {
              const char text[] = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
              (void)!::send(fd, text, sizeof text - 1, MSG_NOSIGNAL);
            }
            ::close(fd);
          }
        }
        SumInPlace(world, 100'000, 3);
      },
      [&](Options& options) {
        if (*options.rank == 0) {
          options.port_range = PortRange{data_port, data_port};
        }
      });
}

/// Runs one rank in a process of its own.
pid_t Spawn(int rank, int size, uint16_t port,
            const std::function<void(Communicator&)>& body) {
  const pid_t pid = ::fork();
  if (pid != 0) return pid;
  Options options = JobOptions(port);
  options.rank = rank;
  options.world_size = size;
  options.site = SiteName(rank % 2 == 0 ? 0 : 1);
  options.timeout = seconds(10);
  {
    auto context = Context::Create(options);
    if (!context.ok()) ::_exit(10);
    auto world = Communicator::Create(**context);
    if (!world.ok()) ::_exit(11);
    body(**world);
  }
  ::_exit(testing::Test::HasFailure() ? 12 : 0);
}

int WaitFor(pid_t pid) {
  int status = 0;
  ::waitpid(pid, &status, 0);
  return status;
}

TEST(CommunicatorTest, AKilledRankIsUnreachableForTheOthers) {
  const uint16_t port = FreePort();
  std::vector<pid_t> pids;
  for (int rank = 0; rank < 3; ++rank) {
    pids.push_back(Spawn(rank, 3, port, [](Communicator& world) {
      SumInPlace(world, 1000, 1);
      // Its own sum being there, a rank may still owe others theirs; when it is
      // through the barrier, all have called it, and so have theirs.
      (void)world.Barrier().Wait();
      if (world.rank() == 2) ::raise(SIGKILL);
      std::vector<float> data(1'000'000);
      for (int i = 0; i < 2; ++i) {
        const Status status =
            world
                .AllReduce(data.data(), data.data(), data.size(),
                           DataType::kFloat32, ReduceOp::kSum)
                .Wait(seconds(30));
        EXPECT_EQ(status.code(), StatusCode::kUnreachable) << status.ToString();
      }
    }));
  }
  EXPECT_TRUE(WIFSIGNALED(WaitFor(pids[2])));
  EXPECT_EQ(WaitFor(pids[0]), 0);
  EXPECT_EQ(WaitFor(pids[1]), 0);
}

TEST(CommunicatorTest, LeavingRightAfterTheLastOperationHarmsNobody) {
  for (int round = 0; round < 5; ++round) {
    const uint16_t port = FreePort();
    std::vector<pid_t> pids;
    for (int rank = 0; rank < 4; ++rank) {
      pids.push_back(Spawn(rank, 4, port, [](Communicator& world) {
        SumInPlace(world, 500'000, 2);
      }));
    }
    for (const pid_t pid : pids) EXPECT_EQ(WaitFor(pid), 0);
  }
}

TEST(CommunicatorTest, DroppingARequestWaitsForIt) {
  RunJob({1, 1}, [](Communicator& world) {
    std::vector<int> data(300'000, 1);
    {
      const Request request =
          world.AllReduce(data.data(), data.data(), data.size(),
                          DataType::kInt32, ReduceOp::kSum);
    }
    for (const int value : data) ASSERT_EQ(value, 2);
  });
}

TEST(CommunicatorTest, WaitWithPatienceDoesNotEndTheOperation) {
  std::atomic<bool> seen{false};
  RunJob({1, 1}, [&](Communicator& world) {
    if (world.rank() == 0) {
      Request barrier = world.Barrier();
      EXPECT_EQ(barrier.Wait(std::chrono::milliseconds(20)).code(),
                StatusCode::kTimedOut);
      EXPECT_FALSE(barrier.Done());
      seen = true;
      seen.notify_all();
      EXPECT_TRUE(barrier.Wait().ok());
    } else {
      seen.wait(false);
      EXPECT_TRUE(world.Barrier().Wait().ok());
    }
  });
}

}  // namespace
}  // namespace longhaul
