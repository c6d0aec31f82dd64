// What it costs to build a schedule, and to find one already built.
#include <benchmark/benchmark.h>

#include <vector>

#include "collective/all_gather.h"
#include "collective/hierarchical.h"
#include "collective/reduce_scatter.h"
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

// A stretch of each rank's block in turn.
void BuildAllGatherStretch(benchmark::State& state) {
  const Topology topology = TopologyOf(state);
  Rank root = 0;
  while (state.KeepRunning()) {
    benchmark::DoNotOptimize(
        BuildAllGather(kCount, topology, root, 0, Rails::kAll));
    root = (root + 1) % topology.size();
  }
}

void BuildReduceScatterStretch(benchmark::State& state) {
  const Topology topology = TopologyOf(state);
  Rank root = 0;
  while (state.KeepRunning()) {
    benchmark::DoNotOptimize(
        BuildReduceScatter(kCount, topology, root, 0, Rails::kAll));
    root = (root + 1) % topology.size();
  }
}

void Select(benchmark::State& state) {
  const Topology topology = TopologyOf(state);
  while (state.KeepRunning()) {
    benchmark::DoNotOptimize(SelectAlgorithm(Algorithm::kAuto, kCount, 4,
                                             topology, SharesOf(topology)));
  }
}

// The shapes of a training step, over and over.
void LookUp(benchmark::State& state) {
  const Topology topology = TopologyOf(state);
  ScheduleCache cache(topology, 0);
  uint64_t i = 0;
  while (state.KeepRunning()) {
    benchmark::DoNotOptimize(
        cache.Get({Collective::kAllReduce, Algorithm::kHierarchical, 0,
                   kCount + i++ % 32}));
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
BENCHMARK(BuildAllGatherStretch)->Apply(Shapes);
BENCHMARK(BuildReduceScatterStretch)->Apply(Shapes);
BENCHMARK(Select)->Apply(Shapes);
BENCHMARK(LookUp)->Apply(Shapes);

}  // namespace
}  // namespace longhaul
