// int8 and int4 with a scale per block. Part of kernels.inl.
//
// A block in bytes: the upper half of the scale's f32, little-endian, then the
// codes of its elements. The whole of it depends on the block (and the seed)
// alone. A block of zeros has a scale of zero; one that holds what is no number
// has kNanScale; the codes of both are zeros.

#pragma once

#include "codec/lanes.inl"

namespace longhaul {
namespace {

constexpr size_t kLargestBlock = 256;
constexpr size_t kScaleBytes = 2;
constexpr uint32_t kNanScale = 0x7fc0;
constexpr uint32_t kInfinity = 0x7f800000;
// From here on a scale is normal, and has a reciprocal.
constexpr uint32_t kLeastPlainScale = 0x0080;
// Adding it to a float between -2^22 and 2^22 rounds that to an integer, to
// nearest even, and leaves the integer in the low bits of the sum.
constexpr float kRounder = 0x1.8p23F;

LH_INLINE float FloatOf(uint32_t bits) {
  float value;
  __builtin_memcpy(&value, &bits, sizeof value);
  return value;
}

LH_INLINE uint32_t BitsOf(float value) {
  uint32_t bits;
  __builtin_memcpy(&bits, &value, sizeof bits);
  return bits;
}

LH_INLINE void StoreScale(unsigned char* to, uint32_t scale) {
  to[0] = static_cast<unsigned char>(scale & 0xffU);
  to[1] = static_cast<unsigned char>(scale >> 8);
}

LH_INLINE uint32_t LoadScale(const unsigned char* from) {
  return uint32_t{from[0]} | uint32_t{from[1]} << 8;
}

// ---- stochastic rounding ---------------------------------------------------

// The random bits of a block: two words per (seed, number of the block), and
// from them, in Offsets, one per place in the block. The multipliers are
// those of splitmix64 and of MurmurHash3's finaliser, chosen by their authors
// so that every bit of input moves every bit of output about half of the time.
struct Dice {
  uint32_t first;
  uint32_t second;
};

LH_INLINE Dice DiceOf(uint64_t seed, uint64_t block) {
  uint64_t z = seed + (block + 1) * 0x9e3779b97f4a7c15U;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9U;
  z = (z ^ z >> 27) * 0x94d049bb133111ebU;
  z ^= z >> 31;
  return {static_cast<uint32_t>(z), static_cast<uint32_t>(z >> 32)};
}

constexpr uint32_t kPlace = 0x9e3779b9U;

// The places 0, 1, ... times kPlace.
LH_INLINE Words FirstPlaces() {
  Words places{};
  for (uint32_t i = 0; i < kLanes; ++i) places[i] = i * kPlace;
  return places;
}

// One of (k + 1/2) / 2^14 - 1/2 per lane, k from 0 to 2^14 - 1: what is added
// to an element before it is rounded to the nearest code. Never so near to 1/2
// that the error of a quotient would round a whole number up or down.
LH_INLINE Floats Offsets(Dice dice, Words places) {
  Words h = places + dice.first;
  h = (h ^ h >> 16) * 0x85ebca6bU + dice.second;
  h = (h ^ h >> 13) * 0xc2b2ae35U;
  return As<float>(((h >> 9) & 0x007ffe00U) | 0x3f800100U) - 1.5F;
}

// ---- encoding --------------------------------------------------------------

// The bits of max|x| over `count` elements, a multiple of kGroup. NaNs are
// greater than infinity, and that is greater than numbers.
template <typename Element>
LH_INLINE uint32_t LargestMagnitude(const unsigned char* from, size_t count) {
  Integers largest[2] = {};
  for (size_t i = 0; i < count; i += kGroup) {
    for (size_t v = 0; v < kGroupVectors; ++v) {
      const Floats x = Element::Load(from + (i + v * kLanes) * Element::kSize);
      const Integers magnitude = As<int32_t>(x) & 0x7fffffff;
      Integers& so_far = largest[v % 2];
      so_far = magnitude > so_far ? magnitude : so_far;
    }
  }
  return static_cast<uint32_t>(
      LargestLane(largest[1] > largest[0] ? largest[1] : largest[0]));
}

// The upper half of the scale's f32: the least bf16 that is not less than the
// greatest magnitude over the greatest code. For infinities and NaNs, rubbish.
template <typename Bits>
LH_INLINE uint32_t ScaleFor(uint32_t magnitude) {
  return (BitsOf(FloatOf(magnitude) / Bits::kLargest) + 0xffffU) >> 16;
}

struct Scaling {
  float reciprocal;  // of the scale, times what is encoded
  float scale;
  Dice dice;
};

template <typename Bits, typename Element, bool kStochastic, bool kDecodes>
LH_INLINE void EncodeCodes(const unsigned char* from, size_t count,
                           const Scaling& scaling, unsigned char* to,
                           unsigned char* decoded) {
  Words places = kStochastic ? FirstPlaces() : Words{};
  for (size_t i = 0; i < count; i += kGroup) {
    Words codes[kGroupVectors];
    for (size_t v = 0; v < kGroupVectors; ++v) {
      const size_t at = i + v * kLanes;
      Floats x = Element::Load(from + at * Element::kSize);
      x *= scaling.reciprocal;
      if (kStochastic) {
        x += Offsets(scaling.dice, places);
        places += static_cast<uint32_t>(kLanes) * kPlace;
      }
      const Floats rounded = x + kRounder;
      codes[v] = As<uint32_t>(rounded);
      if (kDecodes) {
        Store(decoded + at * 4, (rounded - kRounder) * scaling.scale);
      }
    }
    Bits::Pack(to, codes);
    to += Bits::kGroupBytes;
  }
}

// A block without a scale, or with one that cannot serve as it is: of what is
// encoded, a copy, a scale too small for a reciprocal is made larger, and
// elements beyond the last code (by a rounding error, or because there is no
// greater scale) are brought back.
template <typename Bits, typename Element, bool kStochastic, bool kDecodes>
__attribute__((noinline)) void EncodeOddBlock(const unsigned char* from,
                                              size_t count, uint32_t magnitude,
                                              Dice dice, unsigned char* to,
                                              unsigned char* decoded) {
  uint32_t upper = ScaleFor<Bits>(magnitude);
  if (upper > Bits::kTopScale) upper = Bits::kTopScale;
  if (upper == 0 && magnitude != 0) upper = 1;
  if (magnitude >= kInfinity) upper = kNanScale;
  StoreScale(to, upper);
  const bool has_codes = upper != 0 && upper != kNanScale;
  const float scale = FloatOf(upper << 16);
  const float raise = upper < kLeastPlainScale ? 0x1p64F : 1.0F;
  const float largest = scale * raise * Bits::kLargest;
  unsigned char raised[kLargestBlock * 4];
  for (size_t i = 0; i < count; i += kLanes) {
    Floats x = Element::Load(from + i * Element::kSize) * raise;
    x = x > largest ? Splat(largest) : x;
    x = x < -largest ? Splat(-largest) : x;
    Store(raised + i * 4, has_codes ? x : Floats{});
  }
  // Zeros have the code zero, whatever the rounding.
  const Scaling scaling = {has_codes ? 1.0F / (scale * raise) : 0.0F, scale,
                           dice};
  EncodeCodes<Bits, F32Element, kStochastic, kDecodes>(
      raised, count, scaling, to + kScaleBytes, decoded);
}

// `count` is a multiple of kGroup.
template <typename Bits, typename Element, bool kStochastic, bool kDecodes>
LH_INLINE void EncodeBlock(const unsigned char* from, size_t count, Dice dice,
                           unsigned char* to, unsigned char* decoded) {
  const uint32_t magnitude = LargestMagnitude<Element>(from, count);
  const uint32_t upper = ScaleFor<Bits>(magnitude);
  constexpr uint32_t kRange = Bits::kTopScale - kLeastPlainScale;
  if (__builtin_expect(upper - kLeastPlainScale > kRange, 0)) {
    EncodeOddBlock<Bits, Element, kStochastic, kDecodes>(from, count, magnitude,
                                                         dice, to, decoded);
    return;
  }
  StoreScale(to, upper);
  const float scale = FloatOf(upper << 16);
  EncodeCodes<Bits, Element, kStochastic, kDecodes>(
      from, count, {1.0F / scale, scale, dice}, to + kScaleBytes, decoded);
}

// A block cut short: as one that goes on in zeros, of which the codes are
// dropped.
template <typename Bits, typename Element, bool kStochastic, bool kDecodes>
__attribute__((noinline)) void EncodeShortBlock(const unsigned char* from,
                                                size_t count, Dice dice,
                                                unsigned char* to,
                                                unsigned char* decoded) {
  const size_t padded = (count + kGroup - 1) / kGroup * kGroup;
  unsigned char source[kLargestBlock * 4] = {};
  unsigned char codes[kScaleBytes + kLargestBlock];
  unsigned char back[kLargestBlock * 4];
  __builtin_memcpy(source, from, count * Element::kSize);
  EncodeBlock<Bits, Element, kStochastic, kDecodes>(source, padded, dice, codes,
                                                    back);
  __builtin_memcpy(to, codes, kScaleBytes + Bits::BytesOf(count));
  if (kDecodes) __builtin_memcpy(decoded, back, count * 4);
}

template <typename Bits, typename Element, bool kStochastic, bool kDecodes>
void Quantise(const EncodeCall& call) {
  const auto* from = static_cast<const unsigned char*>(call.source);
  auto* to = static_cast<unsigned char*>(call.out);
  auto* decoded = static_cast<unsigned char*>(call.decoded);
  const size_t stride = kScaleBytes + Bits::BytesOf(call.block);
  uint64_t number = call.first_block;
  Dice dice{};
  size_t left = call.count;
  for (; left >= call.block; left -= call.block) {
    if (kStochastic) dice = DiceOf(call.seed, number++);
    EncodeBlock<Bits, Element, kStochastic, kDecodes>(from, call.block, dice,
                                                      to, decoded);
    from += call.block * Element::kSize;
    to += stride;
    if (kDecodes) decoded += call.block * 4;
  }
  if (left == 0) return;
  if (kStochastic) dice = DiceOf(call.seed, number);
  EncodeShortBlock<Bits, Element, kStochastic, kDecodes>(from, left, dice, to,
                                                         decoded);
}

// ---- decoding --------------------------------------------------------------

template <typename Bits, typename Sink>
LH_INLINE void DecodeCodes(const unsigned char* from, size_t count, float scale,
                           unsigned char* to) {
  for (size_t i = 0; i < count; i += kGroup) {
    Integers codes[kGroupVectors];
    Bits::Unpack(from, codes);
    for (size_t v = 0; v < kGroupVectors; ++v) {
      Sink::Put(to + (i + v * kLanes) * Sink::kSize,
                __builtin_convertvector(codes[v], Floats) * scale);
    }
    from += Bits::kGroupBytes;
  }
}

template <typename Bits, typename Sink>
__attribute__((noinline)) void DecodeShortBlock(const unsigned char* from,
                                                size_t count, float scale,
                                                unsigned char* to) {
  const size_t padded = (count + kGroup - 1) / kGroup * kGroup;
  unsigned char codes[kLargestBlock] = {};
  unsigned char target[kLargestBlock * 4] = {};
  __builtin_memcpy(codes, from, Bits::BytesOf(count));
  __builtin_memcpy(target, to, count * Sink::kSize);
  DecodeCodes<Bits, Sink>(codes, padded, scale, target);
  __builtin_memcpy(to, target, count * Sink::kSize);
}

template <typename Bits>
LH_INLINE bool Possible(uint32_t scale) {
  return scale <= Bits::kTopScale || scale == kNanScale;
}

template <typename Bits, typename Sink>
bool Dequantise(const DecodeCall& call) {
  const auto* from = static_cast<const unsigned char*>(call.in);
  auto* to = static_cast<unsigned char*>(call.target);
  const size_t stride = kScaleBytes + Bits::BytesOf(call.block);
  size_t left = call.count;
  for (; left >= call.block; left -= call.block) {
    const uint32_t scale = LoadScale(from);
    if (!Possible<Bits>(scale)) return false;
    DecodeCodes<Bits, Sink>(from + kScaleBytes, call.block, FloatOf(scale << 16),
                            to);
    from += stride;
    to += call.block * Sink::kSize;
  }
  if (left == 0) return true;
  const uint32_t scale = LoadScale(from);
  if (!Possible<Bits>(scale)) return false;
  DecodeShortBlock<Bits, Sink>(from + kScaleBytes, left, FloatOf(scale << 16),
                               to);
  return true;
}

}  // namespace
}  // namespace longhaul
