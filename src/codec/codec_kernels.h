// The codecs' kernels of one SIMD target as a table, and the choice among
// targets. Users call codec.h; tests and benchmarks name a target here.
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

/// `count` elements at `source` into `out`; what they decode to, as f32, into
/// `decoded` by the kernels that do that.
struct EncodeCall {
  const void* source;
  size_t count;
  void* out;
  void* decoded;
  // Block codecs:
  size_t block;          ///< elements, a power of two from 32 to 256
  bool rotate;           ///< whole blocks
  uint64_t seed;         ///< of stochastic rounding
  uint64_t first_block;  ///< its number
};

/// `count` elements from `in`, which holds as many bytes as they take.
struct DecodeCall {
  const void* in;
  size_t count;
  void* target;
  size_t block;
  bool rotate;
};

struct CodecKernels {
  using EncodeFunction = void (*)(const EncodeCall& call);
  using DecodeFunction = bool (*)(const DecodeCall& call);

  // Indices of the tables.
  enum Type { kF32, kF16, kBf16, kTypes };
  enum Bits { kEight, kFour, kE4m3, kE5m2, kWidths };
  enum Sink { kStoreF32, kAddF32, kStoreF16, kStoreBf16, kSinks };

  struct Quantisers {
    EncodeFunction by[2][2];  ///< [stochastic][decodes]
  };

  const char* name;
  /// f32 to a 16-bit type, [1]: and back. kF32 is not used.
  EncodeFunction narrow[kTypes][2];
  /// Elements of a type to f32: kStoreF32 or kAddF32.
  DecodeFunction widen[kTypes][2];
  Quantisers quantise[kWidths][kTypes];
  DecodeFunction dequantise[kWidths][kSinks];
};

extern const CodecKernels kBaselineCodecKernels;
#ifdef __x86_64__
extern const CodecKernels kAvx2CodecKernels;
extern const CodecKernels kAvx512CodecKernels;
#endif

}  // namespace longhaul
