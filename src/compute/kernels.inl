// Every kernel, in vectors of LH_WIDTH bytes: the body of kernels_*.cc, which
// define LH_WIDTH and LH_KERNELS (the name of the table) and include this.
//
// Compiled once per target, so everything is internal to the including source
// and nothing is used that has external inline functions
// (docs/adr/0003-simd-by-translation-unit.md). Vectors are the compilers' own
// (vector_size), hence plain operators. Vectors keep memory order and each
// lane is computed alone, so that all targets give the same bits.

#include "compute/kernel_set.h"

namespace longhaul {
namespace {

#define LH_INLINE inline __attribute__((always_inline))

constexpr size_t kWidth = LH_WIDTH;
// Vectors handled together. Each source is touched 4 vectors at a time, whole
// cache lines; the accumulators stay in registers.
constexpr size_t kUnroll = 4;

template <typename T, size_t kBytes>
struct VectorOf {
  typedef T Type __attribute__((vector_size(kBytes)));  // NOLINT: no `using`
};
template <typename T>
using Vector = typename VectorOf<T, kWidth>::Type;
using Raw = Vector<uint32_t>;  // bytes not looked at yet
using HalfVector = VectorOf<uint16_t, kWidth / 2>::Type;

template <typename T>
struct BitsOf;
template <>
struct BitsOf<float> {
  using Signed = int32_t;
  using Unsigned = uint32_t;
};
template <>
struct BitsOf<double> {
  using Signed = int64_t;
  using Unsigned = uint64_t;
};
template <typename T>
struct UnsignedOf;
template <>
struct UnsignedOf<int16_t> {
  using Type = uint16_t;
};
template <>
struct UnsignedOf<int32_t> {
  using Type = uint32_t;
};
template <>
struct UnsignedOf<int64_t> {
  using Type = uint64_t;
};

template <typename T, typename From>
LH_INLINE Vector<T> As(From from) {
  return reinterpret_cast<Vector<T>>(from);
}

template <typename T>
LH_INLINE Vector<T> Splat(T value) {
  return Vector<T>{} + value;
}

template <typename V>
LH_INLINE V Load(const void* from) {
  V v;
  __builtin_memcpy(&v, from, sizeof v);
  return v;
}

template <typename V>
LH_INLINE void Store(void* to, V v) {
  __builtin_memcpy(to, &v, sizeof v);
}

// ---- f16 and bf16, in the default float mode -------------------------------

// f16, in the low half of each lane, to f32: as an f32 whose exponent is 112
// too small, which a multiplication mends, for subnormals too.
LH_INLINE Vector<float> WidenF16(Vector<uint32_t> half) {
  const auto small = As<float>((half & 0x7fffU) << 13);
  const Vector<float> value = small * As<float>(Splat((127U + 112U) << 23));
  const auto bits = As<uint32_t>(value) | ((half & 0x8000U) << 16);
  // From 2^16 on the exponent was that of infinities and NaNs.
  const Vector<int32_t> special = value >= 65536.0F;
  return As<float>(bits | (As<uint32_t>(special) & 0x7f800000U));
}

// f32 to f16, in the low half of each lane.
LH_INLINE Vector<uint32_t> NarrowF16(Vector<float> value) {
  const auto bits = As<uint32_t>(value);
  const Vector<uint32_t> sign = (bits >> 16) & 0x8000U;
  const Vector<uint32_t> magnitude = bits & 0x7fffffffU;
  const Vector<uint32_t> rounded =
      (magnitude + 0xfffU + ((magnitude >> 13) & 1U) - (112U << 23)) >> 13;
  // Subnormals: the last bit of a float in [0.5, 1) is worth 2^-24, so adding
  // 0.5 rounds to the unit of a subnormal f16.
  const Vector<uint32_t> small =
      As<uint32_t>(As<float>(magnitude) + 0.5F) - 0x3f000000U;
  const Vector<uint32_t> nan = 0x7e00U | ((magnitude >> 13) & 0x3ffU);
  // Compared as signed numbers, which every target can; no sign is set here.
  const auto order = As<int32_t>(magnitude);
  Vector<uint32_t> half = order < 0x38800000 ? small : rounded;
  half = order >= 0x477ff000 ? Splat(0x7c00U) : half;
  half = order > 0x7f800000 ? nan : half;
  return half | sign;
}

// f32 to bf16, in the high half of each lane, for anything but a NaN with a
// payload; the low half is rubbish.
LH_INLINE Vector<uint32_t> RoundBf16(Vector<float> value) {
  const auto bits = As<uint32_t>(value);
  return bits + 0x7fffU + ((bits >> 16) & 1U);
}

LH_INLINE Vector<uint32_t> NarrowBf16(Vector<float> value) {
  const auto bits = As<uint32_t>(value);
  const auto order = As<int32_t>(bits & 0x7fffffffU);
  return (order > 0x7f800000 ? bits | 0x400000U : RoundBf16(value)) >> 16;
}

// A vector of 16-bit values widened to two of f32. Which value goes where is
// the type's own affair, as long as Join undoes what Split does: taking the two
// halves of every 32-bit lane costs no shuffle.
struct Pair {
  Vector<float> a;
  Vector<float> b;
};

struct Bf16 {
  static LH_INLINE Pair Split(Raw raw) {
    return {As<float>(raw << 16), As<float>(raw & 0xffff0000U)};
  }
  static LH_INLINE Raw Join(Pair pair) {
    return RoundBf16(pair.a) >> 16 | (RoundBf16(pair.b) & 0xffff0000U);
  }
};

#if defined(__F16C__) && LH_WIDTH == 64
// The forms with a mask (of all lanes) because GCC 12 warns of the others.
LH_INLINE Vector<float> WidenF16(HalfVector half) {
  return (Vector<float>)_mm512_maskz_cvtph_ps(0xffff, (__m256i)half);
}
LH_INLINE HalfVector NarrowF16ToHalf(Vector<float> value) {
  return (HalfVector)_mm512_maskz_cvtps_ph(0xffff, (__m512)value,
                                           _MM_FROUND_TO_NEAREST_INT);
}
LH_INLINE Raw JoinHalves(HalfVector low, HalfVector high) {
  const __m512i first = _mm512_castsi256_si512((__m256i)low);
  return (Raw)_mm512_maskz_inserti64x4(0xff, first, (__m256i)high, 1);
}
#elif defined(__F16C__)
LH_INLINE Vector<float> WidenF16(HalfVector half) {
  return (Vector<float>)_mm256_cvtph_ps((__m128i)half);
}
LH_INLINE HalfVector NarrowF16ToHalf(Vector<float> value) {
  return (HalfVector)_mm256_cvtps_ph((__m256)value, _MM_FROUND_TO_NEAREST_INT);
}
LH_INLINE Raw JoinHalves(HalfVector low, HalfVector high) {
  return (Raw)_mm256_set_m128i((__m128i)high, (__m128i)low);
}
#elif defined(__aarch64__)
LH_INLINE Vector<float> WidenF16(HalfVector half) {
  return (Vector<float>)vcvt_f32_f16((float16x4_t)half);
}
LH_INLINE HalfVector NarrowF16ToHalf(Vector<float> value) {
  return (HalfVector)vcvt_f16_f32((float32x4_t)value);
}
LH_INLINE Raw JoinHalves(HalfVector low, HalfVector high) {
  return (Raw)vcombine_u16((uint16x4_t)low, (uint16x4_t)high);
}
#else
#define LH_NO_F16_INSTRUCTIONS
LH_INLINE Vector<float> WidenF16(HalfVector half) {
  const auto bits = __builtin_convertvector(half, Vector<uint32_t>);
  const auto wide = As<uint32_t>(WidenF16(bits));
  // The instructions of other targets make a signalling NaN quiet.
  return As<float>((bits & 0x7fffU) > 0x7c00U ? wide | 0x400000U : wide);
}
LH_INLINE HalfVector NarrowF16ToHalf(Vector<float> value) {
  return __builtin_convertvector(NarrowF16(value), HalfVector);
}
#endif

struct F16 {
#ifdef LH_NO_F16_INSTRUCTIONS
  static LH_INLINE Pair Split(Raw raw) {
    return {WidenF16(raw & 0xffffU), WidenF16(raw >> 16)};
  }
  static LH_INLINE Raw Join(Pair pair) {
    return NarrowF16(pair.a) | NarrowF16(pair.b) << 16;
  }
#else
  struct Halves {
    HalfVector low;
    HalfVector high;
  };
  static LH_INLINE Pair Split(Raw raw) {
    Halves halves;
    __builtin_memcpy(&halves, &raw, sizeof halves);
    return {WidenF16(halves.low), WidenF16(halves.high)};
  }
  static LH_INLINE Raw Join(Pair pair) {
    return JoinHalves(NarrowF16ToHalf(pair.a), NarrowF16ToHalf(pair.b));
  }
#endif
};

// ---- what is done to a lane ------------------------------------------------

struct Sum {
  static constexpr bool kDivides = true;
  template <typename V>
  static LH_INLINE V Combine(V a, V b) {
    return a + b;
  }
};

struct Product {
  static constexpr bool kDivides = false;
  template <typename V>
  static LH_INLINE V Combine(V a, V b) {
    return a * b;
  }
};

struct Maximum {
  static constexpr bool kIsMaximum = true;
  template <typename V>
  static LH_INLINE V Combine(V a, V b) {
    return b > a ? b : a;
  }
};

struct Minimum {
  static constexpr bool kIsMaximum = false;
  template <typename V>
  static LH_INLINE V Combine(V a, V b) {
    return b < a ? b : a;
  }
};

template <typename T>
LH_INLINE Vector<T> DivideAndCanonicalise(Vector<T> v, bool divide,
                                          uint32_t divisor) {
  if (divide && divisor != 1) v /= Splat(static_cast<T>(divisor));
  // x86 and Arm differ in the NaN of inf - inf, compilers in which operand's
  // NaN survives a + b.
  return v == v ? v : Splat(static_cast<T>(__builtin_nan("")));
}

// A reducer: how raw bytes enter an accumulator, and leave it.

template <typename T, typename Op>
struct Integers {
  using Accumulator = Vector<T>;
  static LH_INLINE Accumulator First(Raw raw) { return As<T>(raw); }
  static LH_INLINE Accumulator Next(Accumulator a, Raw raw) {
    return Op::Combine(a, As<T>(raw));
  }
  static LH_INLINE Raw Last(Accumulator a, uint32_t) { return As<uint32_t>(a); }
};

template <typename T, typename Op>
struct Floats {
  using Accumulator = Vector<T>;
  static LH_INLINE Accumulator First(Raw raw) { return As<T>(raw); }
  static LH_INLINE Accumulator Next(Accumulator a, Raw raw) {
    return Op::Combine(a, As<T>(raw));
  }
  static LH_INLINE Raw Last(Accumulator a, uint32_t divisor) {
    return As<uint32_t>(DivideAndCanonicalise<T>(a, Op::kDivides, divisor));
  }
};

template <typename Half, typename Op>
struct Halves {
  using Accumulator = Pair;
  static LH_INLINE Accumulator First(Raw raw) { return Half::Split(raw); }
  static LH_INLINE Accumulator Next(Accumulator acc, Raw raw) {
    const Pair next = Half::Split(raw);
    return {Op::Combine(acc.a, next.a), Op::Combine(acc.b, next.b)};
  }
  static LH_INLINE Raw Last(Accumulator acc, uint32_t divisor) {
    return Half::Join(
        {DivideAndCanonicalise<float>(acc.a, Op::kDivides, divisor),
         DivideAndCanonicalise<float>(acc.b, Op::kDivides, divisor)});
  }
};

// The least or greatest float, by integer arithmetic on its bits, whatever the
// width. Flipping the magnitude of negative numbers makes signed order their
// order, with -0 below +0; an offset that wraps then puts the NaNs of both
// signs beyond the infinity that wins, so that they win over everything.
template <typename Signed, Signed kInfinity, Signed kCanonicalNan, typename Op>
struct FloatExtremes {
  using Unsigned = typename UnsignedOf<Signed>::Type;
  static constexpr auto kTop =
      static_cast<Unsigned>(Unsigned{1} << (sizeof(Signed) * 8 - 1));
  static constexpr auto kMagnitude = static_cast<Unsigned>(kTop - 1);
  static constexpr auto kPositive = static_cast<Unsigned>(kInfinity);
  static constexpr auto kNegative = static_cast<Unsigned>(~kPositive);
  // The losing infinity becomes the last integer of the order.
  static constexpr auto kOffset = static_cast<Unsigned>(
      Op::kIsMaximum ? kTop - kNegative : kMagnitude - kPositive);
  static constexpr auto kWinner = static_cast<Signed>(static_cast<Unsigned>(
      (Op::kIsMaximum ? kPositive : kNegative) + kOffset));

