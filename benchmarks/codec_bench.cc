// Codecs beside a memcpy of the same f32s measured in the same run.
//
// Every iteration times the copy and the codec in turn, so that both see the
// same machine, in processor time of the thread, so that others who share it
// count little. Counters, all medians over the iterations: `GB/s` of f32 (or of
// the elements named) put in or got out; `memcpy`, the same of the copy;
// `%memcpy`, the first in hundredths of the second, iteration by iteration.
// `both` is an encode and a decode, one after the other.
#include <benchmark/benchmark.h>
#include <longhaul/codec.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <ctime>
#include <random>
#include <string>
#include <vector>

#include "codec/codec.h"
#include "codec/dispatch.h"
#include "compute/convert.h"

namespace longhaul {
namespace {

enum class What : uint8_t {
  kEncode,
  kDecode,
  kDecodeAdd,
  kEncodeDecode,
  kBoth,
};

const char* NameOf(What what) {
  switch (what) {
    case What::kEncode:
      return "encode";
    case What::kDecode:
      return "decode";
    case What::kDecodeAdd:
      return "decode_add";
    case What::kEncodeDecode:
      return "encode_decode";
    case What::kBoth:
      return "both";
  }
  return "?";
}

struct Case {
  std::string spec;
  DataType type;
  What what;
  const CodecKernels* kernels;
};

std::vector<Case>& Cases() {
  static std::vector<Case> cases;
  return cases;
}

double ProcessorSeconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) +
         static_cast<double>(now.tv_nsec) * 1e-9;
}

// Of one run among several. The first one, which fetches what others evicted,
// is not timed.
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

// Gaussian, as elements of the type.
std::vector<uint8_t> MakeSource(DataType type, size_t count) {
  std::mt19937_64 random(1);
  std::normal_distribution<float> gaussian(0, 0.01F);
  std::vector<float> values(count);
  for (float& value : values) value = gaussian(random);
  std::vector<uint8_t> bytes(count * SizeOf(type));
  if (type == DataType::kFloat16) {
    ConvertF32ToF16(bytes.data(), values.data(), count);
  } else if (type == DataType::kBfloat16) {
    ConvertF32ToBf16(bytes.data(), values.data(), count);
  } else {
    std::memcpy(bytes.data(), values.data(), bytes.size());
  }
  return bytes;
}

// One codec with all its memory.
class Work {
 public:
  Work(const Case& c, size_t count)
      : what_(c.what),
        codec_(
            Codec::Create(CodecSpec::Parse(c.spec).value(), c.type, *c.kernels)
                .value()),
        count_(count),
        source_(MakeSource(c.type, count)),
        encoded_(codec_.EncodedSize(count)),
        target_(count) {
    Encode();
  }

  void operator()() {
    switch (what_) {
      case What::kEncode:
        return Encode();
      case What::kDecode:
        return Decode();
      case What::kDecodeAdd:
        return Require(codec_.DecodeAdd(encoded_.data(), encoded_.size(),
                                        count_, target_.data()));
      case What::kEncodeDecode:
        return codec_.EncodeDecode(source_.data(), count_, encoded_.data(),
                                   target_.data(), {1, 0});
      case What::kBoth:
        Encode();
        return Decode();
    }
  }
  void Copy() { std::memcpy(target_.data(), source_.data(), source_.size()); }
  size_t source_bytes() const { return source_.size(); }

 private:
  void Encode() {
    codec_.Encode(source_.data(), count_, encoded_.data(), {1, 0});
  }
  void Decode() {
    Require(codec_.Decode(encoded_.data(), encoded_.size(), count_,
                          target_.data()));
  }
  static void Require(bool decoded) {
    if (!decoded) std::abort();
  }

  What what_;
  Codec codec_;
  size_t count_;
  std::vector<uint8_t> source_;
  std::vector<uint8_t> encoded_;
  std::vector<float> target_;
};

void RunCodec(benchmark::State& state) {
  const auto count = static_cast<size_t>(state.range(0)) / sizeof(float);
  Work work(Cases()[static_cast<size_t>(state.range(1))], count);
  const auto bytes = static_cast<double>(work.source_bytes());
  const size_t runs = std::max<size_t>(1, (4 << 20) / work.source_bytes());

  std::vector<double> copies;
  std::vector<double> rates;
  std::vector<double> percents;
  for ([[maybe_unused]] auto _ : state) {
    copies.push_back(bytes / SecondsOf(runs, [&] { work.Copy(); }));
    const double seconds = SecondsOf(runs, [&] { work(); });
    rates.push_back(bytes / seconds);
    percents.push_back(100 * rates.back() / copies.back());
    state.SetIterationTime(seconds);
  }
  state.counters["GB/s"] = Median(rates) * 1e-9;
  state.counters["memcpy"] = Median(copies) * 1e-9;
  state.counters["%memcpy"] = Median(percents);
}

void Register(const Case& c) {
  const std::string name = c.spec + "/" + longhaul::NameOf(c.type) + "/" +
                           NameOf(c.what) + "/" + c.kernels->name;
  const auto index = static_cast<int64_t>(Cases().size());
  Cases().push_back(c);
  benchmark::internal::Function* const run = RunCodec;
  benchmark::RegisterBenchmark(name.c_str(), run)
      ->ArgNames({"bytes_of_f32", "case"})
      ->Args({1 << 20, index})
      ->Args({64 << 20, index})
      ->UseManualTime()
      ->MinTime(0.1);
}

constexpr What kAll[] = {What::kEncode, What::kDecode, What::kDecodeAdd,
                         What::kEncodeDecode, What::kBoth};

const bool kRegistered = [] {
  const auto sets = AvailableCodecKernels();
  const CodecKernels* best = sets.back();
  for (const char* spec :
       {"none", "bf16", "f16", "int8", "int8:block=256",
        "int8:rounding=stochastic", "int4", "int4:block=64",
        "int4:rounding=stochastic", "e4m3", "e5m2", "e4m3:rounding=stochastic",
        "int8:rotate", "int4:rotate"}) {
    for (const What what : kAll) {
      Register({spec, DataType::kFloat32, what, best});
    }
  }
  for (const DataType type : {DataType::kFloat16, DataType::kBfloat16}) {
    Register({"int8", type, What::kBoth, best});
    Register({"int4", type, What::kBoth, best});
  }
  for (const CodecKernels* kernels : sets.first(sets.size() - 1)) {
    for (const char* spec : {"bf16", "int8", "int8:rounding=stochastic", "int4",
                             "int4:rounding=stochastic"}) {
      Register({spec, DataType::kFloat32, What::kEncode, kernels});
      Register({spec, DataType::kFloat32, What::kDecode, kernels});
      Register({spec, DataType::kFloat32, What::kBoth, kernels});
    }
  }
  return true;
}();

}  // namespace
}  // namespace longhaul
