#include "kernel/reduce.h"

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_fp8.h>
#include <nccl.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <type_traits>

#include "kernel/block.h"

namespace nccl_cpu {
namespace {

using nccl_abi::kOpMinMax;
using nccl_abi::kOpPreMulSum;
using nccl_abi::kOpProd;
using nccl_abi::kOpSumPostDiv;

// A codec has a type to store, a type to compute in, and the way between them.
template <typename T>
struct Native {
  using Storage = T;
  using Arithmetic = T;
  static T Load(T value) { return value; }
  static T Store(T value) { return value; }
};

struct Half {
  using Storage = __half_raw;
  using Arithmetic = float;
  static float Load(__half_raw value) { return __half2float(__half(value)); }
  static __half_raw Store(float value) { return __float2half_rn(value); }
};

struct Bfloat {
  using Storage = __nv_bfloat16_raw;
  using Arithmetic = float;
  static float Load(__nv_bfloat16_raw value) {
    return __bfloat162float(__nv_bfloat16(value));
  }
  static __nv_bfloat16_raw Store(float value) {
    return __float2bfloat16_rn(value);
  }
};

template <__nv_fp8_interpretation_t Kind>
struct Fp8 {
  using Storage = __nv_fp8_storage_t;
  using Arithmetic = float;
  static float Load(Storage value) {
    return Half::Load(__nv_cvt_fp8_to_halfraw(value, Kind));
  }
  static Storage Store(float value) {
    return __nv_cvt_float_to_fp8(value, __NV_SATFINITE, Kind);
  }
};

// All sources of a block are read before anything of it is written.
constexpr size_t kBlockElements = 1024;

template <typename T>
T LoadBytes(const void* from) {
  T value;
  memcpy(&value, from, sizeof value);
  return value;
}

// The integer average: divide towards zero. Its argument is the divisor, and in
// the lowest bit whether the type is signed.
template <typename T>
T AverageDivide(T value, uint64_t arg) {
  if constexpr (std::is_integral_v<T>) {
    const uint32_t divisor = static_cast<uint32_t>(arg) >> 1;
    if (divisor == 0) return value;
    if ((arg & 1) != 0) {
      return static_cast<T>(
          static_cast<int64_t>(static_cast<std::make_signed_t<T>>(value)) /
          int64_t{divisor});
    }
    return static_cast<T>(static_cast<std::make_unsigned_t<T>>(value) /
                          divisor);
  } else {
    return value;
  }
}

template <typename T>
T MinMax(T a, T b, uint64_t arg) {
  if constexpr (std::is_integral_v<T>) {
    // The argument is xor-ed in so that one unsigned comparison serves minimum
    // and maximum, signed and unsigned.
    using Unsigned = std::make_unsigned_t<T>;
    const auto mask = static_cast<Unsigned>(arg);
    return (static_cast<Unsigned>(a) ^ mask) < (static_cast<Unsigned>(b) ^ mask)
               ? a
               : b;
  } else {
    if (a != a) return b;  // NaN yields
    if (b != b) return a;
    return (arg & 1) != 0 ? std::max(a, b) : std::min(a, b);
  }
}

template <typename Codec>
class Reducer {
 public:
  Reducer(const Reduction& reduction, Steps steps)
      : reduction_(reduction), steps_(steps) {}

  // `at`: byte offset of the block; `count`: at most kBlockElements.
  void Block(std::span<char* const> sources, std::span<char* const> targets,
             size_t at, size_t count) {
    const char* first = sources[0] + at;
    for (size_t i = 0; i < count; ++i) sum_[i] = ElementAt(first, i);
    if (steps_.pre && reduction_.op == kOpPreMulSum) {
      const Arithmetic scale = Codec::Load(LoadBytes<Storage>(&reduction_.arg));
      for (size_t i = 0; i < count; ++i) sum_[i] = Rounded(sum_[i] * scale);
    }
    for (const char* source : sources.subspan(1)) Add(source + at, count);
    if (steps_.post && reduction_.op == kOpSumPostDiv) {
      for (size_t i = 0; i < count; ++i) {
        sum_[i] = AverageDivide(sum_[i], reduction_.arg);
      }
    }
    for (size_t i = 0; i < count; ++i) out_[i] = Codec::Store(sum_[i]);
    for (char* target : targets) {
      memcpy(target + at, out_, count * sizeof(Storage));
    }
  }

