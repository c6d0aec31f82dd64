// The network as NCCL uses it in a healthy job, in every version.
#include <algorithm>
#include <cctype>
#include <set>

#include "plugin/driver/collnet_table.h"
#include "plugin/net_end.h"

namespace longhaul::nccl {
namespace {

class NetTest : public testing::TestWithParam<int> {};

std::string NameOfVersion(const testing::TestParamInfo<int>& info) {
  return "v" + std::to_string(info.param);
}

INSTANTIATE_TEST_SUITE_P(Every, NetTest,
                         testing::Range(kOldestNet, kNewestNet + 1),
                         NameOfVersion);

std::vector<size_t> Mixed() {
  std::vector<size_t> sizes = {0, 1, 7, 8, 4096, 0, 0, 100'003, 524'288};
  for (size_t i = 0; i < 40; ++i) sizes.push_back(i * 7'919 % 200'000);
  sizes.push_back(1 << 20);
  sizes.push_back(0);
  return sizes;
}

TEST_P(NetTest, HasEveryFunctionAndSaysWhoItIs) {
  RunProcesses(InSites({"paris"}), [](Process&) {
    NetEnd end(GetParam());
    EXPECT_TRUE(end->whole());
    std::string name = end->name();
    std::transform(name.begin(), name.end(), name.begin(),
                   [](unsigned char c) { return std::tolower(c); });
    EXPECT_EQ(name, "longhaul");
  });
}

TEST_P(NetTest, DevicesAreWhatNcclCanUse) {
  RunProcesses(InSites({"paris"}), [](Process&) {
    NetEnd end(GetParam());
    int count = 0;
    ASSERT_EQ(end->Devices(&count), kOk);
    ASSERT_GE(count, 1);
    ASSERT_LT(count, 32);
    std::set<std::string> names;
    for (int device = 0; device < count; ++device) {
      abi::PropertiesV12 properties{};
      ASSERT_EQ(end->GetProperties(device, &properties), kOk);
      ASSERT_NE(properties.name, nullptr);
      EXPECT_TRUE(names.insert(properties.name).second) << properties.name;
      EXPECT_EQ(properties.ptr_support, abi::kPtrHost);
      EXPECT_EQ(properties.reg_is_global, 0);
      EXPECT_EQ(properties.max_recvs, 1);
      EXPECT_EQ(properties.net_device_type, 0);
      EXPECT_GT(properties.speed, 0);
      EXPECT_GE(properties.latency, 0);
      EXPECT_GE(properties.max_comms, 1024);
      if (GetParam() < 9) continue;
      EXPECT_GT(properties.max_p2p_bytes, 0U);
      EXPECT_LE(properties.max_p2p_bytes, abi::kMaxNetBytes);
      EXPECT_GT(properties.max_coll_bytes, 0U);
      EXPECT_LE(properties.max_coll_bytes, abi::kMaxNetBytes);
      EXPECT_EQ(properties.virtual_device.count, 1);
      EXPECT_EQ(properties.virtual_device.devices[0], device);
    }
    abi::PropertiesV12 properties{};
    EXPECT_NE(end->GetProperties(count, &properties), kOk);
    EXPECT_NE(end->GetProperties(-1, &properties), kOk);
  });
}

// NCCL merges the devices of both by name, and takes the index of one.
TEST_P(NetTest, CollNetHasTheSameDevices) {
  RunProcesses(InSites({"paris"}), [](Process&) {
    NetEnd end(GetParam());
    const Library library = Library::Open(LONGHAUL_PLUGIN_PATH).value();
    const auto collnet = FindCollNet(library, GetParam());
    ASSERT_NE(collnet, nullptr);
    void* context = nullptr;
    ASSERT_EQ(collnet->Init(&context, 1, nullptr), kOk);
    int count = 0;
    int collnet_count = 0;
    ASSERT_EQ(end->Devices(&count), kOk);
    ASSERT_EQ(collnet->Devices(&collnet_count), kOk);
    ASSERT_EQ(count, collnet_count);
    for (int device = 0; device < count; ++device) {
      abi::PropertiesV12 a{};
      abi::PropertiesV12 b{};
      ASSERT_EQ(end->GetProperties(device, &a), kOk);
      ASSERT_EQ(collnet->GetProperties(device, &b), kOk);
      EXPECT_STREQ(a.name, b.name);
      EXPECT_EQ(a.ptr_support, b.ptr_support);
      EXPECT_EQ(a.guid, b.guid);
      EXPECT_EQ(a.speed, b.speed);
    }
    EXPECT_EQ(collnet->Finalize(context), kOk);
  });
}

TEST_P(NetTest, OnlyHostMemoryIsRegistered) {
  RunProcesses(OneSite(), [](Process& process) {
    NetEnd end(GetParam());
    const OneWay way = ConnectOneWay(&end, &process);
    std::vector<std::byte> memory(1 << 20);
    void* mr = nullptr;
    EXPECT_EQ(
        end->RegMr(way.comm, memory.data(), memory.size(), abi::kPtrHost, &mr),
        kOk);
    EXPECT_EQ(end->DeregMr(way.comm, mr), kOk);
    EXPECT_NE(
        end->RegMr(way.comm, memory.data(), memory.size(), abi::kPtrCuda, &mr),
        kOk);
    process.Barrier();
    CloseOneWay(&end, &process, way);
  });
}

TEST_P(NetTest, StreamsWithinASite) {
  RunProcesses(OneSite(), [](Process& process) {
    NetEnd end(GetParam());
    const OneWay way = ConnectOneWay(&end, &process);
    Stream(&end, &process, way.comm, Mixed());
    process.Barrier();
    CloseOneWay(&end, &process, way);
  });
}

TEST_P(NetTest, StreamsBetweenSites) {
  RunProcesses(TwoSites(), [](Process& process) {
    NetEnd end(GetParam());
    const OneWay way = ConnectOneWay(&end, &process);
    Stream(&end, &process, way.comm, Mixed());
    process.Barrier();
    CloseOneWay(&end, &process, way);
  });
}

TEST_P(NetTest, ReceivesMayBeLargerThanTheMessages) {
  RunProcesses(TwoSites(), [](Process& process) {
    NetEnd end(GetParam());
    const OneWay way = ConnectOneWay(&end, &process);
    Stream(&end, &process, way.comm, {0, 1, 1000, 70'000, 0, 65'536, 9, 31},
           1 << 20);
    process.Barrier();
    CloseOneWay(&end, &process, way);
  });
}

// NCCL initialises once per communicator from v11 on; with older versions,
// others than NCCL may do so again.
TEST_P(NetTest, InitMayComeAgain) {
  RunProcesses(TwoSites(), [](Process& process) {
    NetEnd first(GetParam(), 1);
    {
      NetEnd second(GetParam(), 2);
      const OneWay way = ConnectOneWay(&second, &process);
      Stream(&second, &process, way.comm, {10, 20'000});
      process.Barrier();
      CloseOneWay(&second, &process, way);
    }
    const OneWay way = ConnectOneWay(&first, &process);
    Stream(&first, &process, way.comm, {30, 40'000});
    process.Barrier();
    CloseOneWay(&first, &process, way);
  });
}

// What NCCL does at most, and public test suites do at once.
TEST_P(NetTest, ThirtyTwoSendsAndReceivesAtATime) {
  RunProcesses(TwoSites(), [](Process& process) {
    constexpr size_t kBytes = 3000;
    NetEnd end(GetParam());
    const OneWay way = ConnectOneWay(&end, &process);
    std::vector<std::byte> memory(kBytes * abi::kMaxRequests);
    std::vector<void*> requests;
    for (size_t i = 0; i < abi::kMaxRequests; ++i) {
      const std::span slot(memory.data() + i * kBytes, kBytes);
      if (process.rank() == 0) {
        FillPattern(9, i, slot);
        requests.push_back(
            SendSoon(end.net(), way.comm, slot.data(), slot.size()));
      } else {
        requests.push_back(
            RecvSoon(end.net(), way.comm, slot.data(), slot.size()));
      }
    }
    for (size_t i = 0; i < abi::kMaxRequests; ++i) {
      EXPECT_EQ(Await(end.net(), requests[i]), static_cast<int>(kBytes));
      if (process.rank() == 0) continue;
      EXPECT_FALSE(FirstDifference(9, i, {memory.data() + i * kBytes, kBytes}))
          << i;
    }
    process.Barrier();
    CloseOneWay(&end, &process, way);
  });
}

// Both directions of both connections at the same time, from one thread, as
// NCCL's progress thread does.
TEST_P(NetTest, RingOfThree) {
  RunProcesses(InSites({"paris", "paris", "tokyo"}), [](Process& process) {
    NetEnd end(GetParam());
    Listener listener = end.Listen();
    const int next = (process.rank() + 1) % 3;
    const int previous = (process.rank() + 2) % 3;
    process.Send(previous, listener.handle.bytes());
    Handle handle = Handle::Of(process.Recv(next));
    void* send = nullptr;
    void* recv = nullptr;
    while (!send || !recv) {
      if (!send) {
        ASSERT_EQ(end->Connect(end.context(), 0, handle.data(), &send), kOk);
      }
      if (!recv) {
        ASSERT_EQ(end->Accept(listener.comm, &recv), kOk);
      }
      std::this_thread::yield();
    }
    ASSERT_EQ(end->CloseListen(listener.comm), kOk);
    {
      const auto own = static_cast<uint64_t>(process.rank());
      const auto theirs = static_cast<uint64_t>(previous);
      SendProxy sender(end.net(), send, Mixed(), Filling(own));
      RecvProxy receiver(end.net(), recv, Mixed(), 1,
                         Checking(theirs, Mixed()));
      while (!sender.done() || !receiver.done()) {
        ASSERT_EQ(sender.Step(), kOk);
        ASSERT_EQ(receiver.Step(), kOk);
        std::this_thread::yield();
      }
    }
    process.Barrier();
    EXPECT_EQ(end->CloseSend(send), kOk);
    EXPECT_EQ(end->CloseRecv(recv), kOk);
  });
}

TEST_P(NetTest, AListenerServesASecondConnection) {
  RunProcesses(TwoSites(), [](Process& process) {
    NetEnd end(GetParam());
    void* comms[2] = {};
    Listener listener;
    Handle handle;
    if (process.rank() == 0) {
      handle = Handle::Of(process.Recv(1));
    } else {
      listener = end.Listen();
      process.Send(0, listener.handle.bytes());
    }
    for (void*& comm : comms) {
      comm =
          process.rank() == 0 ? end.Connect(handle) : end.Accept(listener.comm);
      process.Barrier();
    }
    Stream(&end, &process, comms[1], {5, 50'000}, 1, 2);
    Stream(&end, &process, comms[0], {6, 60'000}, 1, 3);
    process.Barrier();
    for (void* comm : comms) {
      EXPECT_EQ(
          process.rank() == 0 ? end->CloseSend(comm) : end->CloseRecv(comm),
          kOk);
    }
    if (listener.comm) {
      EXPECT_EQ(end->CloseListen(listener.comm), kOk);
    }
  });
}

TEST_P(NetTest, ThirtyTwoCommsOnAsManyThreads) {
  RunProcesses(TwoSites(), [](Process& process) {
    constexpr size_t kComms = 32;
    const std::vector<size_t> sizes = {1, 0, 30'000, 65'536, 12, 9'999};
    NetEnd end(GetParam());
    std::vector<Listener> listeners(kComms);
    std::vector<Handle> handles(kComms);
    for (size_t i = 0; i < kComms; ++i) {
      if (process.rank() == 1) {
        listeners[i] = end.Listen();
        process.Send(0, listeners[i].handle.bytes());
      } else {
        handles[i] = Handle::Of(process.Recv(1));
      }
    }
    std::vector<std::thread> threads;
    for (size_t i = 0; i < kComms; ++i) {
      threads.emplace_back([&, i] {
        if (process.rank() == 0) {
          void* const comm = end.Connect(handles[i]);
          Stream(&end, &process, comm, sizes, 1, i);
          EXPECT_EQ(end->CloseSend(comm), kOk);
        } else {
          void* const comm = end.Accept(listeners[i].comm);
          EXPECT_EQ(end->CloseListen(listeners[i].comm), kOk);
          Stream(&end, &process, comm, sizes, 1, i);
          EXPECT_EQ(end->CloseRecv(comm), kOk);
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    process.Barrier();
  });
}

// NCCL's service thread registers user buffers while its progress thread sends.
TEST_P(NetTest, MemoryIsRegisteredWhileMessagesFly) {
  RunProcesses(TwoSites(), [](Process& process) {
    NetEnd end(GetParam());
    const OneWay way = ConnectOneWay(&end, &process);
    std::atomic<bool> streaming = true;
    std::thread service([&] {
      std::vector<std::byte> memory(4096);
      while (streaming) {
        void* mr = nullptr;
        EXPECT_EQ(end->RegMr(way.comm, memory.data(), 4096, abi::kPtrHost, &mr),
                  kOk);
        EXPECT_EQ(end->DeregMr(way.comm, mr), kOk);
        std::this_thread::yield();
      }
    });
    Stream(&end, &process, way.comm, Mixed());
    streaming = false;
    service.join();
    process.Barrier();
    CloseOneWay(&end, &process, way);
  });
}

TEST_P(NetTest, FlushOfHostMemoryIsNothingToWaitFor) {
  RunProcesses(OneSite(), [](Process& process) {
    NetEnd end(GetParam());
    const OneWay way = ConnectOneWay(&end, &process);
    if (process.rank() == 1) {
      std::byte data[8];
      void* request = nullptr;
      EXPECT_EQ(end->Iflush(way.comm, data, 8, nullptr, &request), kOk);
      if (request) Await(end.net(), request);
    }
    process.Barrier();
    CloseOneWay(&end, &process, way);
  });
}

// NCCL's window is 8 slots; a line longer than that must not wait for the
// receiver's posts.
TEST_P(NetTest, SendsBetweenSitesEndBeforeReceivesArePosted) {
  RunProcesses(TwoSites(), [](Process& process) {
    const std::vector<size_t> sizes(kSlots, size_t{512} << 10);
    NetEnd end(GetParam());
    const OneWay way = ConnectOneWay(&end, &process);
    if (process.rank() == 0) Stream(&end, &process, way.comm, sizes);
    process.Barrier();
    if (process.rank() == 1) Stream(&end, &process, way.comm, sizes);
    process.Barrier();
    CloseOneWay(&end, &process, way);
  });
}

}  // namespace
}  // namespace longhaul::nccl
