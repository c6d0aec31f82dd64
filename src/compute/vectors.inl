// Vectors of LH_WIDTH bytes, and 16-bit floats in them: the part of kernels.inl
// (see there) that knows instructions.

#include "compute/kernel_set.h"

namespace longhaul {
namespace {

#define LH_INLINE inline __attribute__((always_inline))

constexpr size_t kWidth = LH_WIDTH;
template <typename T, size_t kBytes>
struct VectorOf {
  typedef T Type __attribute__((vector_size(kBytes)));  // NOLINT: no `using`
};
template <typename T>
using Vector = typename VectorOf<T, kWidth>::Type;
using Raw = Vector<uint32_t>;  // bytes not looked at yet
using HalfVector = VectorOf<uint16_t, kWidth / 2>::Type;

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
  return reinterpret_cast<Vector<float>>(
      _mm512_maskz_cvtph_ps(0xffff, reinterpret_cast<__m256i>(half)));
}
LH_INLINE HalfVector NarrowF16ToHalf(Vector<float> value) {
  return reinterpret_cast<HalfVector>(_mm512_maskz_cvtps_ph(
      0xffff, reinterpret_cast<__m512>(value), _MM_FROUND_TO_NEAREST_INT));
}
LH_INLINE Raw JoinHalves(HalfVector low, HalfVector high) {
  const __m512i first = _mm512_castsi256_si512(reinterpret_cast<__m256i>(low));
  return reinterpret_cast<Raw>(_mm512_maskz_inserti64x4(
      0xff, first, reinterpret_cast<__m256i>(high), 1));
}
#elif defined(__F16C__)
LH_INLINE Vector<float> WidenF16(HalfVector half) {
  return reinterpret_cast<Vector<float>>(
      _mm256_cvtph_ps(reinterpret_cast<__m128i>(half)));
}
LH_INLINE HalfVector NarrowF16ToHalf(Vector<float> value) {
  return reinterpret_cast<HalfVector>(_mm256_cvtps_ph(
      reinterpret_cast<__m256>(value), _MM_FROUND_TO_NEAREST_INT));
}
LH_INLINE Raw JoinHalves(HalfVector low, HalfVector high) {
  return reinterpret_cast<Raw>(_mm256_set_m128i(
      reinterpret_cast<__m128i>(high), reinterpret_cast<__m128i>(low)));
}
#elif defined(__aarch64__)
LH_INLINE Vector<float> WidenF16(HalfVector half) {
  return reinterpret_cast<Vector<float>>(
      vcvt_f32_f16(reinterpret_cast<float16x4_t>(half)));
}
LH_INLINE HalfVector NarrowF16ToHalf(Vector<float> value) {
  return reinterpret_cast<HalfVector>(
      vcvt_f16_f32(reinterpret_cast<float32x4_t>(value)));
}
LH_INLINE Raw JoinHalves(HalfVector low, HalfVector high) {
  return reinterpret_cast<Raw>(vcombine_u16(
      reinterpret_cast<uint16x4_t>(low), reinterpret_cast<uint16x4_t>(high)));
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

}  // namespace
}  // namespace longhaul
