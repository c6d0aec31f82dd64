// Reductions beside a STREAM-like add measured in the same run.
//
// Every iteration times the add and the reduction in turn, so that both see the
// same machine, in processor time of the thread, so that others who share it
// count little. Counters, all medians over the iterations: `GB/s` moved by the
// reduction, each source read once and the target written once; `stream`, the
// same of the add; `ratio`, the first over the second, iteration by iteration.
#include <benchmark/benchmark.h>
#include <longhaul/types.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <ctime>
#include <memory>
#include <string>
#include <vector>

#include "compute/dispatch.h"
#include "compute/reduce.h"

namespace longhaul {
namespace {

double ProcessorSeconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) +
         static_cast<double>(now.tv_nsec) * 1e-9;
}

// Of one run among several: small blocks are over sooner than the clock can
// tell. The first run, which fetches what others evicted, is not timed: blocks
// that fit a cache are measured in it.
template <typename Function>
double SecondsOf(size_t runs, const Function& function) {
  function();
  const double start = ProcessorSeconds();
  for (size_t i = 0; i < runs; ++i) {
    function();
    benchmark::ClobberMemory();
  }
  return (ProcessorSeconds() - start) / static_cast<double>(runs);
}

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

struct Add {
  Add(AddFunction function_in, size_t bytes)
      : function(function_in),
        count(bytes / sizeof(float)),
        blocks{MakeBlock(bytes, DataType::kFloat32),
               MakeBlock(bytes, DataType::kFloat32),
               MakeBlock(bytes, DataType::kFloat32)} {}
  void operator()() const {
    function(static_cast<float*>(blocks[0].get()),
             static_cast<const float*>(blocks[1].get()),
             static_cast<const float*>(blocks[2].get()), count);
  }

  AddFunction function;
  size_t count;
  Block blocks[3];
};

double Median(std::vector<double>& values) {
  const auto middle =
      values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

// The fastest of the adds for blocks of this size, so that the bar is honest.
AddFunction BestAdd(size_t bytes, size_t runs) {
  std::vector<AddFunction> adds = {AddBaseline};
#ifdef __x86_64__
  if (__builtin_cpu_supports("avx2") != 0) adds.push_back(AddAvx2);
  if (__builtin_cpu_supports("avx512f") != 0) adds.push_back(AddAvx512);
#endif
  Add add(AddBaseline, bytes);
  std::vector<std::vector<double>> seconds(adds.size());
  for (int round = 0; round < 21; ++round) {
    for (size_t k = 0; k < adds.size(); ++k) {
      add.function = adds[k];
      seconds[k].push_back(SecondsOf(runs, add));
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

std::vector<Case>& Cases() {
  static std::vector<Case> cases;
  return cases;
}

void RunReduce(benchmark::State& state) {
  const Case& c = Cases()[static_cast<size_t>(state.range(1))];
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
  const size_t runs = std::max<size_t>(1, (4 << 20) / bytes);
  const Add add(BestAdd(bytes, runs), bytes);
  const auto reduce = [&] {
    ReduceWith(*c.kernels, c.reduction, target, sources, count);
  };
  const auto add_bytes = static_cast<double>(bytes) * 3;
  const auto reduce_bytes =
      static_cast<double>(bytes) * static_cast<double>(c.source_count + 1);

  std::vector<double> stream_rates;
  std::vector<double> rates;
  std::vector<double> ratios;
  for ([[maybe_unused]] auto _ : state) {
    stream_rates.push_back(add_bytes / SecondsOf(runs, add));
    const double seconds = SecondsOf(runs, reduce);
    rates.push_back(reduce_bytes / seconds);
    ratios.push_back(rates.back() / stream_rates.back());
    state.SetIterationTime(seconds);
  }
  state.counters["GB/s"] = Median(rates) * 1e-9;
  state.counters["stream"] = Median(stream_rates) * 1e-9;
  state.counters["ratio"] = Median(ratios);
}

void Register(const Case& c) {
  std::string name = std::string("reduce/") + NameOf(c.reduction.type) + "/" +
                     NameOf(c.reduction.op) + "/" +
                     std::to_string(c.source_count) +
                     (c.in_place ? "_in_place" : "") + "/" + c.kernels->name;
  const auto index = static_cast<int64_t>(Cases().size());
  Cases().push_back(c);
  benchmark::internal::Function* const run = RunReduce;
  benchmark::RegisterBenchmark(name.c_str(), run)
      ->ArgNames({"bytes", "case"})
      ->Args({64 << 10, index})
      ->Args({1 << 20, index})
      ->Args({16 << 20, index})
      ->UseManualTime()
      ->MinTime(0.1);
}

const bool kRegistered = [] {
  const auto types = {DataType::kFloat32, DataType::kFloat16,
                      DataType::kBfloat16};
  const KernelSet* best = &BestKernels();
  for (const DataType type : types) {
    for (const size_t sources : {size_t{2}, size_t{4}, size_t{8}}) {
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
