// Element-wise reduction of vectors in host memory, the arithmetic under every
// collective that reduces.
//
// The result depends on the operands and their order alone: the same bits come
// from every SIMD target, processor and caller's floating-point mode.
//
//  - Operands combine left to right. f32 and f64 accumulate in their own type;
//    f16 and bf16 accumulate (and divide) in f32 and are rounded once, to
//    nearest even.
//  - A NaN result is always the type's canonical one: positive, quiet, payload
//    zero (f32: 0x7fc00000). kMin and kMax order -0 below +0, so they do not
//    depend on the order of operands at all.
//  - Integers wrap. kAvg divides the wrapped sum and truncates toward zero.
//  - One source that is not divided is copied bit for bit.
//
// Any thread.
#pragma once

#include <longhaul/types.h>

#include <cstddef>
#include <cstdint>
#include <span>

namespace longhaul {

/// What to do with the operands. `divisor`, at least 1, applies to kAvg, and
/// any other operator leaves it at 1: a step that sees only some of the
/// contributions sums with divisor 1, the last step divides by the number of
/// ranks.
struct Reduction {
  DataType type = DataType::kFloat32;
  ReduceOp op = ReduceOp::kSum;
  uint32_t divisor = 1;
};

/// target[i] = (sources[0][i] op sources[1][i] op ...) / divisor, for
/// 0 <= i < count elements.
///
/// There is at least one source; each holds `count` elements at any address
/// (fastest when aligned to 64 bytes). `target` may be one or several of the
/// sources; otherwise it overlaps none of them.
void Reduce(const Reduction& reduction, void* target,
            std::span<const void* const> sources, size_t count) noexcept;

}  // namespace longhaul
