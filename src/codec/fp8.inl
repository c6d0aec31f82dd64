// Codes that are floats of 8 bits: what is beside a scale keeps its precision
// down to far smaller elements. Part of kernels.inl.
//
// All codes are numbers: no encoder gives those that usually stand for NaNs and
// infinities, and they decode as if the exponent went on.

#pragma once

#include "codec/block.inl"

namespace longhaul {
namespace {

// kMantissa bits behind the point, exponents biased by kBias, codes up to kTop
// and its negative.
template <uint32_t kMantissa, uint32_t kBias, uint32_t kTop>
struct ShortFloat {
  static constexpr bool kWhole = false;
  static constexpr size_t kGroupBytes = kGroup;
  static constexpr uint32_t kDropped = 23 - kMantissa;
  static constexpr uint32_t kRebias = (127 - kBias) << 23;
  static constexpr float kPowerOfBias = static_cast<float>(1U << kBias);

  static constexpr size_t BytesOf(size_t count) { return count; }
  static LH_INLINE void Pack(unsigned char* to, const Words* codes) {
    Eight::Pack(to, codes);
  }
  static LH_INLINE void Unpack(const unsigned char* from, Integers* codes) {
    Eight::Unpack(from, codes);
  }

  template <bool kStochastic>
  static LH_INLINE Words Round(Floats x, Dice dice, Words places) {
    const auto bits = As<uint32_t>(x);
    const Words magnitude = bits & 0x7fffffffU;
    // (k + 1/2) / 2^14 of the last bit that stays, or a half of it.
    const Words raise =
        kStochastic
            ? Mixed(places, dice) >> 18 << (kDropped - 14) |
                  1U << (kDropped - 15)
            : ((magnitude >> kDropped) & 1U) + ((1U << (kDropped - 1)) - 1);
    const Words normal = (magnitude + raise - kRebias) >> kDropped;
    Floats whole = As<float>(magnitude) *
                   (kPowerOfBias * static_cast<float>(1U << (kMantissa - 1)));
    if (kStochastic) whole += Offsets(dice, places);
    const Words small = As<uint32_t>(whole + kRounder) - BitsOf(kRounder);
    const auto order = As<int32_t>(magnitude);
    constexpr int32_t kLeastNormal = static_cast<int32_t>(kRebias + (1U << 23));
    Words codes = order < kLeastNormal ? small : normal;
    codes =
        As<int32_t>(codes) > static_cast<int32_t>(kTop) ? Splat(kTop) : codes;
    // Zero has no sign.
    const Words sign = (bits >> 24) & 0x80U;
    return codes == 0U ? codes : codes | sign;
  }

  static LH_INLINE Floats ValuesOf(Integers codes) {
    const auto bits = As<uint32_t>(codes);
    const Words magnitude = bits & 0x7fU;
    const auto value = As<float>((magnitude << kDropped) + kRebias);
    const Floats small = value - 1.0F / kPowerOfBias;
    const Floats either =
        As<int32_t>(magnitude) < (1 << kMantissa) ? small + small : value;
    return As<float>(As<uint32_t>(either) | ((bits << 24) & 0x80000000U));
  }
};

struct E4m3 : ShortFloat<3, 7, 0x7e> {
  static constexpr float kLargest = 448;
  static constexpr uint32_t kTopScale = 0x7b12;
};

struct E5m2 : ShortFloat<2, 15, 0x7b> {
  static constexpr float kLargest = 57344;
  static constexpr uint32_t kTopScale = 0x7792;
};

}  // namespace
}  // namespace longhaul
