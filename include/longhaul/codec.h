// How a vector is encoded where it crosses the WAN: a codec and its parameters,
// as a value, from text and back.
//
//   bf16                               f32 cast to bf16
//   int8                               blocks of 64 elements, one scale each
//   int4:block=32,rounding=stochastic
//   e4m3                               floats of 8 bits
//   int4:rotate                        rotated first, for outliers
//   lossless
//   auto:0.01                          the fastest with an error of up to 1 %
//
//   Result<CodecSpec> spec = CodecSpec::Parse("int8:block=128");
//   if (!spec.ok()) ...                // names the word and what is accepted
//
// All codecs but kNone and kLossless lose precision; docs/adr/0012-codecs.md
// says how much.
//
// Plain values; thread-compatible.
#pragma once

#include <longhaul/status.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace longhaul {

/// The values appear on the wire (docs/wire_format.md).
enum class CodecId : uint8_t {
  kNone = 0,      ///< the elements as they are
  kBf16 = 1,      ///< f32 cast to bf16
  kF16 = 2,       ///< f32 cast to f16; from 65520 on, infinity
  kInt8 = 3,      ///< blocks with a scale each, elements from -127 to 127
  kInt4 = 4,      ///< blocks with a scale each, elements from -7 to 7
  kFp8E4m3 = 5,   ///< the same with floats of 8 bits, 3 of them mantissa
  kFp8E5m2 = 6,   ///< ... 2 of them mantissa
  kLossless = 9,  ///< exponents coded by their frequency; nothing is lost
  kAuto = 255,    ///< one for each operation that keeps a bound on the error
};

/// How an element that lies between two codes is rounded.
enum class CodecRounding : uint8_t {
  kNearest = 0,     ///< to the nearer code; ties to the even one
  kStochastic = 1,  ///< up or down by chance, right on average
};

struct CodecSpec {
  static constexpr uint16_t kLeastBlock = 32;
  static constexpr uint16_t kLargestBlock = 256;

  CodecId id = CodecId::kNone;
  CodecRounding rounding = CodecRounding::kNearest;  ///< with blocks
  uint16_t block = 0;  ///< elements, a power of two; 0 without blocks
  /// Whole blocks are turned by a Hadamard transform before they are quantised,
  /// and back after: outliers then cost their neighbours less. kInt8, kInt4.
  bool rotate = false;
  uint32_t max_error = 0;  ///< kAuto: the bound, in millionths

  /// The codec with its default parameters: blocks of 32 elements (kInt4) or
  /// 64, the shortest that give 7 and 3.85 bytes of f32 per byte sent.
  static CodecSpec Of(CodecId id) noexcept;

  /// A name, and behind a colon parameters separated by commas; case and blanks
  /// do not matter. kInvalidArgument says what is accepted.
  static Result<CodecSpec> Parse(std::string_view text);
  /// The shortest text that Parse turns into this value.
  std::string ToString() const;

  /// kAuto: the relative L2 error that a result may have.
  double MaxError() const noexcept { return max_error * 1e-6; }

  /// Whether the parameters fit the codec, as those from Of and Parse do.
  bool Valid() const noexcept;
  /// All of it in 64 bits, the same on every machine: different values give
  /// different words. For fingerprints.
  uint64_t Word() const noexcept;
  /// The error to expect, as a root of sums of squares over that of the vector,
  /// of f32s with a normal distribution. A vector with outliers has a larger
  /// one, unless `rotate` spreads them.
  double TypicalError() const noexcept;

  bool operator==(const CodecSpec&) const = default;
};

/// "none", "bf16", ...
const char* NameOf(CodecId id) noexcept;
/// "nearest" or "stochastic".
const char* NameOf(CodecRounding rounding) noexcept;

}  // namespace longhaul
