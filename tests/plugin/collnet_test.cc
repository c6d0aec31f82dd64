// Collectives as NCCL asks for them: many calls outstanding, in the same order
// on every rank, whole chunks with rubbish at their ends.
#include <bit>
#include <cmath>
#include <limits>
#include <string>

#include "plugin/elements.h"
#include "plugin/group.h"

namespace longhaul::nccl {
namespace {

using abi::OpCode;
using abi::TypeCode;

constexpr auto kOk = Group::kOk;

struct Shape {
  const char* name;
  std::vector<std::string> sites;
};

void PrintTo(const Shape& shape, std::ostream* out) { *out << shape.name; }

std::string NameOfShape(const testing::TestParamInfo<Shape>& info) {
  return info.param.name;
}

// Buffers of one call, alive until it is done.
struct Call {
  TypeCode type = TypeCode::kFloat32;
  OpCode op = OpCode::kSum;
  uint64_t id = 0;
  size_t count = 0;
  std::vector<std::byte> send = {};
  std::vector<std::byte> recv = {};
  void* request = nullptr;

  void Post(Group* group, int rank) {
    send = Contribution(type, op, id, rank, count);
    recv.assign(send.size(), std::byte{0xcc});
    request = group->Soon([&](void** slot) {
      return (*group)->Iallreduce(group->comm(), send.data(), recv.data(),
                                  count, type, op, nullptr, nullptr, slot);
    });
  }

