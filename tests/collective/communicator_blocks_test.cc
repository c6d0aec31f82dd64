// All-gather and reduce-scatter by the public interface, over real sockets.

#include <longhaul/longhaul.h>

#include <cstring>
#include <vector>

#include "support/job.h"

namespace longhaul {
namespace {

const std::vector<std::vector<int>> kJobs = {{1}, {3}, {2, 2}, {1, 2}};

TEST(CommunicatorBlocksTest, AllGatherPutsEveryBlockInItsPlace) {
  for (const auto& sites : kJobs) {
    for (const size_t block : {0U, 1U, 100'000U}) {
      RunJob(sites, [&](Communicator& world) {
        const auto size = static_cast<size_t>(world.size());
        const auto self = static_cast<size_t>(world.rank());
        std::vector<int32_t> expected;
        for (size_t i = 0; i < size * block; ++i) {
          expected.push_back(static_cast<int32_t>(i));
        }
        const int32_t* own = expected.data() + self * block;
        std::vector<int32_t> output(size * block, -1);
        Status s =
            world.AllGather(own, output.data(), block, DataType::kInt32).Wait();
        EXPECT_TRUE(s.ok()) << s.ToString();
        EXPECT_EQ(output, expected);
        // In place.
        std::fill(output.begin(), output.end(), -1);
        int32_t* place = output.data() + self * block;
        std::copy(own, own + block, place);
        s = world.AllGather(place, output.data(), block, DataType::kInt32)
                .Wait();
        EXPECT_TRUE(s.ok()) << s.ToString();
        EXPECT_EQ(output, expected);
      });
    }
  }
}

// The bits are those of an all-reduce, whatever is rounded on the way.
TEST(CommunicatorBlocksTest, ReduceScatterHasTheBitsOfAnAllReduce) {
  for (const auto& sites : kJobs) {
    for (const DataType type : {DataType::kBfloat16, DataType::kFloat32}) {
      RunJob(
          sites,
          [&](Communicator& world) {
            const size_t block = 30'000;
            const size_t bytes = block * SizeOf(type);
            const auto size = static_cast<size_t>(world.size());
            const auto self = static_cast<size_t>(world.rank());
            std::vector<uint8_t> input(size * bytes);
            for (size_t i = 0; i < input.size(); ++i) {
              // Exponents near one, any fraction.
              const size_t byte = i % SizeOf(type);
              const bool top = byte + 1 == SizeOf(type);
              input[i] = top ? 0x3f : static_cast<uint8_t>(i * 37 + self * 101);
            }
            std::vector<uint8_t> sum(input.size());
            std::vector<uint8_t> output(bytes);
            EXPECT_TRUE(world
                            .AllReduce(input.data(), sum.data(), size * block,
                                       type, ReduceOp::kAvg)
                            .Wait()
                            .ok());
            const Status s = world
                                 .ReduceScatter(input.data(), output.data(),
                                                block, type, ReduceOp::kAvg)
                                 .Wait();
            EXPECT_TRUE(s.ok()) << s.ToString();
            EXPECT_EQ(
                std::memcmp(output.data(), sum.data() + self * bytes, bytes),
                0);
          },
          [](Options& options) { options.algo = Algorithm::kHierarchical; });
    }
  }
}

TEST(CommunicatorBlocksTest, WindowsInPlaceGoThroughAVector) {
  RunJob({2, 1}, [](Communicator& world) {
    constexpr size_t kBlock = 1000;
    constexpr size_t kWindow = 700;
    const size_t all = 3 * kBlock;
    const auto self = static_cast<size_t>(world.rank());
    const size_t own = self * kBlock;
    std::vector<int64_t> vector(all);
    for (size_t i = 0; i < all; ++i) vector[i] = static_cast<int64_t>(i);
    std::vector<Request> requests;
    for (size_t at = 0; at < all; at += kWindow) {
      const Window window = {at, std::min(kWindow, all - at)};
      int64_t* place = vector.data() + std::max(at, own);
      requests.push_back(world.ReduceScatter(vector.data() + at, place, kBlock,
                                             window, DataType::kInt64,
                                             ReduceOp::kSum));
    }
    for (Request& request : requests) EXPECT_TRUE(request.Wait().ok());
    for (size_t at = 0; at < all; at += kWindow) {
      const Window window = {at, std::min(kWindow, all - at)};
      const int64_t* place = vector.data() + std::max(at, own);
      requests.push_back(world.AllGather(place, vector.data() + at, kBlock,
                                         window, DataType::kInt64));
    }
    for (Request& request : requests) EXPECT_TRUE(request.Wait().ok());
    for (size_t i = 0; i < all; ++i) {
      ASSERT_EQ(vector[i], 3 * static_cast<int64_t>(i));
    }
  });
}

TEST(CommunicatorBlocksTest, BadArgumentsAreAnsweredAtOnce) {
  RunJob({1}, [](Communicator& world) {
    std::vector<int32_t> data(8);
    Request request =
        world.AllGather(data.data(), data.data() + 1, 4, DataType::kInt32);
    EXPECT_EQ(request.Wait().code(), StatusCode::kInvalidArgument);
    request = world.AllGather(nullptr, data.data(), 4, DataType::kInt32);
    EXPECT_EQ(request.Wait().code(), StatusCode::kInvalidArgument);
    request = world.ReduceScatter(data.data(), nullptr, 4, DataType::kInt32,
                                  ReduceOp::kSum);
    EXPECT_EQ(request.Wait().code(), StatusCode::kInvalidArgument);
    request = world.ReduceScatter(data.data(), data.data(), 4, {3, 2},
                                  DataType::kInt32, ReduceOp::kSum);
    EXPECT_EQ(request.Wait().code(), StatusCode::kInvalidArgument);
    request = world.ReduceScatter(data.data(), data.data(), SIZE_MAX / 2,
                                  DataType::kInt32, ReduceOp::kSum);
    EXPECT_EQ(request.Wait().code(), StatusCode::kInvalidArgument);
  });
}

}  // namespace
}  // namespace longhaul
