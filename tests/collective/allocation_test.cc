// What is promised of memory: a shape that has run before allocates nothing,
// on any thread of the process.

#include <longhaul/longhaul.h>

#include <atomic>
#include <cstdlib>
#include <new>

#include "support/job.h"

namespace {

std::atomic<bool> g_counting{false};
std::atomic<uint64_t> g_allocations{0};

void* Allocate(std::size_t size, std::size_t alignment) {
  if (g_counting.load(std::memory_order_relaxed)) ++g_allocations;
  void* memory = alignment <= alignof(std::max_align_t)
                     ? std::malloc(size)
                     : std::aligned_alloc(alignment, (size + alignment - 1) /
                                                         alignment * alignment);
  if (memory == nullptr) std::abort();
  return memory;
}

}  // namespace

// Replaces the global allocation functions of this test program.
void* operator new(std::size_t size) { return Allocate(size, 1); }
void* operator new[](std::size_t size) { return Allocate(size, 1); }
void* operator new(std::size_t size, std::align_val_t alignment) {
  return Allocate(size, static_cast<std::size_t>(alignment));
}
void* operator new[](std::size_t size, std::align_val_t alignment) {
  return Allocate(size, static_cast<std::size_t>(alignment));
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::align_val_t) noexcept {
  std::free(memory);
}
void operator delete[](void* memory, std::align_val_t) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept {
  std::free(memory);
}
void operator delete[](void* memory, std::size_t, std::align_val_t) noexcept {
  std::free(memory);
}

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
        if (world.rank() == 0) g_allocations = 0;
        run(1);
        if (world.rank() == 0) g_counting = true;
        run(30);
        if (world.rank() == 0) g_counting = false;
        run(1);
        if (world.rank() == 0) {
          EXPECT_EQ(g_allocations.load(), 0u)
              << static_cast<int>(algorithm) << ", " << count << " elements";
        }
      },
      [&](Options& options) { options.algo = algorithm; });
}

TEST(AllocationTest, AWarmedShapeAllocatesNothing) {
  for (const size_t count : {1, 1000, 1'000'000}) {
    ExpectNoAllocations({2}, Algorithm::kHierarchical, count);
    ExpectNoAllocations({2, 2}, Algorithm::kHierarchical, count);
    ExpectNoAllocations({2, 2}, Algorithm::kRing, count);
  }
}

}  // namespace
}  // namespace longhaul
