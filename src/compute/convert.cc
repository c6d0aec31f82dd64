#include "compute/convert.h"

#include "compute/dispatch.h"
#include "compute/float_mode.h"

namespace longhaul {

void ConvertF16ToF32(void* target, const void* source, size_t count) noexcept {
  const DefaultFloatMode mode;
  BestKernels().f16_to_f32(target, source, count);
}

void ConvertF32ToF16(void* target, const void* source, size_t count) noexcept {
  const DefaultFloatMode mode;
  BestKernels().f32_to_f16(target, source, count);
}

void ConvertBf16ToF32(void* target, const void* source, size_t count) noexcept {
  BestKernels().bf16_to_f32(target, source, count);
}

void ConvertF32ToBf16(void* target, const void* source, size_t count) noexcept {
  BestKernels().f32_to_bf16(target, source, count);
}

}  // namespace longhaul
