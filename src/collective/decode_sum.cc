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

// The next `count` elements of every code.
bool AddUp(const Codec& codec, std::span<CodeView> codes, size_t count,
           void* sum) {
  bool sound = codec.DecodeNext(&codes[0], count, false, sum);
  for (CodeView& code : codes.subspan(1)) {
    sound = codec.DecodeNext(&code, count, true, sum) && sound;
  }
  return sound;
}

bool AreAtEnd(std::span<const CodeView> codes) {
  return std::all_of(codes.begin(), codes.end(),
                     [](const CodeView& code) { return code.size == 0; });
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

bool DecodeSum(const Codec& codec, std::span<CodeView> codes, size_t count,
               uint32_t divisor, uint8_t* target) noexcept {
  if (codes.size() == 1 && divisor == 1) {
    return codec.Decode(codes[0].data, codes[0].size, count, target);
  }
  const size_t element_size = SizeOf(codec.type());
  const bool wide = codec.type() == DataType::kFloat32;
  alignas(64) std::array<float, kTile> tile;
  for (size_t first = 0; first < count; first += kTile) {
    const size_t some = std::min(kTile, count - first);
    uint8_t* place = target + first * element_size;
    void* sum = wide ? static_cast<void*>(place) : tile.data();
    if (!AddUp(codec, codes, some, sum)) return false;
    Divide(sum, some, divisor);
    if (!wide) Narrow(codec.type(), tile.data(), some, place);
  }
  return AreAtEnd(codes);
}

}  // namespace longhaul
