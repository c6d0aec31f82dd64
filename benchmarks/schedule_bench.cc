// What it costs to build a schedule, and to find one already built.
#include <benchmark/benchmark.h>

#include <vector>

#include "collective/hierarchical.h"
#include "collective/ring.h"
#include "collective/schedule_cache.h"
#include "collective/selector.h"
#include "topology/topology.h"

namespace longhaul {
namespace {

constexpr uint64_t kCount = 1 << 20;

// range(0) sites of range(1) ranks.
Topology TopologyOf(const benchmark::State& state) {
  const std::vector<Rank> sizes(static_cast<size_t>(state.range(0)),
                                static_cast<Rank>(state.range(1)));
  return Topology::OfSizes(sizes);
}

void BuildHierarchical(benchmark::State& state) {
  const Topology topology = TopologyOf(state);
  while (state.KeepRunning()) {
    benchmark::DoNotOptimize(BuildHierarchicalAllReduce(kCount, topology, 0));
  }
}

void BuildRing(benchmark::State& state) {
  const Topology topology = TopologyOf(state);
  while (state.KeepRunning()) {
    benchmark::DoNotOptimize(BuildRingAllReduce(kCount, topology, 0));
  }
}

void Select(benchmark::State& state) {
  const Topology topology = TopologyOf(state);
  while (state.KeepRunning()) {
    benchmark::DoNotOptimize(
        SelectAlgorithm(Algorithm::kAuto, kCount, 4, topology));
  }
}

// The shapes of a training step, over and over.
void LookUp(benchmark::State& state) {
  const Topology topology = TopologyOf(state);
  ScheduleCache cache(topology, 0, SegmentOptions());
  uint64_t i = 0;
  while (state.KeepRunning()) {
    benchmark::DoNotOptimize(
        cache.Get({kCount + i++ % 32, 4, Algorithm::kHierarchical}));
  }
}

void Shapes(benchmark::internal::Benchmark* benchmark) {
  benchmark->ArgNames({"sites", "ranks"})
      ->Args({2, 2})
      ->Args({4, 8})
      ->Args({2, 64});
}
BENCHMARK(BuildHierarchical)->Apply(Shapes);
BENCHMARK(BuildRing)->Apply(Shapes);
BENCHMARK(Select)->Apply(Shapes);
BENCHMARK(LookUp)->Apply(Shapes);

}  // namespace
}  // namespace longhaul
