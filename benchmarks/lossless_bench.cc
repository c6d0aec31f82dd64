// The lossless codec beside a memcpy of the same vector in the same run, and
// beside zstd on the same exponents where that is installed.
//
//   lossless_bench
//   LOSSLESS_BENCH_DUMPS=FOLDER lossless_bench     # and the vectors
//   FOLDER/*.f32
//
// A dump is raw little-endian f32s; it is measured as it is and rounded to
// bf16.
//
// Every iteration times the copy and the codec in turn, in processor time of
// the thread. Counters, medians over the iterations: `GB/s` of the vector's
// bytes; `memcpy`, the same of the copy; `%memcpy`, the first in hundredths of
// the second, iteration by iteration; `ratio`, bytes of the vector per byte
// encoded. Of zstd: its time is that of the exponents' plane alone, and what
// splits the elements and joins them comes on top.
#include <benchmark/benchmark.h>
#ifdef LONGHAUL_BENCH_ZSTD
#include <zstd.h>
#endif

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "codec/lossless.h"
#include "compute/convert.h"

namespace longhaul {
namespace {

using Bytes = std::vector<uint8_t>;

constexpr size_t kElements = 1 << 20;

// ---- vectors ---------------------------------------------------------------

// Rows of 768 of one scale each, as the layers of a model have; `decades` is
// the spread of their logarithms.
std::vector<float> Gradients(double decades, double freedom, double zeros) {
  std::mt19937_64 random(1);
  std::normal_distribution<double> gauss;
  std::student_t_distribution<double> student(freedom);
  std::uniform_real_distribution<double> uniform;
  std::vector<float> values(kElements);
  double scale = 1;
  for (size_t i = 0; i < values.size(); ++i) {
    if (i % 768 == 0) scale = 1e-3 * std::pow(10, gauss(random) * decades);
    const double x = freedom > 0 ? student(random) : gauss(random);
    values[i] = uniform(random) < zeros ? 0 : static_cast<float>(x * scale);
  }
  return values;
}

std::vector<float> RandomBits() {
  std::mt19937 random(1);
  std::vector<float> values(kElements);
  for (float& value : values) {
    const auto bits = static_cast<uint32_t>(random());
    std::memcpy(&value, &bits, sizeof bits);
  }
  return values;
}

Bytes AsElements(DataType type, const std::vector<float>& values) {
  Bytes bytes(values.size() * SizeOf(type));
  if (type == DataType::kFloat16) {
    ConvertF32ToF16(bytes.data(), values.data(), values.size());
  } else if (type == DataType::kBfloat16) {
    ConvertF32ToBf16(bytes.data(), values.data(), values.size());
  } else {
    std::memcpy(bytes.data(), values.data(), bytes.size());
  }
  return bytes;
}

std::vector<float> ReadDump(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::vector<float> values(std::filesystem::file_size(path) / sizeof(float));
  file.read(reinterpret_cast<char*>(values.data()),
            static_cast<std::streamsize>(values.size() * sizeof(float)));
  if (!file) values.clear();
  return values;
}

// ---- measuring -------------------------------------------------------------

double ProcessorSeconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) +
         static_cast<double>(now.tv_nsec) * 1e-9;
}

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

