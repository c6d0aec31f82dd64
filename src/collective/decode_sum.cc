#include "collective/decode_sum.h"

#include <algorithm>
#include <array>

#include "base/check.h"
#include "collective/schedule.h"
#include "compute/convert.h"
#include "compute/reduce.h"

namespace longhaul {
namespace {

// Elements added at a time: what all codes add up to stays in the cache.
constexpr size_t kTile = 4096;
static_assert(kTile % kCodeGrain == 0);

// A stretch of every code, from element `first` on.
struct Stretch {
  size_t first;
  size_t count;
};

bool AddUp(const Codec& codec, std::span<const uint8_t* const> codes,
           const Stretch& stretch, void* sum) {
  const size_t offset = codec.EncodedSize(stretch.first);
  const size_t size = codec.EncodedSize(stretch.count);
  bool sound = codec.DecodeF32(codes[0] + offset, size, stretch.count, sum);
  for (const uint8_t* code : codes.subspan(1)) {
    sound = codec.DecodeAdd(code + offset, size, stretch.count, sum) && sound;
  }
  return sound;
}

void Divide(void* sum, size_t count, uint32_t divisor) {
  if (divisor == 1) return;
  const void* source = sum;
  Reduce({DataType::kFloat32, ReduceOp::kAvg, divisor}, sum,
         std::span(&source, 1), count);
}

void Narrow(DataType type, const float* sum, size_t count, uint8_t* target) {
  if (type == DataType::kFloat16) {
    ConvertF32ToF16(target, sum, count);
  } else {
    LH_CHECK(type == DataType::kBfloat16);
    ConvertF32ToBf16(target, sum, count);
  }
}

}  // namespace

bool DecodeSum(const Codec& codec, std::span<const uint8_t* const> codes,
               size_t count, uint32_t divisor, uint8_t* target) noexcept {
  if (codes.size() == 1 && divisor == 1) {
    return codec.Decode(codes[0], codec.EncodedSize(count), count, target);
  }
  const size_t element_size = SizeOf(codec.type());
  const bool wide = codec.type() == DataType::kFloat32;
  alignas(64) std::array<float, kTile> tile;
  for (size_t first = 0; first < count; first += kTile) {
    const Stretch stretch = {first, std::min(kTile, count - first)};
    uint8_t* place = target + first * element_size;
    void* sum = wide ? static_cast<void*>(place) : tile.data();
    if (!AddUp(codec, codes, stretch, sum)) return false;
    Divide(sum, stretch.count, divisor);
    if (!wide) Narrow(codec.type(), tile.data(), stretch.count, place);
  }
  return true;
}

}  // namespace longhaul