  using Accumulator = Vector<Signed>;
  static LH_INLINE Vector<Signed> Flip(Vector<Signed> bits) {
    return bits ^ ((bits < 0) & static_cast<Signed>(kMagnitude));
  }
  static LH_INLINE Accumulator First(Raw raw) {
    return As<Signed>(As<Unsigned>(Flip(As<Signed>(raw))) + kOffset);
  }
  static LH_INLINE Accumulator Next(Accumulator a, Raw raw) {
    return Op::Combine(a, First(raw));
  }
  static LH_INLINE Raw Last(Accumulator a, uint32_t) {
    const Vector<Signed> number = Flip(As<Signed>(As<Unsigned>(a) - kOffset));
    const auto is_nan = Op::kIsMaximum ? a > kWinner : a < kWinner;
    return As<uint32_t>(is_nan ? Splat(kCanonicalNan) : number);
  }
};

template <typename Op>
using F64Extremes =
    FloatExtremes<int64_t, 0x7ff0000000000000, 0x7ff8000000000000, Op>;
template <typename Op>
using F32Extremes = FloatExtremes<int32_t, 0x7f800000, 0x7fc00000, Op>;
template <typename Op>
using F16Extremes = FloatExtremes<int16_t, 0x7c00, 0x7e00, Op>;
template <typename Op>
using Bf16Extremes = FloatExtremes<int16_t, 0x7f80, 0x7fc0, Op>;

// ---- loops -----------------------------------------------------------------

// kVectors vectors at byte `at`: all sources are read before anything is
// written, so the target may be any of them.
template <typename Reducer, size_t kVectors>
LH_INLINE void ReduceBlock(unsigned char* target,
                           const unsigned char* const* sources,
                           size_t source_count, size_t at, uint32_t divisor) {
  typename Reducer::Accumulator accumulators[kVectors];
  for (size_t v = 0; v < kVectors; ++v) {
    accumulators[v] = Reducer::First(Load<Raw>(sources[0] + at + v * kWidth));
  }
  for (size_t s = 1; s < source_count; ++s) {
    const unsigned char* source = sources[s] + at;
    for (size_t v = 0; v < kVectors; ++v) {
      accumulators[v] =
          Reducer::Next(accumulators[v], Load<Raw>(source + v * kWidth));
    }
  }
  for (size_t v = 0; v < kVectors; ++v) {
    Store(target + at + v * kWidth, Reducer::Last(accumulators[v], divisor));
  }
}

LH_INLINE Raw LoadPart(const unsigned char* from, size_t bytes) {
  Raw raw{};
  __builtin_memcpy(&raw, from, bytes);
  return raw;
}

// What is left at the end, less than a vector.
template <typename Reducer>
__attribute__((noinline)) void ReducePart(unsigned char* target,
                                          const unsigned char* const* sources,
                                          size_t source_count, size_t at,
                                          size_t bytes, uint32_t divisor) {
  auto accumulator = Reducer::First(LoadPart(sources[0] + at, bytes));
  for (size_t s = 1; s < source_count; ++s) {
    accumulator = Reducer::Next(accumulator, LoadPart(sources[s] + at, bytes));
  }
  const Raw raw = Reducer::Last(accumulator, divisor);
  __builtin_memcpy(target + at, &raw, bytes);
}

template <typename Reducer>
LH_INLINE void ReduceAll(unsigned char* target,
                         const unsigned char* const* sources,
                         size_t source_count, size_t bytes, uint32_t divisor) {
  size_t at = 0;
  for (; bytes - at >= kUnroll * kWidth; at += kUnroll * kWidth) {
    ReduceBlock<Reducer, kUnroll>(target, sources, source_count, at, divisor);
  }
  for (; bytes - at >= kWidth; at += kWidth) {
    ReduceBlock<Reducer, 1>(target, sources, source_count, at, divisor);
  }
  if (at < bytes) {
    ReducePart<Reducer>(target, sources, source_count, at, bytes - at, divisor);
  }
}

template <typename Reducer>
void ReduceTwo(void* target, const void* const* sources, size_t, size_t bytes,
               uint32_t divisor) {
  const unsigned char* const local[2] = {
      static_cast<const unsigned char*>(sources[0]),
      static_cast<const unsigned char*>(sources[1])};
  ReduceAll<Reducer>(static_cast<unsigned char*>(target), local, 2, bytes,
                     divisor);
}

template <typename Reducer>
void ReduceAny(void* target, const void* const* sources, size_t source_count,
               size_t bytes, uint32_t divisor) {
  ReduceAll<Reducer>(static_cast<unsigned char*>(target),
                     reinterpret_cast<const unsigned char* const*>(sources),
                     source_count, bytes, divisor);
}

// A vector of 16-bit values to f32 and back, in memory order.
struct ConvertF16 {
  static LH_INLINE Vector<float> Widen(HalfVector half) {
    return WidenF16(half);
  }
  static LH_INLINE HalfVector Narrow(Vector<float> value) {
    return NarrowF16ToHalf(value);
  }
};
struct ConvertBf16 {
  static LH_INLINE Vector<float> Widen(HalfVector half) {
    return As<float>(__builtin_convertvector(half, Vector<uint32_t>) << 16);
  }
  static LH_INLINE HalfVector Narrow(Vector<float> value) {
    return __builtin_convertvector(NarrowBf16(value), HalfVector);
  }
};

template <typename Type>
void WidenAll(void* target, const void* source, size_t count) {
  constexpr size_t kLanes = kWidth / sizeof(float);
  auto* to = static_cast<unsigned char*>(target);
  const auto* from = static_cast<const unsigned char*>(source);
  for (; count >= kLanes; count -= kLanes) {
    Store(to, Type::Widen(Load<HalfVector>(from)));
    to += kWidth;
    from += kWidth / 2;
  }
  HalfVector half{};
  __builtin_memcpy(&half, from, count * 2);
  const Vector<float> wide = Type::Widen(half);
  __builtin_memcpy(to, &wide, count * 4);
}

template <typename Type>
void NarrowAll(void* target, const void* source, size_t count) {
  constexpr size_t kLanes = kWidth / sizeof(float);
  auto* to = static_cast<unsigned char*>(target);
  const auto* from = static_cast<const unsigned char*>(source);
  for (; count >= kLanes; count -= kLanes) {
    Store(to, Type::Narrow(Load<Vector<float>>(from)));
    to += kWidth / 2;
    from += kWidth;
  }
  Vector<float> wide{};
  __builtin_memcpy(&wide, from, count * 4);
  const HalfVector half = Type::Narrow(wide);
  __builtin_memcpy(to, &half, count * 2);
}

template <typename Reducer>
constexpr KernelSet::Reducer kReducer = {ReduceTwo<Reducer>,
                                         ReduceAny<Reducer>};

#undef LH_INLINE

}  // namespace

// Rows in the order of DataType, columns in that of ReduceOp.
#define LH_INTEGERS(U, T)                                              \
  {                                                                    \
    kReducer<Integers<U, Sum>>, kReducer<Integers<U, Product>>,        \
        kReducer<Integers<T, Maximum>>, kReducer<Integers<T, Minimum>> \
  }
#define LH_FLOATS(Kind, T, Extremes)                             \
  {                                                              \
    kReducer<Kind<T, Sum>>, kReducer<Kind<T, Product>>,          \
        kReducer<Extremes<Maximum>>, kReducer<Extremes<Minimum>> \
  }
extern const KernelSet LH_KERNELS;
constexpr KernelSet LH_KERNELS = {
    LH_NAME,
    {LH_INTEGERS(uint8_t, int8_t), LH_INTEGERS(uint8_t, uint8_t),
     LH_INTEGERS(uint32_t, int32_t), LH_INTEGERS(uint32_t, uint32_t),
     LH_INTEGERS(uint64_t, int64_t), LH_INTEGERS(uint64_t, uint64_t),
     LH_FLOATS(Halves, F16, F16Extremes), LH_FLOATS(Floats, float, F32Extremes),
     LH_FLOATS(Floats, double, F64Extremes),
     LH_FLOATS(Halves, Bf16, Bf16Extremes)},
    WidenAll<ConvertF16>,
    NarrowAll<ConvertF16>,
    WidenAll<ConvertBf16>,
    NarrowAll<ConvertBf16>,
};
#undef LH_INTEGERS
#undef LH_FLOATS

}  // namespace longhaul
