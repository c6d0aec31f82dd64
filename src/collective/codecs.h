// The codecs a communicator may use between sites, each for the types of
// element that it takes: the one asked for, or, where an error bound is given
// instead, all that keep it, with how fast the slowest rank's processor is at
// each (codec_choice.h chooses among them).
//
// Values; thread-compatible.
#pragma once

#include <longhaul/codec.h>
#include <longhaul/types.h>

#include <array>
#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "codec/codec.h"

namespace longhaul {

/// f32s per second. 0: not known.
struct CodecSpeed {
  double encode = 0;
  double decode = 0;  ///< and added
};

/// One codec, for all types that it takes.
class CodecOffer {
 public:
  /// `spec` is valid and names a codec.
  explicit CodecOffer(const CodecSpec& spec);

  const CodecSpec& spec() const { return spec_; }
  /// What encodes an operation between sites; null if nothing does: only sums
  /// and averages of floating-point numbers of up to 32 bits are encoded.
  const Codec* For(DataType type, ReduceOp op) const;
  /// What encodes f32s into the codes of all types, if something is left out
  /// of them that can be fed back; else null.
  const Codec* ForFeedback() const;

  CodecSpeed speed;

 private:
  CodecSpec spec_;
  std::array<std::optional<Codec>, kDataTypeCount> by_type_;
};

class Codecs {
 public:
  /// `spec` is valid.
  explicit Codecs(const CodecSpec& spec);

  /// What was asked for.
  const CodecSpec& spec() const { return spec_; }
  /// Is one to be chosen for each operation, or none?
  bool chooses() const { return spec_.id == CodecId::kAuto; }
  /// By error, the least first.
  std::span<const CodecOffer> offers() const { return offers_; }

  /// Numbers that tell the speeds: encode and decode of every offer. What all
  /// ranks use has to be the least of theirs.
  std::vector<double> MeasureSpeeds() const;
  void SetSpeeds(std::span<const double> speeds);

 private:
  CodecSpec spec_;
  std::vector<CodecOffer> offers_;
};

/// Bytes of a code per byte it stands for, of long vectors.
double CodeShare(const Codec& codec);

}  // namespace longhaul
