// A codec for vectors of one element type: bytes in, bytes out.
//
//   const Result<Codec> codec = Codec::Create(spec, DataType::kFloat32);
//   out.resize(codec->EncodedSize(count));
//   codec->Encode(vector, count, out.data(), {seed});
//   ...
//   if (!codec->DecodeAdd(in, size, count, sum)) ...   // kCorrupt
//
// What an element decodes to is an f32. It depends on the vector, the spec and
// the seed alone: the same bits come from every SIMD target, processor and
// caller's floating-point mode, and from every function here.
//
//  - Casts are those of compute/convert.h.
//  - kInt8, kInt4: the vector is cut in blocks, the last one as short as it
//    comes out. A block has a scale, a bf16: the least that is not below
//    max|x| / 127 (kInt4: / 7), and at least 2^-133. An element decodes to a
//    whole multiple of it that is off by no more than 0.5001 of the scale, with
//    stochastic rounding by less than 1.0001. Finite elements decode to finite
//    ones, -0 to +0, a block of zeros to zeros. A block that holds a NaN or an
//    infinity decodes to NaNs, all of it.
//  - kFp8E4m3, kFp8E5m2: blocks likewise, with max|x| / 448 (/ 57344) for the
//    scale. An element decodes to a float of 8 bits times it, which is off by
//    no more than 1/16 (1/8) of the element, or 2^-10 (2^-17) of the scale if
//    that is more; with stochastic rounding by less than twice that.
//  - With rotation these bounds (kInt8, kInt4) hold for the rotated block: a
//  block's error, as
//    the root of its sum of squares, is no more than the bound for one element
//    times the root of the number of elements, but a single element may have
//    most of it. A short block, and one with elements from 2^112 on, is not
//    rotated.
//  - kLossless: elements decode to themselves, widened (codec/lossless.h).
//  - NaNs that codecs with blocks decode to, and all that DecodeAdd gives, are
//    canonical: 0x7fc00000.
//
// Pure: no allocation, no lock, no state. Arrays may lie at any address and do
// not overlap except as stated. Reading bytes from afar: whatever they are,
// nothing is read or written out of bounds.
//
// Any thread.
#pragma once

#include <longhaul/codec.h>
#include <longhaul/status.h>
#include <longhaul/types.h>

#include <cstddef>
#include <cstdint>

#include "codec/codec_kernels.h"

namespace longhaul {

/// What stochastic rounding draws its bits from: they are a function of `seed`
/// and an element's number in the vector. Sums of several vectors are right on
/// average only if their seeds differ. Other roundings ignore it.
struct CodecSeed {
  uint64_t seed = 0;
  /// The number of the first element, a multiple of Codec::granule(): a vector
  /// encoded in pieces gives the bytes it gives as a whole.
  uint64_t first_element = 0;
};

/// A code, or what is left of one that is decoded from its beginning on.
struct CodeView {
  const uint8_t* data = nullptr;
  size_t size = 0;  ///< bytes
};

class Codec {
 public:
  /// kUnsupported if the codec does not take that type: the casts take f32,
  /// codecs with blocks and kLossless take f32, f16 and bf16, kNone takes all,
  /// kAuto none.
  /// kInvalidArgument if the spec is not Valid().
  static Result<Codec> Create(const CodecSpec& spec, DataType type);
  /// The same by the kernels given, for tests and benchmarks.
  static Result<Codec> Create(const CodecSpec& spec, DataType type,
                              const CodecKernels& kernels);

  const CodecSpec& spec() const noexcept { return spec_; }
  DataType type() const noexcept { return type_; }

  /// A vector may be cut into pieces encoded one by one at multiples of this
  /// many elements: the pieces' bytes are then those of the whole.
  size_t granule() const noexcept;
  /// Is the length of a code a function of the number of elements alone?
  bool fixed_rate() const noexcept;
  /// The bytes that `count` elements become: exactly, or if the rate is not
  /// fixed, at most.
  size_t EncodedSize(size_t count) const noexcept;

  /// Bytes of a code per byte of the vector, of long vectors; where the rate is
  /// not fixed, of gradients as they usually are.
  double TypicalShare() const noexcept;

  /// Encodes into EncodedSize(count) bytes; says how many of them it took.
  size_t Encode(const void* source, size_t count, void* encoded,
                const CodecSeed& seed = {}) const noexcept;
  /// Encodes, and writes the f32 that each element decodes to, for about what
  /// Encode costs. `decoded` may be `source` if that is f32. Not for integers
  /// and f64.
  void EncodeDecode(const void* source, size_t count, void* encoded,
                    void* decoded, const CodecSeed& seed = {}) const noexcept;

  /// Decodes `count` elements into elements of type(); f16 and bf16 are rounded
  /// to nearest even, and by codecs with blocks kept finite. False if the bytes
  /// are not what an encoder gives: another size, or an impossible scale; the
  /// target then holds rubbish.
  [[nodiscard]] bool Decode(const void* encoded, size_t size, size_t count,
                            void* target) const noexcept;
  /// The same into f32. Not for integers and f64.
  [[nodiscard]] bool DecodeF32(const void* encoded, size_t size, size_t count,
                               void* target) const noexcept;
  /// The next `count` elements of a code, all that are left or a multiple of
  /// granule(), into f32s, or added to them. The code is then what comes behind
  /// them. False as by Decode. Not for integers and f64.
  [[nodiscard]] bool DecodeNext(CodeView* code, size_t count, bool add,
                                void* target) const noexcept;
  /// The same, added to the f32s of `sum`.
  [[nodiscard]] bool DecodeAdd(const void* encoded, size_t size, size_t count,
                               void* sum) const noexcept;

 private:
  Codec(const CodecSpec& spec, DataType type, const CodecKernels& kernels)
      : spec_(spec), type_(type), kernels_(&kernels) {}

  enum class Sink : uint8_t;
  bool DecodeLossless(CodeView* code, size_t count, bool add,
                      void* target) const noexcept;
  bool DecodeInto(Sink sink, const void* encoded, size_t size, size_t count,
                  void* target) const noexcept;
  void EncodeBy(const void* source, size_t count, void* encoded, void* decoded,
                const CodecSeed& seed) const noexcept;

  CodecSpec spec_;
  DataType type_;
  const CodecKernels* kernels_;
};

}  // namespace longhaul
