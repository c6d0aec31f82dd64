// binary16 (f16) and bfloat16 (bf16) to and from f32.
//
// Narrowing rounds to nearest even; what is too large becomes infinity. Every
// 16-bit value, subnormals included, widens exactly. A NaN stays a NaN, keeps
// its sign and the top bits of its payload, and is quiet (widening bf16 only
// moves bits and leaves a signalling NaN signalling). Nothing depends on the
// caller's rounding mode or flush-to-zero settings.
//
// Any thread.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

namespace longhaul {

constexpr float F32FromF16(uint16_t half) {
  const uint32_t sign = (half & 0x8000U) << 16;
  const uint32_t exponent = (half >> 10) & 0x1fU;
  uint32_t mantissa = half & 0x3ffU;
  if (exponent == 0x1f) {
    const uint32_t quiet = mantissa != 0 ? 0x400000U : 0;
    return std::bit_cast<float>(sign | 0x7f800000U | quiet | mantissa << 13);
  }
  if (exponent != 0) {
    return std::bit_cast<float>(sign | (exponent + 112) << 23 | mantissa << 13);
  }
  if (mantissa == 0) return std::bit_cast<float>(sign);
  // A subnormal is normal in f32: its leading bit becomes the implicit one.
  const auto shift = static_cast<uint32_t>(std::countl_zero(mantissa)) - 21;
  mantissa = (mantissa << shift) & 0x3ffU;
  return std::bit_cast<float>(sign | (113 - shift) << 23 | mantissa << 13);
}

constexpr uint16_t F16FromF32(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  const uint32_t sign = (bits >> 16) & 0x8000U;
  const uint32_t magnitude = bits & 0x7fffffffU;
  uint32_t half = 0;
  if (magnitude > 0x7f800000U) {
    half = 0x7e00U | ((magnitude >> 13) & 0x3ffU);
  } else if (magnitude >= 0x477ff000U) {  // 65520 and above round to 2^16
    half = 0x7c00U;
  } else if (magnitude >= 0x38800000U) {  // 2^-14, the least normal f16
    const uint32_t rounded = magnitude + 0xfffU + ((magnitude >> 13) & 1U);
    half = (rounded - (112U << 23)) >> 13;
  } else if (magnitude > 0x33000000U) {  // 2^-25, half the least subnormal
    const uint32_t shift = 126 - (magnitude >> 23);
    const uint32_t mantissa = (magnitude & 0x7fffffU) | 0x800000U;
    const uint32_t kept = mantissa >> shift;
    const uint32_t rest = mantissa & ((1U << shift) - 1);
    const uint32_t tie = 1U << (shift - 1);
    half = kept + (rest > tie || (rest == tie && (kept & 1U) != 0) ? 1 : 0);
  }
  return static_cast<uint16_t>(sign | half);
}

constexpr float F32FromBf16(uint16_t value) {
  return std::bit_cast<float>(static_cast<uint32_t>(value) << 16);
}

constexpr uint16_t Bf16FromF32(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  if ((bits & 0x7fffffffU) > 0x7f800000U) {
    return static_cast<uint16_t>(bits >> 16 | 0x40U);
  }
  return static_cast<uint16_t>((bits + 0x7fffU + ((bits >> 16) & 1U)) >> 16);
}

/// The same for `count` elements at any addresses; `target` and `source` do not
/// overlap.
void ConvertF16ToF32(void* target, const void* source, size_t count) noexcept;
void ConvertF32ToF16(void* target, const void* source, size_t count) noexcept;
void ConvertBf16ToF32(void* target, const void* source, size_t count) noexcept;
void ConvertF32ToBf16(void* target, const void* source, size_t count) noexcept;

}  // namespace longhaul
