// What codecs should give, by other means than the code under test: block
// quantisation through double arithmetic, one element at a time; casts by the
// scalars of compute/convert.h.
#pragma once

#include <longhaul/codec.h>
#include <longhaul/types.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

#include "codec/codec.h"
#include "compute/convert.h"

namespace longhaul::test {

inline constexpr float kFloatMax = std::numeric_limits<float>::max();
inline constexpr float kInfinity = std::numeric_limits<float>::infinity();
inline constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

/// To 24 bits, nearest even, as f32 would with exponents without end.
inline double Round24(double value) {
  int exponent = 0;
  const double fraction = std::frexp(value, &exponent);
  return std::ldexp(std::nearbyint(std::ldexp(fraction, 24)), exponent - 24);
}

inline double LargestCode(CodecId id) {
  if (id == CodecId::kFp8E4m3) return 448;
  if (id == CodecId::kFp8E5m2) return 57344;
  return id == CodecId::kInt8 ? 127 : 7;
}

inline bool IsFp8(CodecId id) {
  return id == CodecId::kFp8E4m3 || id == CodecId::kFp8E5m2;
}

/// The least bf16 that is not less than the f32 max|x| / 127 (or / 7).
inline double ScaleOf(CodecId id, const float* block, size_t count) {
  double largest = 0;
  for (size_t i = 0; i < count; ++i) {
    if (!std::isfinite(block[i])) return std::nan("");
    largest = std::max(largest, std::fabs(double{block[i]}));
  }
  if (largest == 0) return 0;
  const double quotient = static_cast<float>(largest / LargestCode(id));
  const int exponent =
      quotient == 0 ? -126 : std::max(std::ilogb(quotient), -126);
  const double unit = std::ldexp(1.0, exponent - 7);
  double scale = std::max(std::ceil(quotient / unit), 1.0) * unit;
  while (scale * LargestCode(id) > double{kFloatMax}) scale -= unit;
  return scale;
}

/// What is added to an element before it is rounded to the nearest code.
inline double StochasticOffset(uint64_t seed, uint64_t block, uint32_t place) {
  uint64_t z = seed + (block + 1) * 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  z ^= z >> 31;
  uint32_t h = place * 0x9e3779b9u + static_cast<uint32_t>(z);
  h = (h ^ (h >> 16)) * 0x85ebca6bu + static_cast<uint32_t>(z >> 32);
  h = (h ^ (h >> 13)) * 0xc2b2ae35u;
  return ((h >> 18) + 0.5) / 16384 - 0.5;
}

/// A magnitude as a float of 8 bits.
inline double RoundFp8(const CodecSpec& spec, double x, double offset) {
  const int least = spec.id == CodecId::kFp8E4m3 ? -6 : -14;
  const int bits = spec.id == CodecId::kFp8E4m3 ? 3 : 2;
  const int exponent = x == 0 ? least : std::max(std::ilogb(x), least);
  const double units = std::ldexp(x, bits - exponent);
  double rounded = std::nearbyint(Round24(units + offset));
  if (spec.rounding == CodecRounding::kStochastic && std::ilogb(x) >= least) {
    rounded = std::floor(units + offset + 0.5);
  }
  return std::min(std::ldexp(rounded, exponent - bits), LargestCode(spec.id));
}

inline int CodeOfFp8(CodecId id, double value) {
  const int least = id == CodecId::kFp8E4m3 ? -6 : -14;
  const int bits = id == CodecId::kFp8E4m3 ? 3 : 2;
  const double x = std::fabs(value);
  const int sign = value < 0 ? 128 : 0;
  if (x < std::ldexp(1.0, least)) {
    return sign | static_cast<int>(std::ldexp(x, bits - least));
  }
  const int exponent = std::ilogb(x);
  const int code = ((exponent - least) << bits) +
                   static_cast<int>(std::ldexp(x, bits - exponent));
  return sign | code;
}

struct Encoded {
  std::vector<uint8_t> bytes;
  std::vector<float> decoded;
};

inline void AppendScale(double scale, std::vector<uint8_t>& bytes) {
  const uint32_t bits =
      std::isnan(scale) ? 0x7fc00000u
                        : std::bit_cast<uint32_t>(static_cast<float>(scale));
  bytes.push_back(static_cast<uint8_t>(bits >> 16));
  bytes.push_back(static_cast<uint8_t>(bits >> 24));
}

inline void AppendCodes(CodecId id, const std::vector<int>& codes,
                        std::vector<uint8_t>& bytes) {
  if (id != CodecId::kInt4) {
    for (const int code : codes) bytes.push_back(static_cast<uint8_t>(code));
    return;
  }
  for (size_t group = 0; group < codes.size(); group += 32) {
    for (size_t i = group; i < std::min(group + 16, codes.size()); ++i) {
      const int high = i + 16 < codes.size() ? codes[i + 16] : 0;
      bytes.push_back(static_cast<uint8_t>((codes[i] & 15) | (high & 15) << 4));
    }
  }
}

/// As the elements of a block are multiplied before the transform, and behind
/// it on the way back.
inline float SignedNorm(size_t count, size_t place) {
  uint32_t h = static_cast<uint32_t>(place) * 0x9e3779b9u;
  h = (h ^ (h >> 16)) * 0x85ebca6bu;
  h = (h ^ (h >> 13)) * 0xc2b2ae35u;
  const auto norm =
      static_cast<float>(1 / std::sqrt(static_cast<double>(count)));
  return (h >> 31) != 0 ? -norm : norm;
}

/// In f32, by this tree of sums.
inline void Transform(std::vector<float>& block) {
  for (size_t stride = 1; stride < block.size(); stride *= 2) {
    for (size_t i = 0; i < block.size(); ++i) {
      if ((i & stride) != 0) continue;
      const float a = block[i];
      const float b = block[i + stride];
      block[i] = a + b;
      block[i + stride] = a - b;
    }
  }
}

inline std::vector<float> TimesSignedNorm(std::vector<float> block) {
  for (size_t i = 0; i < block.size(); ++i) {
    block[i] *= SignedNorm(block.size(), i);
  }
  return block;
}

inline bool IsRotated(const CodecSpec& spec, const float* block, size_t count) {
  float largest = 0;
  for (size_t i = 0; i < count; ++i) {
    if (!(std::fabs(block[i]) < 0x1p112F)) return false;
    largest = std::max(largest, std::fabs(block[i]));
  }
  return spec.rotate && count == spec.block && largest > 0;
}

inline void EncodeBlock(const CodecSpec& spec, const float* block, size_t count,
                        uint64_t seed, uint64_t number, Encoded& out) {
  const double scale = ScaleOf(spec.id, block, count);
  AppendScale(scale, out.bytes);
  std::vector<int> codes;
  for (size_t i = 0; i < count; ++i) {
    double code = 0;
    if (scale > 0) {
      const double end = LargestCode(spec.id) * scale;
      const double x = std::clamp(double{block[i]}, -end, end);
      double scaled = Round24(x * Round24(1 / scale));
      if (IsFp8(spec.id)) {
        const bool chance = spec.rounding == CodecRounding::kStochastic;
        const double value = std::copysign(
            RoundFp8(spec, std::fabs(scaled),
                     chance ? StochasticOffset(seed, number,
                                               static_cast<uint32_t>(i))
                            : 0),
            scaled);
        codes.push_back(CodeOfFp8(spec.id, value == 0 ? 0 : value));
        out.decoded.push_back(
            static_cast<float>((value == 0 ? 0 : value) * scale));
        continue;
      }
      if (spec.rounding == CodecRounding::kStochastic) {
        scaled = Round24(
            scaled + StochasticOffset(seed, number, static_cast<uint32_t>(i)));
      }
      code = std::nearbyint(scaled);
    }
    codes.push_back(static_cast<int>(code));
    out.decoded.push_back(static_cast<float>(codes.back() * scale));
  }
  AppendCodes(spec.id, codes, out.bytes);
}

inline void EncodeRotatedBlock(const CodecSpec& spec, const float* block,
                               uint64_t seed, uint64_t number, Encoded& out) {
  std::vector<float> turned =
      TimesSignedNorm(std::vector<float>(block, block + spec.block));
  Transform(turned);
  Encoded one;
  EncodeBlock(spec, turned.data(), spec.block, seed, number, one);
  if (one.bytes[0] != 0 || one.bytes[1] != 0) {
    one.bytes[1] |= 0x80;
    Transform(one.decoded);
    one.decoded = TimesSignedNorm(std::move(one.decoded));
  }
  out.bytes.insert(out.bytes.end(), one.bytes.begin(), one.bytes.end());
  out.decoded.insert(out.decoded.end(), one.decoded.begin(), one.decoded.end());
}

/// Elements of a type as f32s.
inline std::vector<float> Widened(DataType type, const uint8_t* elements,
                                  size_t count) {
  std::vector<float> values(count);
  for (size_t i = 0; i < count; ++i) {
    if (type == DataType::kFloat32) {
      std::memcpy(&values[i], elements + i * 4, 4);
      continue;
    }
    uint16_t half;
    std::memcpy(&half, elements + i * 2, 2);
    values[i] =
        type == DataType::kFloat16 ? F32FromF16(half) : F32FromBf16(half);
  }
  return values;
}

inline void Append16(uint16_t half, std::vector<uint8_t>& bytes) {
  bytes.push_back(static_cast<uint8_t>(half));
  bytes.push_back(static_cast<uint8_t>(half >> 8));
}

inline Encoded Encode(const CodecSpec& spec, DataType type,
                      const uint8_t* elements, size_t count,
                      const CodecSeed& seed) {
  const std::vector<float> values = Widened(type, elements, count);
  Encoded out;
  if (spec.block != 0) {
    for (size_t at = 0; at < count; at += spec.block) {
      const size_t length = std::min<size_t>(spec.block, count - at);
      const uint64_t number = (seed.first_element + at) / spec.block;
      if (IsRotated(spec, &values[at], length)) {
        EncodeRotatedBlock(spec, &values[at], seed.seed, number, out);
      } else {
        EncodeBlock(spec, &values[at], length, seed.seed, number, out);
      }
    }
    return out;
  }
  if (spec.id == CodecId::kNone) {
    out.bytes.assign(elements, elements + count * SizeOf(type));
    out.decoded = values;
    return out;
  }
  for (const float value : values) {
    const bool f16 = spec.id == CodecId::kF16;
    const uint16_t half = f16 ? F16FromF32(value) : Bf16FromF32(value);
    Append16(half, out.bytes);
    out.decoded.push_back(f16 ? F32FromF16(half) : F32FromBf16(half));
  }
  return out;
}

/// Decoded f32s as elements of the type.
inline std::vector<uint8_t> Elements(const CodecSpec& spec, DataType type,
                                     const Encoded& encoded) {
  if (spec.id == CodecId::kNone) return encoded.bytes;
  std::vector<uint8_t> bytes;
  for (const float value : encoded.decoded) {
    if (type == DataType::kFloat32) {
      const auto bits = std::bit_cast<uint32_t>(value);
      Append16(static_cast<uint16_t>(bits), bytes);
      Append16(static_cast<uint16_t>(bits >> 16), bytes);
      continue;
    }
    const bool f16 = type == DataType::kFloat16;
    const float most = f16 ? 65504.0F : 0x1.fep127F;
    const float kept =
        std::isnan(value) ? value : std::clamp(value, -most, most);
    Append16(f16 ? F16FromF32(kept) : Bf16FromF32(kept), bytes);
  }
  return bytes;
}

}  // namespace longhaul::test
