// The lossless codec of vectors of f32, f16 and bf16: every bit pattern comes
// back, NaNs with their payload and -0 included.
//
//   out.resize(LosslessBound(type, count));
//   out.resize(LosslessEncode(type, vector, count, out.data()));
//   ...
//   if (!LosslessDecode(type, in, size, count, target)) ...   // kCorrupt
//
// Only what is predictable is made smaller: exponents, and elements that are
// zero. The vector is cut in blocks of kLosslessBlock elements, the last one as
// short as it comes out; a block that would not get smaller is sent as it is,
// with a byte in front. docs/adr/0013-lossless.md has the format.
//
// The bytes depend on the vector and its type alone: they are the same from
// every SIMD target.
//
// Pure: no allocation, no lock, no state; about 40 KB of stack. Arrays may lie
// at any address and do not overlap. Types other than kFloat32, kFloat16 and
// kBfloat16 are an error of the caller's. Reading bytes from afar: whatever
// they are, nothing is read or written out of bounds, and the work is
// proportional to the elements asked for.
//
// Any thread; a LosslessReader belongs to one at a time.
#pragma once

#include <longhaul/types.h>

#include <cstddef>
#include <cstdint>
#include <span>

#include "codec/lossless_kernels.h"

namespace longhaul {

/// A vector may be decoded in stretches that begin at multiples of this.
inline constexpr size_t kLosslessBlock = 4096;

/// The most bytes that `count` elements become: one per block more than they
/// are.
size_t LosslessBound(DataType type, size_t count) noexcept;

/// Encodes into at most LosslessBound(type, count) bytes; nothing beyond them
/// is written. Returns how many.
size_t LosslessEncode(DataType type, const void* source, size_t count,
                      void* encoded) noexcept;

/// Decodes `count` elements from exactly `size` bytes. False if they are not
/// `count` elements encoded; the target then holds rubbish. Bytes that a fault
/// has altered may well decode to another vector: it is for the caller to have
/// a checksum.
[[nodiscard]] bool LosslessDecode(DataType type, const void* encoded,
                                  size_t size, size_t count,
                                  void* target) noexcept;

/// Decodes the next `count` elements, a multiple of kLosslessBlock or the last
/// ones, from the front of `size` bytes. Where what follows begins; null if the
/// bytes are not that.
[[nodiscard]] const uint8_t* LosslessDecodeNext(DataType type,
                                                const uint8_t* encoded,
                                                size_t size, size_t count,
                                                void* target) noexcept;

/// The same by the kernels given, for tests and benchmarks.
size_t LosslessEncode(DataType type, const void* source, size_t count,
                      void* encoded, const LosslessKernels& kernels) noexcept;
[[nodiscard]] bool LosslessDecode(DataType type, const void* encoded,
                                  size_t size, size_t count, void* target,
                                  const LosslessKernels& kernels) noexcept;

/// Decodes a vector stretch by stretch, each while the one before is in cache.
class LosslessReader {
 public:
  /// The encoded bytes must outlive the reader.
  LosslessReader(DataType type, const void* encoded, size_t size,
                 size_t count) noexcept;
  LosslessReader(DataType type, const void* encoded, size_t size, size_t count,
                 const LosslessKernels& kernels) noexcept;

  /// Decodes the next `count` elements: a multiple of kLosslessBlock, or what
  /// is left. False if the bytes are not so many elements encoded, or if bytes
  /// are left after the last element; so is every later call then.
  [[nodiscard]] bool Next(size_t count, void* target) noexcept;

  /// Elements not read yet.
  size_t left() const noexcept { return left_; }

 private:
  DataType type_;
  const LosslessKernels* kernels_;
  const unsigned char* at_;
  const unsigned char* end_;
  size_t left_;
  bool sound_ = true;
};

/// The sets of kernels that this processor runs, slowest first; never empty.
/// The last one is what is used.
std::span<const LosslessKernels* const> AvailableLosslessKernels() noexcept;

}  // namespace longhaul
