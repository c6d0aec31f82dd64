// What several codes decode to, added: the arithmetic of StepKind::kDecode.
//
// Pure functions; any thread.
#pragma once

#include <longhaul/types.h>

#include <cstddef>
#include <cstdint>
#include <span>

#include "codec/codec.h"

namespace longhaul {

/// target[i] = (decode(codes[0])[i] + decode(codes[1])[i] + ...) / divisor for
/// 0 <= i < count, added in f32 in this order and rounded to the codec's type
/// once; one code that is not divided is decoded as Codec::Decode does. There
/// is at least one code; each is of `count` elements, and what is left of it
/// afterwards is rubbish. False if one is not what an encoder gives; the target
/// then holds rubbish.
[[nodiscard]] bool DecodeSum(const Codec& codec, std::span<CodeView> codes,
                             size_t count, uint32_t divisor,
                             uint8_t* target) noexcept;

}  // namespace longhaul
