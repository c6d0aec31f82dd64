// What is common to all blocks: the scale, and hashes of places in a block.
// Part of kernels.inl.

#pragma once

#include "codec/lanes.inl"

namespace longhaul {
namespace {

constexpr size_t kLargestBlock = 256;
constexpr size_t kScaleBytes = 2;
constexpr uint32_t kNanScale = 0x7fc0;
constexpr uint32_t kRotated = 0x8000;  // the sign
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

// ---- hashes ----------------------------------------------------------------

// The random bits of a block: two words per (seed, number of the block), and
// from them, in Mixed, one per place in the block. The multipliers are
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

LH_INLINE Words Mixed(Words places, Dice dice) {
  Words h = places + dice.first;
  h = (h ^ h >> 16) * 0x85ebca6bU + dice.second;
  return (h ^ h >> 13) * 0xc2b2ae35U;
}

// One of (k + 1/2) / 2^14 - 1/2 per lane, k from 0 to 2^14 - 1: what is added
// to an element before it is rounded to the nearest code. Never so near to 1/2
// that the error of a quotient would round a whole number up or down.
LH_INLINE Floats Offsets(Dice dice, Words places) {
  const Words bits = Mixed(places, dice);
  return As<float>(((bits >> 9) & 0x007ffe00U) | 0x3f800100U) - 1.5F;
}

// ---- scales ----------------------------------------------------------------

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

}  // namespace
}  // namespace longhaul
