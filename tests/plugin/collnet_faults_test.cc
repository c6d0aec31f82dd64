// Groups that do not come together, and groups that lose a member.
#include <cstdlib>

#include "plugin/elements.h"
#include "plugin/group.h"

namespace longhaul::nccl {
namespace {

using abi::OpCode;
using abi::TypeCode;

constexpr auto kOk = Group::kOk;

const std::vector<std::string> kTwoByTwo = {"paris", "paris", "tokyo", "tokyo"};

std::vector<Rank> Impatient() {
  std::vector<Rank> ranks = InSites(kTwoByTwo);
  for (Rank& rank : ranks) {
    rank.environment["LONGHAUL_CONNECT_TIMEOUT"] = "2s";
    rank.environment["LONGHAUL_TIMEOUT"] = "5s";
  }
  return ranks;
}

class CollNetAbsentTest : public testing::TestWithParam<int> {};

INSTANTIATE_TEST_SUITE_P(Every, CollNetAbsentTest, testing::Range(0, 4),
                         [](const testing::TestParamInfo<int>& param) {
                           return "Rank" + std::to_string(param.param);
                         });

// All or none: else some ranks would wait for others that use the p2p network.
TEST_P(CollNetAbsentTest, WithoutOneNobodyConnects) {
  RunProcesses(Impatient(), [](Process& process) {
    Group group(12);
    group.Listen(&process);
    if (process.rank() != GetParam()) {
      EXPECT_FALSE(group.Connect(&process));
    }
    process.Barrier();
    group.CloseListen();
  });
}

TEST_P(CollNetAbsentTest, WithoutOneThatDiedNobodyConnects) {
  std::vector<Rank> ranks = Impatient();
  ranks[static_cast<size_t>(GetParam())].ending = Ending::kDies;
  RunProcesses(ranks, [](Process& process) {
    Group group(12);
    group.Listen(&process);
    process.Barrier();
    if (process.rank() == GetParam()) std::_Exit(3);
    EXPECT_FALSE(group.Connect(&process));
    group.CloseListen();
  });
}

TEST(CollNetFaultsTest, AfterAFailureTheNextGroupConnects) {
  RunProcesses(Impatient(), [](Process& process) {
    {
      Group group(12, 1);
      group.Listen(&process);
      if (process.rank() != 3) {
        EXPECT_FALSE(group.Connect(&process));
      }
      group.CloseListen();
    }
    process.Barrier();
    Group group(12, 2);
    group.Join(&process);
    std::vector<std::byte> data =
        Contribution(TypeCode::kInt32, OpCode::kSum, 1, process.rank(), 1000);
    ASSERT_EQ(group.Await(group.Soon([&](void** slot) {
      return group->Iallreduce(group.comm(), data.data(), data.data(), 1000,
                               TypeCode::kInt32, OpCode::kSum, nullptr, nullptr,
                               slot);
    })),
              kOk);
    EXPECT_EQ(data,
              Reduced(TypeCode::kInt32, OpCode::kSum, 1, process.size(), 1000));
    process.Barrier();
  });
}

class CollNetDeathTest : public testing::TestWithParam<int> {};

INSTANTIATE_TEST_SUITE_P(Every, CollNetDeathTest, testing::Range(0, 4),
                         [](const testing::TestParamInfo<int>& param) {
                           return "Rank" + std::to_string(param.param);
                         });

TEST_P(CollNetDeathTest, TheOthersCallsFail) {
  std::vector<Rank> ranks = Impatient();
  ranks[static_cast<size_t>(GetParam())].ending = Ending::kDies;
  RunProcesses(ranks, [](Process& process) {
    Group group(12);
    group.Join(&process);
    std::vector<float> send(100'000, 1);
    std::vector<float> recv(send.size());
    const auto post = [&](void** slot) {
      return group->Iallreduce(group.comm(), send.data(), recv.data(),
                               send.size(), TypeCode::kFloat32, OpCode::kSum,
                               nullptr, nullptr, slot);
    };
    ASSERT_EQ(group.Await(group.Soon(post)), kOk);
    process.Barrier();
    if (process.rank() == GetParam()) {
      // One call more, and gone in the middle of it.
      group.Soon(post);
      std::_Exit(3);
    }
    // The first may have gone through; that the second does not is certain.
    std::vector<void*> requests;
    for (int i = 0; i < 2; ++i) {
      void* request = nullptr;
      while (!request && post(&request) == kOk) std::this_thread::yield();
      if (request) requests.push_back(request);
    }
    abi::ResultCode last = abi::ResultCode::kRemoteError;
    for (void* request : requests) last = group.Await(request);
    if (requests.size() == 2) {
      EXPECT_NE(last, kOk);
    }
    // And it stays broken.
    void* request = nullptr;
    abi::ResultCode code = post(&request);
    if (code == kOk && request) code = group.Await(request);
    EXPECT_NE(code, kOk);
    group.Close();
  });
}

TEST(CollNetFaultsTest, CallsInFlightEndWithTheirGroup) {
  RunProcesses(InSites(kTwoByTwo), [](Process& process) {
    Group group(12);
    group.Join(&process);
    std::vector<float> send(200'000, 1);
    std::vector<float> recv(send.size());
    // Rank 3 does not take part, so that the calls stay in flight.
    if (process.rank() != 3) {
      for (int i = 0; i < 8; ++i) {
        group.Soon([&](void** slot) {
          return group->Iallreduce(group.comm(), send.data(), recv.data(),
                                   send.size(), TypeCode::kFloat32,
                                   OpCode::kSum, nullptr, nullptr, slot);
        });
      }
    }
    process.Barrier();
    group.Close();
    process.Barrier();
  });
}

}  // namespace
}  // namespace longhaul::nccl
