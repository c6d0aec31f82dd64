// What is promised of memory: a shape that has run before allocates nothing,
// on any thread of the process.

#include <longhaul/longhaul.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <string>
#include <vector>

#include "support/counting_allocator.h"
#include "support/job.h"

namespace longhaul {
namespace {

// How much is under way at most is a matter of luck, and a pool grows when that
// is more than ever before: so often, and then no more. `run` is given rounds.
template <typename Run>
void ExpectNoAllocationsInTheEnd(Communicator& world, Run run,
                                 const std::string& what) {
  uint64_t seen = 1;
  for (int attempt = 0; attempt < 50 && seen > 0; ++attempt) {
    run(20);
    if (world.rank() == 0) StartCountingAllocations();
    run(20);
    seen = world.rank() == 0 ? StopCountingAllocations() : 0;
    Request tell =
        world.AllReduce(&seen, &seen, 1, DataType::kUint64, ReduceOp::kMax);
    if (!tell.Wait().ok()) std::abort();
  }
  EXPECT_EQ(seen, 0u) << what;
}

void ExpectNoAllocations(const std::vector<int>& sites, Algorithm algorithm,
                         size_t count) {
  RunJob(
      sites,
      [&](Communicator& world) {
        std::vector<float> data(count, 1.0f);
        const auto run = [&](int rounds) {
          for (int i = 0; i < rounds; ++i) {
            Request request =
                world.AllReduce(data.data(), data.data(), count,
                                DataType::kFloat32, ReduceOp::kMax);
            if (!request.Wait().ok()) std::abort();
            if (!world.Barrier().Wait().ok()) std::abort();
          }
        };
        ExpectNoAllocationsInTheEnd(
            world, run,
            std::to_string(static_cast<int>(algorithm)) + ", " +
                std::to_string(count) + " elements");
      },
      [&](Options& options) { options.algo = algorithm; });
}

// Windows of one size at successive offsets, several in flight, as a caller
// goes through a vector that is longer than it has buffers for.
void ExpectNoAllocationsInBlocks(const std::vector<int>& sites, size_t block) {
  RunJob(sites, [&](Communicator& world) {
    const auto size = static_cast<size_t>(world.size());
    const size_t all = block * size;
    const size_t window = std::max<size_t>(1, all / 8);
    std::vector<float> whole(all, 1.0f);
    std::vector<float> sums(all, 1.0f);
    std::vector<float> part(block, 1.0f);
    std::vector<float> sum(block);
    const auto own = [&](std::vector<float>& block_of, size_t offset) {
      const size_t begin = block * static_cast<size_t>(world.rank());
      const size_t at = std::max(offset, begin) - begin;
      return block_of.data() + std::min(at, block);
    };
    const auto run = [&](int rounds) {
      for (int i = 0; i < rounds; ++i) {
        std::array<Request, 32> requests;
        size_t n = 0;
        for (size_t at = 0; at < all; at += window) {
          const Window w = {at, std::min(window, all - at)};
          requests[n++] = world.AllGather(own(part, at), whole.data() + at,
                                          block, w, DataType::kFloat32);
          requests[n++] =
              world.ReduceScatter(sums.data() + at, own(sum, at), block, w,
                                  DataType::kFloat32, ReduceOp::kSum);
        }
        for (Request& request : requests) {
          if (!request.Wait().ok()) std::abort();
        }
        if (!world.Barrier().Wait().ok()) std::abort();
      }
    };
    ExpectNoAllocationsInTheEnd(world, run,
                                "blocks of " + std::to_string(block));
    EXPECT_EQ(sum, std::vector<float>(block, static_cast<float>(size)));
  });
}

TEST(AllocationTest, WarmedWindowsAllocateNothing) {
  for (const size_t block : {1U, 1000U, 300'000U}) {
    ExpectNoAllocationsInBlocks({2}, block);
    ExpectNoAllocationsInBlocks({2, 2}, block);
  }
}

TEST(AllocationTest, AWarmedShapeAllocatesNothing) {
  for (const size_t count : {1U, 1000U, 1'000'000U}) {
    ExpectNoAllocations({2}, Algorithm::kHierarchical, count);
    ExpectNoAllocations({2, 2}, Algorithm::kHierarchical, count);
    ExpectNoAllocations({2, 2}, Algorithm::kRing, count);
    ExpectNoAllocations({2, 1, 1}, Algorithm::kSharded, count);
  }
}

}  // namespace
}  // namespace longhaul
