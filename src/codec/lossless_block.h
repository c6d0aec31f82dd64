// One block of the lossless codec: at most kLosslessBlock elements.
//
// Pure; any thread.
#pragma once

#include <cstddef>

#include "codec/lossless_kernels.h"

namespace longhaul {

/// What the functions below are about.
struct LosslessShape {
  const LosslessKernels* kernels;
  LosslessKernels::Type type;
  size_t element;  ///< bytes
};

/// Encodes `count` elements into no more than a byte above what they are, and
/// returns how many bytes.
size_t EncodeLosslessBlock(const LosslessShape& shape,
                           const unsigned char* source, size_t count,
                           unsigned char* encoded) noexcept;

/// Decodes `count` elements from the bytes before `end`, and returns the first
/// byte after them; null if that is not what the bytes are.
const unsigned char* DecodeLosslessBlock(const LosslessShape& shape,
                                         const unsigned char* encoded,
                                         const unsigned char* end, size_t count,
                                         unsigned char* target) noexcept;

}  // namespace longhaul
