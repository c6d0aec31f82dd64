// The lossless codec's kernels of one SIMD target as a table. Users call
// lossless.h; tests and benchmarks name a target there.
//
// Included by sources compiled for processors that may not be the one at hand:
// nothing here may bring in an inline function that such a source would emit
// (docs/adr/0003-simd-by-translation-unit.md).
//
// Any thread.
#pragma once

#include <stddef.h>  // NOLINT(modernize-deprecated-headers): see above
#include <stdint.h>  // NOLINT(modernize-deprecated-headers)

namespace longhaul {

/// What a level of the code of exponents says: the symbols that have a code of
/// `width` bits in it. If it is not the last level, the code of all ones stands
/// for `escape`: the symbol is in the next level.
struct LosslessLevel {
  unsigned width;  ///< 1 to 4
  unsigned symbol_count;
  bool last;
  unsigned char symbols[16];  ///< code to symbol; zeros after symbol_count
};

struct LosslessKernels {
  // Indices of the tables.
  enum Type { kF32, kF16, kBf16, kTypes };

  /// Bytes that kernels may read and write beyond the end of arrays said to be
  /// padded.
  static constexpr size_t kPadding = 32;
  /// The most planes of an element besides its exponent.
  static constexpr size_t kMostPlanes = 3;

  const char* name;

  /// The exponents of elements, a byte each; 0 for an element of zero, and for
  /// f32 and bf16 also for -0 and subnormals.
  void (*exponents[kTypes])(const unsigned char* elements, size_t count,
                            unsigned char* out);
  /// The rest of elements in planes of a byte per element: sign and mantissa.
  /// The second plane of f16 has three bits of the mantissa.
  void (*rest[kTypes])(const unsigned char* elements, size_t count,
                       unsigned char* const* planes);
  /// Elements from exponents and planes.
  void (*join[kTypes])(const unsigned char* exponents,
                       const unsigned char* const* planes, size_t count,
                       unsigned char* elements);
  /// How many elements have all bits zero.
  size_t (*zeros[kTypes])(const unsigned char* elements, size_t count);

  /// Codes of `count` symbols into level.width planes of a bit per symbol, each
  /// of whole bytes, one after the other. Symbols without a code are left at
  /// the front of `symbols`, which is padded; their number is returned.
  size_t (*encode_level)(const LosslessLevel& level, unsigned char* symbols,
                         size_t count, unsigned char* planes);
  /// How many symbols of `count` are escapes in such planes.
  size_t (*escapes)(const unsigned char* planes, unsigned width, size_t count);
  /// The symbols back, into a padded array; those that the next level has are
  /// taken from `deeper`, which is padded.
  void (*decode_level)(const LosslessLevel& level, const unsigned char* planes,
                       size_t count, const unsigned char* deeper,
                       unsigned char* symbols);

  /// How many exponents are not zero.
  size_t (*not_zero)(const unsigned char* exponents, size_t count);
  /// The bytes whose exponent is not zero, to the front of `bytes`; all arrays
  /// padded. Returns how many.
  size_t (*compact)(const unsigned char* exponents, size_t count,
                    unsigned char* bytes);
  /// `bytes` in the places whose exponent is not zero, zeros in the others; all
  /// arrays padded.
  void (*expand)(const unsigned char* exponents, size_t count,
                 const unsigned char* bytes, unsigned char* out);
};

extern const LosslessKernels kBaselineLosslessKernels;
#ifdef __x86_64__
extern const LosslessKernels kAvx2LosslessKernels;
extern const LosslessKernels kAvx512LosslessKernels;
#endif

}  // namespace longhaul
