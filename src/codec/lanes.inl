// How f32 lanes enter and leave memory: elements of the three types, and codes
// of 8 and 4 bits. Part of kernels.inl.

#pragma once

#include "codec/bytes.inl"

namespace longhaul {
namespace {

// ---- elements --------------------------------------------------------------

struct F32Element {
  static constexpr size_t kSize = 4;
  static LH_INLINE Floats Load(const unsigned char* from) {
    return longhaul::Load<Floats>(from);
  }
};

struct F16Element {
  static constexpr size_t kSize = 2;
  static LH_INLINE Floats Load(const unsigned char* from) {
    return Widen(longhaul::Load<HalfVector>(from));
  }
  static LH_INLINE Floats Widen(HalfVector half) { return WidenF16(half); }
  static LH_INLINE HalfVector Narrow(Floats value) {
    return NarrowF16ToHalf(value);
  }
};

struct Bf16Element {
  static constexpr size_t kSize = 2;
  static LH_INLINE Floats Load(const unsigned char* from) {
    return Widen(longhaul::Load<HalfVector>(from));
  }
  static LH_INLINE Floats Widen(HalfVector half) {
    return As<float>(__builtin_convertvector(half, Words) << 16);
  }
  static LH_INLINE HalfVector Narrow(Floats value) {
    return __builtin_convertvector(NarrowBf16(value), HalfVector);
  }
};

// ---- what becomes of a decoded f32 -----------------------------------------

struct StoreF32 {
  static constexpr size_t kSize = 4;
  static LH_INLINE void Put(unsigned char* to, Floats value) {
    Store(to, value);
  }
};

struct AddF32 {
  static constexpr size_t kSize = 4;
  static LH_INLINE void Put(unsigned char* to, Floats value) {
    const Floats sum = Load<Floats>(to) + value;
    // Processors and compilers differ in which operand's NaN survives.
    const auto is_number = sum == sum;  // NOLINT(misc-redundant-expression)
    Store(to, is_number ? sum : Splat(__builtin_nanf("")));
  }
};

// A block's scale is rounded up, so its largest element may decode to more than
// it was, and must not become an infinity on its way back. NaNs pass.
template <typename Element>
LH_INLINE void StoreHalves(unsigned char* to, Floats value, float largest) {
  value = value > largest ? Splat(largest) : value;
  value = value < -largest ? Splat(-largest) : value;
  Store(to, Element::Narrow(value));
}

struct StoreF16 {
  static constexpr size_t kSize = 2;
  static LH_INLINE void Put(unsigned char* to, Floats value) {
    StoreHalves<F16Element>(to, value, 65504.0F);
  }
};

struct StoreBf16 {
  static constexpr size_t kSize = 2;
  static LH_INLINE void Put(unsigned char* to, Floats value) {
    StoreHalves<Bf16Element>(to, value, 0x1.fep127F);
  }
};

// ---- codes, in groups of 32 ------------------------------------------------

constexpr size_t kGroup = 32;  // elements; divides every block
constexpr size_t kGroupVectors = kGroup / kLanes;

// Codes of 8 bits, in order.
struct Eight {
  static constexpr bool kWhole = true;  // the codes are the multiples
  static constexpr float kLargest = 127;
  static constexpr size_t kGroupBytes = kGroup;
  // The greatest bf16 of which 127 times is finite, upper half of an f32.
  static constexpr uint32_t kTopScale = 0x7c01;

  static constexpr size_t BytesOf(size_t count) { return count; }

  static LH_INLINE void Pack(unsigned char* to, const Words* codes) {
    StoreBytes<kGroupVectors>(to, codes);
  }
  static LH_INLINE void Unpack(const unsigned char* from, Integers* codes) {
    for (size_t v = 0; v < kGroupVectors; ++v) {
      codes[v] = LoadSignedBytes(from + v * kLanes);
    }
  }
};

// Codes of 4 bits: byte i of a group has element i in its low half and element
// 16 + i in its high half, so that no target needs to interleave.
struct Four {
  static constexpr bool kWhole = true;
  static constexpr float kLargest = 7;
  static constexpr size_t kGroupBytes = kGroup / 2;
  static constexpr uint32_t kTopScale = 0x7e12;

  // Of a group cut short, the bytes that hold something.
  static constexpr size_t BytesOf(size_t count) {
    const size_t rest = count % kGroup;
    return count / kGroup * kGroupBytes +
           (rest < kGroupBytes ? rest : kGroupBytes);
  }

  static LH_INLINE void Pack(unsigned char* to, const Words* codes) {
    Words bytes[kGroupVectors / 2];
    for (size_t v = 0; v < kGroupVectors / 2; ++v) {
      bytes[v] = (codes[v] & 0xfU) | codes[v + kGroupVectors / 2] << 4;
    }
    StoreBytes<kGroupVectors / 2>(to, bytes);
  }
  static LH_INLINE void Unpack(const unsigned char* from, Integers* codes) {
    for (size_t v = 0; v < kGroupVectors / 2; ++v) {
      const Words bytes = LoadBytes(from + v * kLanes);
      codes[v] = As<int32_t>(bytes << 28) >> 28;
      codes[v + kGroupVectors / 2] = As<int32_t>(bytes << 24) >> 28;
    }
  }
};

}  // namespace
}  // namespace longhaul
