// The text that is learnt: files of a folder, or one that is made up. Every
// tenth stretch of it is held out, for validation.
//
// Plain values; thread-compatible.
#pragma once

#include <longhaul/status.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "model.h"

namespace train {

struct Text {
  size_t vocabulary = 0;          ///< characters that occur
  std::vector<uint8_t> training;  ///< as their numbers, 0 .. vocabulary - 1
  std::vector<uint8_t> held_out;

  /// `where`: a folder, all files of which are read in the order of their
  /// names, those of the same content once, or the word "generated".
  static longhaul::Result<Text> Load(const std::string& where);
};

/// The places of `text` whose next characters are number begin .. begin + count
/// of a draw that (seed, draw) names.
Batch Draw(const std::vector<uint8_t>& text, size_t context, uint64_t seed,
           uint64_t draw, size_t begin, size_t count);

}  // namespace train