 private:
  using Storage = typename Codec::Storage;
  using Arithmetic = typename Codec::Arithmetic;

  static Arithmetic ElementAt(const char* source, size_t index) {
    return Codec::Load(LoadBytes<Storage>(source + index * sizeof(Storage)));
  }
  // What is left of a result once it is stored.
  template <typename T>
  static Arithmetic Rounded(T value) {
    return Codec::Load(Codec::Store(static_cast<Arithmetic>(value)));
  }

  void Add(const char* source, size_t count) {
    switch (reduction_.op) {
      case kOpProd:
        for (size_t i = 0; i < count; ++i) {
          sum_[i] = Rounded(sum_[i] * ElementAt(source, i));
        }
        return;
      case kOpMinMax:
        for (size_t i = 0; i < count; ++i) {
          sum_[i] = MinMax(sum_[i], ElementAt(source, i), reduction_.arg);
        }
        return;
      default:  // sums, scaled before or divided after
        for (size_t i = 0; i < count; ++i) {
          sum_[i] = Rounded(sum_[i] + ElementAt(source, i));
        }
        return;
    }
  }

  const Reduction reduction_;
  const Steps steps_;
  alignas(64) Arithmetic sum_[kBlockElements];
  alignas(64) Storage out_[kBlockElements];
};

template <typename Codec>
void Reduce(const Reduction& reduction, Steps steps,
            std::span<char* const> sources, std::span<char* const> targets,
            size_t count) {
  Reducer<Codec> reducer(reduction, steps);
  for (size_t base = 0; base < count; base += kBlockElements) {
    reducer.Block(sources, targets, base * sizeof(typename Codec::Storage),
                  std::min(kBlockElements, count - base));
  }
}

}  // namespace

size_t TypeSize(int type) {
  switch (type) {
    case ncclInt8:
    case ncclUint8:
    case ncclFloat8e4m3:
    case ncclFloat8e5m2:
      return 1;
    case ncclFloat16:
    case ncclBfloat16:
      return 2;
    case ncclInt32:
    case ncclUint32:
    case ncclFloat32:
      return 4;
    default:
      return 8;
  }
}

void ReduceCopy(const Reduction& reduction, Steps steps,
                std::span<char* const> sources, std::span<char* const> targets,
                size_t count) {
  if (count == 0 || sources.empty() || targets.empty()) return;
  const bool changes = (steps.pre && reduction.op == kOpPreMulSum) ||
                       (steps.post && reduction.op == kOpSumPostDiv);
  if (sources.size() == 1 && !changes) {
    for (char* target : targets) {
      if (target == sources[0]) continue;
      memmove(target, sources[0], count * TypeSize(reduction.type));
    }
    return;
  }
  switch (reduction.type) {
    case ncclInt8:
      return Reduce<Native<int8_t>>(reduction, steps, sources, targets, count);
    case ncclUint8:
      return Reduce<Native<uint8_t>>(reduction, steps, sources, targets, count);
    case ncclInt32:
      return Reduce<Native<int32_t>>(reduction, steps, sources, targets, count);
    case ncclUint32:
      return Reduce<Native<uint32_t>>(reduction, steps, sources, targets,
                                      count);
    case ncclInt64:
      return Reduce<Native<int64_t>>(reduction, steps, sources, targets, count);
    case ncclUint64:
      return Reduce<Native<uint64_t>>(reduction, steps, sources, targets,
                                      count);
    case ncclFloat32:
      return Reduce<Native<float>>(reduction, steps, sources, targets, count);
    case ncclFloat64:
      return Reduce<Native<double>>(reduction, steps, sources, targets, count);
    case ncclFloat16:
      return Reduce<Half>(reduction, steps, sources, targets, count);
    case ncclBfloat16:
      return Reduce<Bfloat>(reduction, steps, sources, targets, count);
    case ncclFloat8e4m3:
      return Reduce<Fp8<__NV_E4M3>>(reduction, steps, sources, targets, count);
    case ncclFloat8e5m2:
      return Reduce<Fp8<__NV_E5M2>>(reduction, steps, sources, targets, count);
    default:
      Unsupported("a reduction in type " + std::to_string(reduction.type));
  }
}

uint64_t LoadReductionArg(int op, int type, const void* from) {
  uint64_t arg = 0;
  memcpy(&arg, from, op == kOpSumPostDiv ? sizeof arg : TypeSize(type));
  return arg;
}

}  // namespace nccl_cpu