  void Finish(Group* group, int ranks) {
    int size = -1;
    ASSERT_EQ(group->Await(request, &size), kOk);
    EXPECT_EQ(static_cast<size_t>(size), send.size());
    const std::vector<std::byte> expected = Reduced(type, op, id, ranks, count);
    for (size_t i = 0; i < count; ++i) {
      const size_t at = i * SizeOf(type);
      ASSERT_EQ(
          std::memcmp(recv.data() + at, expected.data() + at, SizeOf(type)), 0)
          << NameOf(type) << " " << NameOf(op) << ", call " << id
          << ", element " << i << " of " << count;
    }
  }
};

class CollNetShapeTest : public testing::TestWithParam<Shape> {};

INSTANTIATE_TEST_SUITE_P(
    Every, CollNetShapeTest,
    testing::Values(
        Shape{"TwoInOneSite", {"paris", "paris"}},
        Shape{"TwoInTwoSites", {"paris", "tokyo"}},
        Shape{"ThreeInThreeSites", {"paris", "tokyo", "lima"}},
        Shape{"FourInTwoSites", {"paris", "paris", "tokyo", "tokyo"}},
        Shape{"FourThatAlternate", {"paris", "tokyo", "paris", "tokyo"}},
        Shape{"FiveInThreeSites", {"paris", "paris", "tokyo", "tokyo", "lima"}},
        Shape{"EightInTwoSites",
              {"paris", "paris", "paris", "paris", "tokyo", "tokyo", "tokyo",
               "tokyo"}}),
    NameOfShape);

TEST_P(CollNetShapeTest, AllReduceOfEveryTypeAndReduction) {
  RunProcesses(InSites(GetParam().sites), [](Process& process) {
    Group group(12);
    group.Join(&process);
    std::vector<Call> calls;
    uint64_t id = 0;
    for (int type = 0; type < kReducibleTypes; ++type) {
      for (int op = 0; op < kReductions; ++op) {
        calls.push_back({.type = static_cast<TypeCode>(type),
                         .op = static_cast<OpCode>(op),
                         .id = ++id,
                         .count = 1000 + static_cast<size_t>(id) * 37});
      }
    }
    for (Call& call : calls) call.Post(&group, process.rank());
    for (Call& call : calls) call.Finish(&group, process.size());
    process.Barrier();
  });
}

TEST_P(CollNetShapeTest, SixtyFourCallsOutstanding) {
  RunProcesses(InSites(GetParam().sites), [](Process& process) {
    Group group(12);
    group.Join(&process);
    std::vector<Call> calls(64);
    for (size_t i = 0; i < calls.size(); ++i) {
      calls[i].id = i;
      calls[i].count = i % 8 == 0 ? 1 : 5'000 + i * 100;
      calls[i].Post(&group, process.rank());
      ASSERT_NE(calls[i].request, nullptr);
    }
    for (Call& call : calls) call.Finish(&group, process.size());
    process.Barrier();
  });
}

// The windows of a gather of `per_rank` bytes from each, as NCCL walks them.
std::vector<CollNetTable::Window> Windows(int ranks, size_t per_rank,
                                          size_t step) {
  std::vector<CollNetTable::Window> windows;
  const size_t total = per_rank * static_cast<size_t>(ranks);
  for (size_t at = 0; at < total; at += step) {
    windows.push_back({per_rank, at, std::min(step, total - at)});
  }
  return windows;
}

// The part of a window that is rank `rank`'s: offset in the whole, and bytes.
std::pair<size_t, size_t> Overlap(const CollNetTable::Window& window,
                                  int rank) {
  const size_t begin = window.bytes_per_rank * static_cast<size_t>(rank);
  const size_t low = std::max(begin, window.offset);
  const size_t high =
      std::min(begin + window.bytes_per_rank, window.offset + window.bytes);
  return {low, high > low ? high - low : 0};
}

TEST_P(CollNetShapeTest, AllGatherByWindows) {
  RunProcesses(InSites(GetParam().sites), [](Process& process) {
    Group group(12);
    group.Join(&process);
    const auto type = TypeCode::kInt32;
    constexpr size_t kCount = 10'000;  // elements of each rank
    // One window for all, one per rank, and some that lie across ranks.
    for (const size_t step : {size_t{1} << 30, kCount * 4, size_t{12'000}}) {
      const auto windows = Windows(process.size(), kCount * 4, step);
      const size_t begin = kCount * 4 * static_cast<size_t>(process.rank());
      std::vector<std::byte> mine =
          Contribution(type, OpCode::kSum, step, process.rank(), kCount);
      std::vector<std::byte> all(kCount * 4 *
                                 static_cast<size_t>(process.size()));
      std::vector<void*> requests;
      for (const auto& window : windows) {
        const auto [low, bytes] = Overlap(window, process.rank());
        std::byte* const send =
            bytes > 0 ? mine.data() + (low - begin) : mine.data();
        requests.push_back(group.Soon([&](void** slot) {
          return group->Iallgather(group.comm(), send,
                                   all.data() + window.offset, window, nullptr,
                                   nullptr, slot);
        }));
      }
      for (void* request : requests) ASSERT_EQ(group.Await(request), kOk);
      for (int rank = 0; rank < process.size(); ++rank) {
        const auto theirs =
            Contribution(type, OpCode::kSum, step, rank, kCount);
        const std::byte* const got =
            all.data() + theirs.size() * static_cast<size_t>(rank);
        for (size_t i = 0; i < kCount; ++i) {
          ASSERT_EQ(std::memcmp(got + i * 4, theirs.data() + i * 4, 4), 0)
              << "windows of " << step << ", rank " << rank << ", element "
              << i;
        }
      }
    }
    process.Barrier();
  });
}

TEST_P(CollNetShapeTest, ReduceScatterByWindows) {
  RunProcesses(InSites(GetParam().sites), [](Process& process) {
    Group group(12);
    group.Join(&process);
    const auto ranks = static_cast<size_t>(process.size());
    constexpr size_t kCount = 10'000;
    for (const TypeCode type : {TypeCode::kFloat32, TypeCode::kBfloat16}) {
      const size_t per_rank = kCount * SizeOf(type);
      for (const size_t step : {size_t{1} << 30, per_rank, size_t{12'000}}) {
        std::vector<std::byte> send = Contribution(
            type, OpCode::kSum, step, process.rank(), kCount * ranks);
        const size_t begin = per_rank * static_cast<size_t>(process.rank());
        std::vector<std::byte> mine(per_rank);
        std::vector<void*> requests;
        for (const auto& window : Windows(process.size(), per_rank, step)) {
          const auto [low, bytes] = Overlap(window, process.rank());
          std::byte* const recv =
              bytes > 0 ? mine.data() + (low - begin) : mine.data();
          requests.push_back(group.Soon([&](void** slot) {
            return group->Ireducescatter(
                group.comm(), send.data() + window.offset, recv, window, type,
                OpCode::kSum, nullptr, nullptr, slot);
          }));
        }
        for (void* request : requests) ASSERT_EQ(group.Await(request), kOk);
        const std::vector<std::byte> total =
            Reduced(type, OpCode::kSum, step, process.size(), kCount * ranks);
        for (size_t i = 0; i < kCount; ++i) {
          const size_t at = i * SizeOf(type);
          ASSERT_EQ(std::memcmp(mine.data() + at, total.data() + begin + at,
                                SizeOf(type)),
                    0)
              << NameOf(type) << ", windows of " << step << ", element " << i;
        }
      }
    }
    process.Barrier();
  });
}

class CollNetVersionTest : public testing::TestWithParam<int> {};

INSTANTIATE_TEST_SUITE_P(Every, CollNetVersionTest, testing::Range(8, 13),
                         [](const testing::TestParamInfo<int>& param) {
                           return "v" + std::to_string(param.param);
                         });

TEST_P(CollNetVersionTest, HasEveryFunctionAndReduces) {
  const auto sites = {"paris", "paris", "tokyo"};
  RunProcesses(InSites({sites.begin(), sites.end()}), [](Process& process) {
    Group group(GetParam());
    EXPECT_TRUE(group->whole());
    group.Join(&process);
    std::vector<Call> calls(8);
    for (size_t i = 0; i < calls.size(); ++i) {
      calls[i].id = i;
      calls[i].count = 40'000;
      calls[i].Post(&group, process.rank());
    }
    for (Call& call : calls) call.Finish(&group, process.size());
    const CollNetTable::Window window{8, 0,
                                      8 * static_cast<size_t>(process.size())};
    const auto own = static_cast<uint64_t>(process.rank()) + 5;
    std::vector<uint64_t> all(static_cast<size_t>(process.size()));
    uint64_t send = own;
    ASSERT_EQ(group.Await(group.Soon([&](void** slot) {
      return group->Iallgather(group.comm(), &send, all.data(), window, nullptr,
                               nullptr, slot);
    })),
              kOk);
    for (size_t i = 0; i < all.size(); ++i) EXPECT_EQ(all[i], i + 5);
    uint64_t mine = 0;
    ASSERT_EQ(group.Await(group.Soon([&](void** slot) {
      return group->Ireducescatter(group.comm(), all.data(), &mine, window,
                                   TypeCode::kUint64, OpCode::kSum, nullptr,
                                   nullptr, slot);
    })),
              kOk);
    EXPECT_EQ(mine, own * static_cast<uint64_t>(process.size()));
    process.Barrier();
  });
}

TEST_P(CollNetVersionTest, SaysWhatItReduces) {
  RunProcesses(InSites({"paris"}), [](Process&) {
    Group group(GetParam());
    for (int type = 0; type < abi::kTypeCodes; ++type) {
      for (int op = 0; op < 5; ++op) {
        int supported = -1;
        ASSERT_EQ(group->ReduceSupport(static_cast<TypeCode>(type),
                                       static_cast<OpCode>(op), &supported),
                  kOk);
        if (op < kReductions) {
          EXPECT_EQ(supported, type < kReducibleTypes ? 1 : 0)
              << "type " << type << ", reduction " << op;
        }
      }
    }
    int supported = -1;
    ASSERT_EQ(group->ReduceSupport(static_cast<TypeCode>(99), OpCode::kSum,
                                   &supported),
              kOk);
    EXPECT_EQ(supported, 0);
  });
}

const std::vector<std::string> kTwoByTwo = {"paris", "paris", "tokyo", "tokyo"};

// A group of one communicator is not another's.
TEST(CollNetTest, TwoGroupsAtATime) {
  RunProcesses(InSites(kTwoByTwo), [](Process& process) {
    Group first(12, 1);
    Group second(12, 2);
    first.Join(&process);
    second.Join(&process);
    Call a{.id = 1, .count = 50'000};
    Call b{.id = 2, .count = 30'000};
    // In the other order on every other rank: only within a group it counts.
    if (process.rank() % 2 == 0) {
      a.Post(&first, process.rank());
      b.Post(&second, process.rank());
    } else {
      b.Post(&second, process.rank());
      a.Post(&first, process.rank());
    }
    b.Finish(&second, process.size());
    a.Finish(&first, process.size());
    process.Barrier();
  });
}

// What NCCL hands over is whole chunks, whose ends nobody has written.
TEST(CollNetTest, RubbishAtTheEndOfAChunkStaysThere) {
  RunProcesses(InSites(kTwoByTwo), [](Process& process) {
    constexpr size_t kCount = 100'000;
    constexpr size_t kValid = 70'001;
    const auto type = TypeCode::kFloat32;
    Group group(12);
    group.Join(&process);
    std::vector<std::byte> send =
        Contribution(type, OpCode::kSum, 3, process.rank(), kCount);
    for (size_t i = kValid; i < kCount; ++i) {
      const float rubbish = i % 2 == 0 ? std::numeric_limits<float>::quiet_NaN()
                                       : std::numeric_limits<float>::max();
      std::memcpy(send.data() + i * 4, &rubbish, 4);
    }
    std::vector<std::byte> recv(send.size());
    ASSERT_EQ(group.Await(group.Soon([&](void** slot) {
      return group->Iallreduce(group.comm(), send.data(), recv.data(), kCount,
                               type, OpCode::kSum, nullptr, nullptr, slot);
    })),
              kOk);
    const std::vector<std::byte> expected =
        Reduced(type, OpCode::kSum, 3, process.size(), kValid);
    for (size_t i = 0; i < kValid; ++i) {
      ASSERT_EQ(std::memcmp(recv.data() + i * 4, expected.data() + i * 4, 4), 0)
          << i;
    }
    process.Barrier();
  });
}

// NCCL's ranks must have the same bits, whatever the order of addition.
TEST(CollNetTest, EveryRankGetsTheSameBits) {
  RunProcesses(
      InSites({"paris", "paris", "tokyo", "tokyo", "lima"}),
      [](Process& process) {
        Group group(12);
        group.Join(&process);
        std::vector<float> send(50'000);
        std::vector<float> recv(send.size());
        for (size_t i = 0; i < send.size(); ++i) {
          send[i] = std::sin(
              static_cast<float>(i * 5 + static_cast<size_t>(process.rank())));
        }
        ASSERT_EQ(group.Await(group.Soon([&](void** slot) {
          return group->Iallreduce(group.comm(), send.data(), recv.data(),
                                   send.size(), TypeCode::kFloat32,
                                   OpCode::kSum, nullptr, nullptr, slot);
        })),
                  kOk);
        uint64_t hash = 0;
        for (const float value : recv) {
          hash = hash * 1'099'511'628'211 + std::bit_cast<uint32_t>(value);
        }
        EXPECT_TRUE(process.Agree(hash));
      });
}

TEST(CollNetTest, InPlace) {
  RunProcesses(InSites(kTwoByTwo), [](Process& process) {
    Group group(12);
    group.Join(&process);
    std::vector<std::byte> data =
        Contribution(TypeCode::kInt64, OpCode::kSum, 4, process.rank(), 20'000);
    ASSERT_EQ(group.Await(group.Soon([&](void** slot) {
      return group->Iallreduce(group.comm(), data.data(), data.data(), 20'000,
                               TypeCode::kInt64, OpCode::kSum, nullptr, nullptr,
                               slot);
    })),
              kOk);
    EXPECT_EQ(data, Reduced(TypeCode::kInt64, OpCode::kSum, 4, process.size(),
                            20'000));
    process.Barrier();
  });
}

TEST(CollNetTest, HostMemoryIsRegisteredAndNothingElse) {
  RunProcesses(InSites({"paris", "tokyo"}), [](Process& process) {
    Group group(12);
    group.Join(&process);
    std::vector<std::byte> memory(1 << 20);
    void* mr = nullptr;
    EXPECT_EQ(group->RegMr(group.comm(), memory.data(), memory.size(),
                           abi::kPtrHost, &mr),
              kOk);
    EXPECT_EQ(group->DeregMr(group.comm(), mr), kOk);
    EXPECT_NE(group->RegMr(group.comm(), memory.data(), memory.size(),
                           abi::kPtrCuda, &mr),
              kOk);
    void* request = nullptr;
    EXPECT_EQ(group->Iflush(group.comm(), memory.data(), 64, mr, &request),
              kOk);
    EXPECT_EQ(request, nullptr);
    process.Barrier();
  });
}

}  // namespace
}  // namespace longhaul::nccl
