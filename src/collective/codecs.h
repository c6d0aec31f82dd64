// The codec of a communicator, for each type of element that it takes.
//
// Values; thread-compatible.
#pragma once

#include <longhaul/codec.h>
#include <longhaul/types.h>

#include <array>
#include <optional>

#include "codec/codec.h"

namespace longhaul {

class Codecs {
 public:
  /// `spec` is valid.
  explicit Codecs(const CodecSpec& spec);

  const CodecSpec& spec() const { return spec_; }
  /// What encodes an operation between sites; null if nothing does: only sums
  /// and averages of floating-point numbers of up to 32 bits are encoded.
  const Codec* For(DataType type, ReduceOp op) const;
  /// What encodes f32s into the codes of all types, if something is left out
  /// of them that can be fed back; else null.
  const Codec* ForFeedback() const;

 private:
  CodecSpec spec_;
  std::array<std::optional<Codec>, kDataTypeCount> by_type_;
};

/// Bytes of a code per byte it stands for, of long vectors.
double CodeShare(const Codec& codec);

}  // namespace longhaul
