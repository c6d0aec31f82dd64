// Rotation of a block: a normed Hadamard transform of its elements, each times
// a sign of its own first, which spreads what is large in a few of them over
// all. Part of kernels.inl.
//
// Every sum has two operands and its place in a tree that does not depend on
// the width of vectors: all targets give the same bits.

#pragma once

#include "codec/block.inl"

namespace longhaul {
namespace {

// The lanes whose number differs in one bit, kStride, change places.
template <size_t kStride>
LH_INLINE Floats SwapLanes(Floats v) {
#if LH_WIDTH == 64
  if constexpr (kStride == 8) {
    return __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2,
                                   3, 4, 5, 6, 7);
  } else if constexpr (kStride == 4) {
    return __builtin_shufflevector(v, v, 4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15,
                                   8, 9, 10, 11);
  } else if constexpr (kStride == 2) {
    return __builtin_shufflevector(v, v, 2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9,
                                   14, 15, 12, 13);
  } else {
    return __builtin_shufflevector(v, v, 1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10,
                                   13, 12, 15, 14);
  }
#elif LH_WIDTH == 32
  if constexpr (kStride == 4) {
    return __builtin_shufflevector(v, v, 4, 5, 6, 7, 0, 1, 2, 3);
  } else if constexpr (kStride == 2) {
    return __builtin_shufflevector(v, v, 2, 3, 0, 1, 6, 7, 4, 5);
  } else {
    return __builtin_shufflevector(v, v, 1, 0, 3, 2, 5, 4, 7, 6);
  }
#else
  if constexpr (kStride == 2) {
    return __builtin_shufflevector(v, v, 2, 3, 0, 1);
  } else {
    return __builtin_shufflevector(v, v, 1, 0, 3, 2);
  }
#endif
}

// a + b in the lane of a, a - b in that of b.
template <size_t kStride>
LH_INLINE Floats AddLanes(Floats v) {
  Words signs{};
  for (uint32_t i = 0; i < kLanes; ++i) {
    signs[i] = (i & kStride) != 0 ? 0x80000000U : 0;
  }
  return SwapLanes<kStride>(v) + As<float>(As<uint32_t>(v) ^ signs);
}

LH_INLINE Floats AddAllLanes(Floats v) {
  v = AddLanes<2>(AddLanes<1>(v));
  if constexpr (kLanes >= 8) v = AddLanes<4>(v);
  if constexpr (kLanes >= 16) v = AddLanes<8>(v);
  return v;
}

// `count` f32s, a power of two from kLanes on.
LH_INLINE void Transform(unsigned char* block, size_t count) {
  for (size_t i = 0; i < count; i += kLanes) {
    Store(block + i * 4, AddAllLanes(Load<Floats>(block + i * 4)));
  }
  for (size_t stride = kLanes; stride < count; stride *= 2) {
    for (size_t i = 0; i < count; i += kLanes) {
      if ((i & stride) != 0) continue;
      unsigned char* a = block + i * 4;
      unsigned char* b = a + stride * 4;
      const auto left = Load<Floats>(a);
      const auto right = Load<Floats>(b);
      Store(a, left + right);
      Store(b, left - right);
    }
  }
}

// What a rotation multiplies elements by: 1 / sqrt(block), with a sign per
// place that is the same everywhere: the top bit of a hash of the place.
struct Rotation {
  unsigned char signed_norm[kLargestBlock * 4];
};

LH_INLINE void MakeRotation(size_t block, Rotation& rotation) {
  const float norm = block == 32    ? 0x1.6a09e6p-3F
                     : block == 64  ? 0x1p-3F
                     : block == 128 ? 0x1.6a09e6p-4F
                                    : 0x1p-4F;
  Words places = FirstPlaces();
  for (size_t i = 0; i < block; i += kLanes) {
    const Words sign = Mixed(places, {0, 0}) & 0x80000000U;
    Store(rotation.signed_norm + i * 4, sign | BitsOf(norm));
    places += static_cast<uint32_t>(kLanes) * kPlace;
  }
}

LH_INLINE Floats SignedNorm(const Rotation& rotation, size_t place) {
  return Load<Floats>(rotation.signed_norm + place * 4);
}

}  // namespace
}  // namespace longhaul
