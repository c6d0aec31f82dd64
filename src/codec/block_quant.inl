// int8, int4 and floats of 8 bits with a scale per block. Part of kernels.inl.
//
// A block in bytes: the upper half of the scale's f32, little-endian, then the
// codes of its elements. The whole of it depends on the block (and the seed)
// alone. A block of zeros has a scale of zero; one that holds what is no number
// has kNanScale; the codes of both are zeros. With rotation, whole blocks only,
// the sign of the scale says that the codes are those of the rotated block.

#pragma once

#include "codec/block.inl"
#include "codec/fp8.inl"
#include "codec/rotate.inl"

namespace longhaul {
namespace {

// ---- encoding --------------------------------------------------------------

struct Scaling {
  float reciprocal;  // of the scale, times what is encoded
  float scale;
  Dice dice;
};

struct Rounded {
  Words codes;
  Floats values;
};

template <typename Bits, bool kStochastic>
LH_INLINE Rounded Round(Floats x, Dice dice, Words places) {
  if constexpr (Bits::kWhole) {
    if (kStochastic) x += Offsets(dice, places);
    const Floats rounded = x + kRounder;
    return {As<uint32_t>(rounded), rounded - kRounder};
  } else {
    const Words codes = Bits::template Round<kStochastic>(x, dice, places);
    return {codes, Bits::ValuesOf(As<int32_t>(codes))};
  }
}

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
      const Rounded rounded = Round<Bits, kStochastic>(x, scaling.dice, places);
      if (kStochastic) places += static_cast<uint32_t>(kLanes) * kPlace;
      codes[v] = rounded.codes;
      if (kDecodes) Store(decoded + at * 4, rounded.values * scaling.scale);
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

// A block that is rotated first, unless it is all zeros or holds what is no
// number, or numbers so large that a sum might overflow. The sign of the scale
// tells.
template <typename Bits, typename Element, bool kStochastic, bool kDecodes>
__attribute__((noinline)) void EncodeRotatedBlock(const unsigned char* from,
                                                  size_t count,
                                                  const Rotation& rotation,
                                                  Dice dice, unsigned char* to,
                                                  unsigned char* decoded) {
  const uint32_t magnitude = LargestMagnitude<Element>(from, count);
  if (magnitude == 0 || magnitude >= BitsOf(0x1p112F)) {
    EncodeBlock<Bits, Element, kStochastic, kDecodes>(from, count, dice, to,
                                                      decoded);
    return;
  }
  unsigned char turned[kLargestBlock * 4];
  for (size_t i = 0; i < count; i += kLanes) {
    const Floats x = Element::Load(from + i * Element::kSize);
    Store(turned + i * 4, x * SignedNorm(rotation, i));
  }
  Transform(turned, count);
  EncodeBlock<Bits, F32Element, kStochastic, kDecodes>(turned, count, dice, to,
                                                       turned);
  const uint32_t scale = LoadScale(to);
  if (scale != 0) StoreScale(to, scale | kRotated);
  if (!kDecodes) return;
  if (scale != 0) Transform(turned, count);
  for (size_t i = 0; i < count; i += kLanes) {
    const Floats x = Load<Floats>(turned + i * 4);
    Store(decoded + i * 4, scale != 0 ? x * SignedNorm(rotation, i) : x);
  }
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
  const bool rotates = Bits::kWhole && call.rotate;
  Rotation rotation;
  if (rotates) MakeRotation(call.block, rotation);
  size_t left = call.count;
  for (; left >= call.block; left -= call.block) {
    if (kStochastic) dice = DiceOf(call.seed, number++);
    if (rotates) {
      EncodeRotatedBlock<Bits, Element, kStochastic, kDecodes>(
          from, call.block, rotation, dice, to, decoded);
    } else {
      EncodeBlock<Bits, Element, kStochastic, kDecodes>(from, call.block, dice,
                                                        to, decoded);
    }
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

template <typename Bits>
LH_INLINE Floats ValuesOf(Integers codes) {
  if constexpr (Bits::kWhole) {
    return __builtin_convertvector(codes, Floats);
  } else {
    return Bits::ValuesOf(codes);
  }
}

template <typename Bits, typename Sink>
LH_INLINE void DecodeCodes(const unsigned char* from, size_t count, float scale,
                           unsigned char* to) {
  for (size_t i = 0; i < count; i += kGroup) {
    Integers codes[kGroupVectors];
    Bits::Unpack(from, codes);
    for (size_t v = 0; v < kGroupVectors; ++v) {
      Sink::Put(to + (i + v * kLanes) * Sink::kSize,
                ValuesOf<Bits>(codes[v]) * scale);
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

// Whether an encoder may give it to a block that is rotated: what is rotated is
// below 2^116, which leaves room for the sums on the way back.
template <typename Bits>
LH_INLINE bool PossibleRotated(uint32_t scale) {
  constexpr float kTop = 0x1p117F / (Bits::kLargest + 1);
  return scale > kRotated && scale <= (kRotated | BitsOf(kTop) >> 16);
}

template <typename Bits, typename Sink>
__attribute__((noinline)) void DecodeRotatedBlock(const unsigned char* from,
                                                  size_t count, float scale,
                                                  const Rotation& rotation,
                                                  unsigned char* to) {
  unsigned char turned[kLargestBlock * 4];
  DecodeCodes<Bits, StoreF32>(from, count, scale, turned);
  Transform(turned, count);
  for (size_t i = 0; i < count; i += kLanes) {
    Sink::Put(to + i * Sink::kSize,
              Load<Floats>(turned + i * 4) * SignedNorm(rotation, i));
  }
}

template <typename Bits, typename Sink>
bool Dequantise(const DecodeCall& call) {
  const auto* from = static_cast<const unsigned char*>(call.in);
  auto* to = static_cast<unsigned char*>(call.target);
  const size_t stride = kScaleBytes + Bits::BytesOf(call.block);
  const bool rotates = Bits::kWhole && call.rotate;
  Rotation rotation;
  if (rotates) MakeRotation(call.block, rotation);
  size_t left = call.count;
  for (; left >= call.block; left -= call.block) {
    const uint32_t scale = LoadScale(from);
    const unsigned char* codes = from + kScaleBytes;
    if (Possible<Bits>(scale)) {
      DecodeCodes<Bits, Sink>(codes, call.block, FloatOf(scale << 16), to);
    } else if (rotates && PossibleRotated<Bits>(scale)) {
      const float size = FloatOf((scale & ~kRotated) << 16);
      DecodeRotatedBlock<Bits, Sink>(codes, call.block, size, rotation, to);
    } else {
      return false;
    }
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
