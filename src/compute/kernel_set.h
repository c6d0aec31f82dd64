// The kernels of one SIMD target as a table, and the choice among targets.
// Users call reduce.h and convert.h; tests and benchmarks name a target here.
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

struct KernelSet {
  /// Reduces `bytes` bytes of each of `source_count` sources into `target`.
  /// Float sums are divided by `divisor` unless it is 1; other kernels ignore
  /// it.
  using ReduceFunction = void (*)(void* target, const void* const* sources,
                                  size_t source_count, size_t bytes,
                                  uint32_t divisor);
  using ConvertFunction = void (*)(void* target, const void* source,
                                   size_t count);
  static constexpr int kTypes = 10;
  static constexpr int kOps = 4;  ///< kSum, kProd, kMax, kMin

  struct Reducer {
    ReduceFunction two;  ///< exactly two sources
    ReduceFunction any;  ///< one or more
  };

  struct Row {
    Reducer by_op[kOps];
  };

  const char* name;
  Row by_type[kTypes];
  ConvertFunction f16_to_f32;
  ConvertFunction f32_to_f16;
  ConvertFunction bf16_to_f32;
  ConvertFunction f32_to_bf16;
};

extern const KernelSet kBaselineKernels;
#ifdef __x86_64__
extern const KernelSet kAvx2Kernels;
extern const KernelSet kAvx512Kernels;
#endif

}  // namespace longhaul
