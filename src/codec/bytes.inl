// The low bytes of 32-bit lanes to memory, and bytes to lanes: what compilers
// make of __builtin_convertvector over a factor of four is element by element.
// Part of kernels.inl.

#pragma once

#include "codec/codec_kernels.h"
#include "compute/vectors.inl"

namespace longhaul {
namespace {

constexpr size_t kLanes = kWidth / sizeof(float);
using Floats = Vector<float>;
using Words = Vector<uint32_t>;
using Integers = Vector<int32_t>;

// StoreBytes: the low byte of each lane of kVectors vectors (as many as fill
// 16 bytes, or twice that), in order. LoadBytes, LoadSignedBytes: kLanes bytes.

#if LH_WIDTH == 64
// The forms with a mask (of all lanes) because GCC 12 warns of the others.
template <size_t kVectors>
LH_INLINE void StoreBytes(unsigned char* to, const Words* words) {
  for (size_t v = 0; v < kVectors; ++v) {
    const auto lanes = reinterpret_cast<__m512i>(words[v]);
    Store(to + v * 16, _mm512_maskz_cvtepi32_epi8(0xffff, lanes));
  }
}
LH_INLINE Words LoadBytes(const unsigned char* from) {
  return reinterpret_cast<Words>(
      _mm512_maskz_cvtepu8_epi32(0xffff, Load<__m128i>(from)));
}
LH_INLINE Integers LoadSignedBytes(const unsigned char* from) {
  return reinterpret_cast<Integers>(
      _mm512_maskz_cvtepi8_epi32(0xffff, Load<__m128i>(from)));
}

#elif LH_WIDTH == 32
LH_INLINE __m256i LowBytes(Words words) {
  return reinterpret_cast<__m256i>(words & 0xffU);
}
template <size_t kVectors>
LH_INLINE void StoreBytes(unsigned char* to, const Words* words) {
  // Packing works on halves: the last step puts them in order again.
  const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
  const __m256i first =
      _mm256_packus_epi32(LowBytes(words[0]), LowBytes(words[1]));
  const __m256i last = kVectors == 4
                           ? _mm256_packus_epi32(LowBytes(words[kVectors - 2]),
                                                 LowBytes(words[kVectors - 1]))
                           : first;
  const __m256i bytes =
      _mm256_permutevar8x32_epi32(_mm256_packus_epi16(first, last), order);
  if (kVectors == 4) {
    Store(to, bytes);
  } else {
    Store(to, _mm256_castsi256_si128(bytes));
  }
}
LH_INLINE Words LoadBytes(const unsigned char* from) {
  const __m128i bytes = _mm_cvtsi64_si128(Load<long long>(from));  // NOLINT
  return reinterpret_cast<Words>(_mm256_cvtepu8_epi32(bytes));
}
LH_INLINE Integers LoadSignedBytes(const unsigned char* from) {
  const __m128i bytes = _mm_cvtsi64_si128(Load<long long>(from));  // NOLINT
  return reinterpret_cast<Integers>(_mm256_cvtepi8_epi32(bytes));
}

#else
#ifdef __x86_64__
LH_INLINE __m128i PackLowBytes(const Words* words) {
  __m128i lanes[4];
  for (size_t v = 0; v < 4; ++v) {
    lanes[v] = reinterpret_cast<__m128i>(words[v] & 0xffU);
  }
  return _mm_packus_epi16(_mm_packs_epi32(lanes[0], lanes[1]),
                          _mm_packs_epi32(lanes[2], lanes[3]));
}
template <size_t kVectors>
LH_INLINE void StoreBytes(unsigned char* to, const Words* words) {
  for (size_t v = 0; v < kVectors; v += 4) {
    Store(to + v * kLanes, PackLowBytes(words + v));
  }
}
LH_INLINE Words LoadBytes(const unsigned char* from) {
  const __m128i zero = _mm_setzero_si128();
  const __m128i bytes = _mm_cvtsi32_si128(Load<int>(from));
  return reinterpret_cast<Words>(
      _mm_unpacklo_epi16(_mm_unpacklo_epi8(bytes, zero), zero));
}
LH_INLINE Integers LoadSignedBytes(const unsigned char* from) {
  __m128i bytes = _mm_cvtsi32_si128(Load<int>(from));
  bytes = _mm_unpacklo_epi8(bytes, bytes);
  bytes = _mm_unpacklo_epi16(bytes, bytes);
  return reinterpret_cast<Integers>(_mm_srai_epi32(bytes, 24));
}
#else
// In two steps of a factor of two, which every target has.
using ByteVector = VectorOf<uint8_t, kLanes>::Type;
using SignedByteVector = VectorOf<int8_t, kLanes>::Type;
using ShortVector = VectorOf<int16_t, kLanes * 2>::Type;

template <size_t kVectors>
LH_INLINE void StoreBytes(unsigned char* to, const Words* words) {
  for (size_t v = 0; v < kVectors; ++v) {
    const auto shorts = __builtin_convertvector(words[v], HalfVector);
    Store(to + v * kLanes, __builtin_convertvector(shorts, ByteVector));
  }
}
LH_INLINE Words LoadBytes(const unsigned char* from) {
  const auto shorts =
      __builtin_convertvector(Load<ByteVector>(from), HalfVector);
  return __builtin_convertvector(shorts, Words);
}
LH_INLINE Integers LoadSignedBytes(const unsigned char* from) {
  const auto shorts =
      __builtin_convertvector(Load<SignedByteVector>(from), ShortVector);
  return __builtin_convertvector(shorts, Integers);
}
#endif
#endif

// The greatest of the lanes.
LH_INLINE int32_t LargestLane(Integers v) {
  using Quad = VectorOf<int32_t, 16>::Type;
  Quad quads[kLanes / 4];
  __builtin_memcpy(quads, &v, sizeof v);
  for (size_t half = kLanes / 8; half > 0; half /= 2) {
    for (size_t i = 0; i < half; ++i) {
      const Quad other = quads[i + half];
      quads[i] = other > quads[i] ? other : quads[i];
    }
  }
  Quad q = quads[0];
  Quad turned = __builtin_shufflevector(q, q, 2, 3, 0, 1);
  q = turned > q ? turned : q;
  turned = __builtin_shufflevector(q, q, 1, 0, 3, 2);
  q = turned > q ? turned : q;
  return q[0];
}

}  // namespace
}  // namespace longhaul