double Median(std::vector<double>& values) {
  const auto middle =
      values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

// Times `function`, which goes through a vector once, beside a copy of it.
void Measure(benchmark::State& state, const Bytes& source, double encoded,
             const std::function<void()>& function) {
  Bytes copy(source.size());
  const auto bytes = static_cast<double>(source.size());
  const size_t runs = std::max<size_t>(1, (4 << 20) / source.size());
  std::vector<double> copies;
  std::vector<double> rates;
  std::vector<double> percents;
  for ([[maybe_unused]] auto _ : state) {
    copies.push_back(bytes / SecondsOf(runs, [&] {
                       std::memcpy(copy.data(), source.data(), source.size());
                     }));
    const double seconds = SecondsOf(runs, function);
    rates.push_back(bytes / seconds);
    percents.push_back(100 * rates.back() / copies.back());
    state.SetIterationTime(seconds);
  }
  state.counters["GB/s"] = Median(rates) * 1e-9;
  state.counters["memcpy"] = Median(copies) * 1e-9;
  state.counters["%memcpy"] = Median(percents);
  state.counters["ratio"] = bytes / encoded;
}

struct Case {
  std::string name;
  std::function<void(benchmark::State&)> run;
};

std::vector<Case>& Cases() {
  static std::vector<Case> cases;
  return cases;
}

void RunCase(benchmark::State& state) {
  Cases()[static_cast<size_t>(state.range(0))].run(state);
}

void AddCase(const std::string& name,
             const std::function<void(benchmark::State&)>& run) {
  Cases().push_back({name, run});
}

void RegisterCases() {
  for (size_t i = 0; i < Cases().size(); ++i) {
    auto* const made = new benchmark::internal::FunctionBenchmark(
        Cases()[i].name.c_str(), RunCase);
    // The library owns it from here on, which clang-analyzer does not see.
    benchmark::internal::RegisterBenchmarkInternal(made)
        ->ArgName("case")  // NOLINT(clang-analyzer-cplusplus.NewDeleteLeaks)
        ->Arg(static_cast<int64_t>(i))
        ->UseManualTime()
        ->MinTime(0.1);
  }
}

void Require(bool decoded) {
  if (!decoded) std::abort();
}

void Encode(benchmark::State& state, DataType type, const Bytes& source,
            const LosslessKernels& kernels) {
  const size_t count = source.size() / SizeOf(type);
  Bytes encoded(LosslessBound(type, count));
  size_t size = 0;
  const auto encode = [&] {
    size = LosslessEncode(type, source.data(), count, encoded.data(), kernels);
  };
  encode();
  Measure(state, source, static_cast<double>(size), encode);
}

void Decode(benchmark::State& state, DataType type, const Bytes& source,
            const LosslessKernels& kernels) {
  const size_t count = source.size() / SizeOf(type);
  Bytes encoded(LosslessBound(type, count));
  const size_t size =
      LosslessEncode(type, source.data(), count, encoded.data(), kernels);
  Bytes target(source.size());
  Measure(state, source, static_cast<double>(size), [&] {
    Require(LosslessDecode(type, encoded.data(), size, count, target.data(),
                           kernels));
  });
}

#ifdef LONGHAUL_BENCH_ZSTD
// zstd on the exponents of a block at a time, as the codec has them; the rest
// of an element counts as it is.
class Zstd {
 public:
  Zstd(DataType type, const Bytes& source, int level)
      : level_(level),
        exponents_(source.size() / SizeOf(type)),
        encoded_(ZSTD_compressBound(kLosslessBlock) *
                 (exponents_.size() / kLosslessBlock + 1)) {
    const auto index = type == DataType::kFloat32 ? LosslessKernels::kF32
                                                  : LosslessKernels::kBf16;
    AvailableLosslessKernels().back()->exponents[index](
        source.data(), exponents_.size(), exponents_.data());
    rest_ = source.size() - exponents_.size();
    Encode();
  }
  Zstd(const Zstd&) = delete;
  Zstd& operator=(const Zstd&) = delete;
  ~Zstd() {
    ZSTD_freeCCtx(compressor_);
    ZSTD_freeDCtx(decompressor_);
  }

  void Encode() {
    size_ = 0;
    sizes_.clear();
    for (size_t at = 0; at < exponents_.size(); at += kLosslessBlock) {
      const size_t here = std::min(kLosslessBlock, exponents_.size() - at);
      sizes_.push_back(ZSTD_compressCCtx(compressor_, encoded_.data() + size_,
                                         encoded_.size() - size_,
                                         exponents_.data() + at, here, level_));
      Require(ZSTD_isError(sizes_.back()) == 0);
      size_ += sizes_.back();
    }
  }
  void Decode() {
    const uint8_t* from = encoded_.data();
    size_t at = 0;
    for (const size_t size : sizes_) {
      at += ZSTD_decompressDCtx(decompressor_, exponents_.data() + at,
                                exponents_.size() - at, from, size);
      from += size;
    }
    Require(at == exponents_.size());
  }
  double size() const { return static_cast<double>(size_ + rest_); }

 private:
  int level_;
  ZSTD_CCtx* compressor_ = ZSTD_createCCtx();
  ZSTD_DCtx* decompressor_ = ZSTD_createDCtx();
  Bytes exponents_;
  Bytes encoded_;
  std::vector<size_t> sizes_;
  size_t size_ = 0;
  size_t rest_ = 0;
};

void AddZstd(const std::string& name, DataType type, const Bytes& source) {
  for (const int level : {1, -5}) {
    const std::string with = name + "zstd" + std::to_string(level);
    AddCase(with + "/encode", [=](benchmark::State& state) {
      Zstd zstd(type, source, level);
      Measure(state, source, zstd.size(), [&] { zstd.Encode(); });
    });
    AddCase(with + "/decode", [=](benchmark::State& state) {
      Zstd zstd(type, source, level);
      Measure(state, source, zstd.size(), [&] { zstd.Decode(); });
    });
  }
}
#else
void AddZstd(const std::string& /*name*/, DataType /*type*/,
             const Bytes& /*source*/) {}
#endif

// ---- what is measured ------------------------------------------------------

void Add(const std::string& name, DataType type, const Bytes& source,
         const LosslessKernels* kernels) {
  AddCase(name + kernels->name + "/encode", [=](benchmark::State& state) {
    Encode(state, type, source, *kernels);
  });
  AddCase(name + kernels->name + "/decode", [=](benchmark::State& state) {
    Decode(state, type, source, *kernels);
  });
}

void AddVector(const std::string& vector, DataType type,
               const std::vector<float>& values, bool all) {
  const auto sets = AvailableLosslessKernels();
  const std::string name = vector + "/" + NameOf(type) + "/";
  const Bytes source = AsElements(type, values);
  for (const LosslessKernels* kernels : all ? sets : sets.last(1)) {
    Add(name, type, source, kernels);
  }
  if (type != DataType::kFloat16) AddZstd(name, type, source);
}

void AddDumps(const char* folder) {
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() != ".f32") continue;
    const std::vector<float> values = ReadDump(entry.path());
    if (values.empty()) continue;
    for (const DataType type : {DataType::kFloat32, DataType::kBfloat16}) {
      AddVector(entry.path().stem().string(), type, values, false);
    }
  }
}

const bool kRegistered = [] {
  for (const DataType type :
       {DataType::kBfloat16, DataType::kFloat32, DataType::kFloat16}) {
    AddVector("gaussian", type, Gradients(0, 0, 0), true);
    AddVector("rows", type, Gradients(0.5, 0, 0), false);
    AddVector("tails", type, Gradients(0.5, 3, 0), false);
    AddVector("wide", type, Gradients(1.5, 2, 0), false);
    AddVector("zeros20", type, Gradients(0.5, 3, 0.2), false);
    AddVector("zeros60", type, Gradients(0.5, 3, 0.6), false);
    AddVector("bits", type, RandomBits(), false);
  }
  if (const char* folder = std::getenv("LOSSLESS_BENCH_DUMPS")) {
    AddDumps(folder);
  }
  RegisterCases();
  return true;
}();

}  // namespace
}  // namespace longhaul
