// Every kernel, in vectors of LH_WIDTH bytes: the body of kernels_*.cc, which
// define LH_WIDTH and LH_KERNELS (the name of the table) and include this.
//
// Compiled once per target, so everything is internal to the including source
// and nothing is used that has external inline functions
// (docs/adr/0003-simd-by-translation-unit.md). Vectors are the compilers' own
// (vector_size), hence plain operators. Vectors keep memory order and each
// lane is computed alone, so that all targets give the same bits.

#include "compute/vectors.inl"

namespace longhaul {
namespace {

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
  const auto is_number = v == v;  // NOLINT(misc-redundant-expression)
  return is_number ? v : Splat(static_cast<T>(__builtin_nan("")));
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

// Vectors handled together. Each source is touched 4 vectors at a time, whole
// cache lines; the accumulators stay in registers.
constexpr size_t kUnroll = 4;

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

// The rows of the table.
template <typename Unsigned, typename T>
constexpr KernelSet::Row kIntegers = {
    {kReducer<Integers<Unsigned, Sum>>, kReducer<Integers<Unsigned, Product>>,
     kReducer<Integers<T, Maximum>>, kReducer<Integers<T, Minimum>>}};
template <template <typename, typename> typename Kind, typename T,
          template <typename> typename Extremes>
constexpr KernelSet::Row kFloats = {
    {kReducer<Kind<T, Sum>>, kReducer<Kind<T, Product>>,
     kReducer<Extremes<Maximum>>, kReducer<Extremes<Minimum>>}};

#undef LH_INLINE

}  // namespace

extern const KernelSet LH_KERNELS;
constexpr KernelSet LH_KERNELS = {
    LH_NAME,
    {kIntegers<uint8_t, int8_t>, kIntegers<uint8_t, uint8_t>,
     kIntegers<uint32_t, int32_t>, kIntegers<uint32_t, uint32_t>,
     kIntegers<uint64_t, int64_t>, kIntegers<uint64_t, uint64_t>,
     kFloats<Halves, F16, F16Extremes>, kFloats<Floats, float, F32Extremes>,
     kFloats<Floats, double, F64Extremes>, kFloats<Halves, Bf16, Bf16Extremes>},
    WidenAll<ConvertF16>,
    NarrowAll<ConvertF16>,
    WidenAll<ConvertBf16>,
    NarrowAll<ConvertBf16>,
};

}  // namespace longhaul
