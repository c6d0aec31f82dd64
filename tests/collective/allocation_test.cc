// What is promised of memory: a shape that has run before allocates nothing,
// on any thread of the process.

#include <longhaul/longhaul.h>

#include <cstdlib>
#include <vector>

#include "support/counting_allocator.h"
#include "support/job.h"

namespace longhaul {
namespace {

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
        run(30);
        run(1);
        if (world.rank() == 0) StartCountingAllocations();
        run(30);
        const uint64_t seen = world.rank() == 0 ? StopCountingAllocations() : 0;
        run(1);
        if (world.rank() == 0) {
          EXPECT_EQ(seen, 0u)
              << static_cast<int>(algorithm) << ", " << count << " elements";
        }
      },
      [&](Options& options) { options.algo = algorithm; });
}

TEST(AllocationTest, AWarmedShapeAllocatesNothing) {
  for (const size_t count : {1U, 1000U, 1'000'000U}) {
    ExpectNoAllocations({2}, Algorithm::kHierarchical, count);
    ExpectNoAllocations({2, 2}, Algorithm::kHierarchical, count);
    ExpectNoAllocations({2, 2}, Algorithm::kRing, count);
  }
}

}  // namespace
}  // namespace longhaul
