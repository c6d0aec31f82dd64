// Reductions beside a STREAM-like add measured in the same run.
//
// Every iteration times one add and one reduction, in turn, so that both see
// the same machine. Counters: `GB/s` moved by the reduction and by the add
// (`stream`), each source read once and the target written once, and `ratio`,
// the first over the second; all from medians over the iterations.
#include <benchmark/benchmark.h>
#include <longhaul/types.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "compute/dispatch.h"
#include "compute/reduce.h"

namespace longhaul {
namespace {

using Clock = std::chrono::steady_clock;

struct Free {
  void operator()(void* memory) const { std::free(memory); }
};
using Block = std::unique_ptr<void, Free>;

// A block of ones of the type: sums stay finite, nothing is subnormal.
Block MakeBlock(size_t bytes, DataType type) {
  Block block(std::aligned_alloc(4096, (bytes + 4095) / 4096 * 4096));
  auto* data = static_cast<unsigned char*>(block.get());
  for (size_t i = 0; i < bytes; ++i) {
    const size_t at = i % SizeOf(type);
    unsigned char value = at == 0 ? 1 : 0;
    if (type == DataType::kFloat32 || type == DataType::kBfloat16) {
      value = at == SizeOf(type) - 1 ? 0x3f : at == SizeOf(type) - 2 ? 0x80 : 0;
    } else if (type == DataType::kFloat16) {
      value = at == 1 ? 0x3c : 0;
    } else if (type == DataType::kFloat64) {
      value = at == 7 ? 0x3f : at == 6 ? 0xf0 : 0;
    }
    data[i] = value;
  }
  return block;
}

// a[i] = b[i] + c[i] in f32, as wide as the processor goes.
template <size_t kWidth>
[[gnu::always_inline]] inline void AddVectors(float* a, const float* b,
                                              const float* c, size_t count) {
  typedef float Vector __attribute__((vector_size(kWidth)));  // NOLINT
  constexpr size_t kLanes = kWidth / sizeof(float);
  for (size_t i = 0; i < count; i += 4 * kLanes) {
    for (size_t v = 0; v < 4 * kLanes; v += kLanes) {
      *reinterpret_cast<Vector*>(a + i + v) =
          *reinterpret_cast<const Vector*>(b + i + v) +
          *reinterpret_cast<const Vector*>(c + i + v);
    }
  }
}

using AddFunction = void (*)(float*, const float*, const float*, size_t);

void AddBaseline(float* a, const float* b, const float* c, size_t count) {
  AddVectors<16>(a, b, c, count);
}
#ifdef __x86_64__
[[gnu::target("avx2")]] void AddAvx2(float* a, const float* b, const float* c,
                                     size_t count) {
  AddVectors<32>(a, b, c, count);
}
[[gnu::target("avx512f")]] void AddAvx512(float* a, const float* b,
                                          const float* c, size_t count) {
  AddVectors<64>(a, b, c, count);
}
#endif

double SecondsOfAdd(AddFunction add, void* a, const void* b, const void* c,
                    size_t bytes) {
  const auto start = Clock::now();
  add(static_cast<float*>(a), static_cast<const float*>(b),
      static_cast<const float*>(c), bytes / sizeof(float));
  benchmark::ClobberMemory();
  return std::chrono::duration<double>(Clock::now() - start).count();
}

double Median(std::vector<double>& values) {
  const auto middle =
      values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

// The fastest of the adds for blocks of this size, so that the bar is honest.
AddFunction BestAdd(size_t bytes) {
  std::vector<AddFunction> adds = {AddBaseline};
#ifdef __x86_64__
  if (__builtin_cpu_supports("avx2") != 0) adds.push_back(AddAvx2);
  if (__builtin_cpu_supports("avx512f") != 0) adds.push_back(AddAvx512);
#endif
  const Block a = MakeBlock(bytes, DataType::kFloat32);
  const Block b = MakeBlock(bytes, DataType::kFloat32);
  const Block c = MakeBlock(bytes, DataType::kFloat32);
  std::vector<std::vector<double>> seconds(adds.size());
  for (int round = 0; round < 21; ++round) {
    for (size_t k = 0; k < adds.size(); ++k) {
      seconds[k].push_back(
          SecondsOfAdd(adds[k], a.get(), b.get(), c.get(), bytes));
    }
  }
  size_t best = 0;
  for (size_t k = 1; k < adds.size(); ++k) {
    if (Median(seconds[k]) < Median(seconds[best])) best = k;
  }
  return adds[best];
}

struct Case {
  Reduction reduction;
  size_t source_count;
  bool in_place;
  const KernelSet* kernels;
};

void RunReduce(benchmark::State& state, const Case& c) {
  const auto bytes = static_cast<size_t>(state.range(0));
  const size_t count = bytes / SizeOf(c.reduction.type);
  std::vector<Block> blocks;
  std::vector<const void*> sources;
  for (size_t i = 0; i < c.source_count; ++i) {
    blocks.push_back(MakeBlock(bytes, c.reduction.type));
    sources.push_back(blocks.back().get());
  }
  const Block other = MakeBlock(bytes, c.reduction.type);
  void* target = c.in_place ? blocks[0].get() : other.get();
  const Block add_blocks[3] = {MakeBlock(bytes, DataType::kFloat32),
                               MakeBlock(bytes, DataType::kFloat32),
                               MakeBlock(bytes, DataType::kFloat32)};
  const AddFunction add = BestAdd(bytes);

  std::vector<double> add_seconds;
  std::vector<double> reduce_seconds;
  // Small blocks are timed in groups: a clock reading costs tens of ns. The
  // first pass of a group, which fetches what the other side evicted, is not
  // timed: blocks that fit a cache are measured in it.
  const int group = static_cast<int>(std::max<size_t>(1, (1 << 20) / bytes));
  for (auto _ : state) {  // NOLINT(clang-analyzer-deadcode.DeadStores)
    SecondsOfAdd(add, add_blocks[0].get(), add_blocks[1].get(),
                 add_blocks[2].get(), bytes);
    double seconds = 0;
    for (int k = 0; k < group; ++k) {
      seconds += SecondsOfAdd(add, add_blocks[0].get(), add_blocks[1].get(),
                              add_blocks[2].get(), bytes);
    }
    add_seconds.push_back(seconds / group);
    ReduceWith(*c.kernels, c.reduction, target, sources, count);
    const auto start = Clock::now();
    for (int k = 0; k < group; ++k) {
      ReduceWith(*c.kernels, c.reduction, target, sources, count);
      benchmark::ClobberMemory();
    }
    seconds = std::chrono::duration<double>(Clock::now() - start).count();
    reduce_seconds.push_back(seconds / group);
    state.SetIterationTime(seconds);
  }
  const auto moved = static_cast<double>(bytes);
  const double reduce_rate =
      moved * static_cast<double>(c.source_count + 1) / Median(reduce_seconds);
  const double stream_rate = moved * 3 / Median(add_seconds);
  state.counters["GB/s"] = reduce_rate * 1e-9;
  state.counters["stream"] = stream_rate * 1e-9;
  state.counters["ratio"] = reduce_rate / stream_rate;
}

void Register(const Case& c) {
  std::string name = std::string("reduce/") + NameOf(c.reduction.type) + "/" +
                     NameOf(c.reduction.op) + "/" +
                     std::to_string(c.source_count) +
                     (c.in_place ? "_in_place" : "") + "/" + c.kernels->name;
  benchmark::RegisterBenchmark(name.c_str(), RunReduce, c)
      ->Arg(64 << 10)
      ->Arg(1 << 20)
      ->Arg(16 << 20)
      ->UseManualTime()
      ->MinTime(0.2);
}

const bool kRegistered = [] {
  const auto types = {DataType::kFloat32, DataType::kFloat16,
                      DataType::kBfloat16};
  const KernelSet* best = &BestKernels();
  for (const DataType type : types) {
    for (const size_t sources : {2, 4, 8}) {
      Register({{type, ReduceOp::kSum}, sources, false, best});
    }
    Register({{type, ReduceOp::kSum}, 2, true, best});
    Register({{type, ReduceOp::kMax}, 2, false, best});
    Register({{type, ReduceOp::kAvg, 3}, 2, false, best});
    for (const KernelSet* kernels : AvailableKernels()) {
      if (kernels != best) {
        Register({{type, ReduceOp::kSum}, 2, false, kernels});
      }
    }
  }
  for (const DataType type : {DataType::kFloat64, DataType::kInt64,
                              DataType::kInt32, DataType::kUint8}) {
    Register({{type, ReduceOp::kSum}, 2, false, best});
  }
  return true;
}();

}  // namespace
}  // namespace longhaul
