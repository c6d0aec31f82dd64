#include "codec/lossless.h"

#include <algorithm>

#include "base/check.h"
#include "codec/lossless_block.h"
#include "compute/dispatch.h"

namespace longhaul {
namespace {

const LosslessKernels& Best() { return *AvailableLosslessKernels().back(); }

LosslessShape ShapeOf(DataType type, const LosslessKernels& kernels) {
  using Type = LosslessKernels::Type;
  LH_CHECK(type == DataType::kFloat32 || type == DataType::kFloat16 ||
           type == DataType::kBfloat16);
  Type index = Type::kF32;
  if (type == DataType::kFloat16) index = Type::kF16;
  if (type == DataType::kBfloat16) index = Type::kBf16;
  return {&kernels, index, SizeOf(type)};
}

}  // namespace

std::span<const LosslessKernels* const> AvailableLosslessKernels() noexcept {
  // The targets are those of src/compute, in the same order.
  static constexpr const LosslessKernels* kSets[] = {
      &kBaselineLosslessKernels,
#ifdef __x86_64__
      &kAvx2LosslessKernels,
      &kAvx512LosslessKernels,
#endif
  };
  return std::span(kSets).first(AvailableKernels().size());
}

size_t LosslessBound(DataType type, size_t count) noexcept {
  return count * SizeOf(type) + (count + kLosslessBlock - 1) / kLosslessBlock;
}

size_t LosslessEncode(DataType type, const void* source, size_t count,
                      void* encoded) noexcept {
  return LosslessEncode(type, source, count, encoded, Best());
}

size_t LosslessEncode(DataType type, const void* source, size_t count,
                      void* encoded, const LosslessKernels& kernels) noexcept {
  const LosslessShape shape = ShapeOf(type, kernels);
  const auto* from = static_cast<const unsigned char*>(source);
  auto* const out = static_cast<unsigned char*>(encoded);
  size_t size = 0;
  while (count > 0) {
    const size_t here = std::min(count, kLosslessBlock);
    size += EncodeLosslessBlock(shape, from, here, out + size);
    from += here * shape.element;
    count -= here;
  }
  return size;
}

const uint8_t* LosslessDecodeNext(DataType type, const uint8_t* encoded,
                                  size_t size, size_t count,
                                  void* target) noexcept {
  const LosslessShape shape = ShapeOf(type, Best());
  const uint8_t* const end = encoded + size;
  auto* to = static_cast<unsigned char*>(target);
  while (encoded != nullptr && count > 0) {
    const size_t here = std::min(count, kLosslessBlock);
    encoded = DecodeLosslessBlock(shape, encoded, end, here, to);
    to += here * shape.element;
    count -= here;
  }
  return encoded;
}

bool LosslessDecode(DataType type, const void* encoded, size_t size,
                    size_t count, void* target) noexcept {
  return LosslessDecode(type, encoded, size, count, target, Best());
}

bool LosslessDecode(DataType type, const void* encoded, size_t size,
                    size_t count, void* target,
                    const LosslessKernels& kernels) noexcept {
  return LosslessReader(type, encoded, size, count, kernels)
      .Next(count, target);
}

LosslessReader::LosslessReader(DataType type, const void* encoded, size_t size,
                               size_t count) noexcept
    : LosslessReader(type, encoded, size, count, Best()) {}

LosslessReader::LosslessReader(DataType type, const void* encoded, size_t size,
                               size_t count,
                               const LosslessKernels& kernels) noexcept
    : type_(type),
      kernels_(&kernels),
      at_(static_cast<const unsigned char*>(encoded)),
      end_(at_ + size),
      left_(count) {}

bool LosslessReader::Next(size_t count, void* target) noexcept {
  LH_CHECK(count == left_ || (count < left_ && count % kLosslessBlock == 0));
  const LosslessShape shape = ShapeOf(type_, *kernels_);
  auto* to = static_cast<unsigned char*>(target);
  while (sound_ && count > 0) {
    const size_t here = std::min(count, kLosslessBlock);
    at_ = DecodeLosslessBlock(shape, at_, end_, here, to);
    sound_ = at_ != nullptr;
    to += here * shape.element;
    count -= here;
    left_ -= here;
  }
  if (left_ == 0 && at_ != end_) sound_ = false;
  return sound_;
}

}  // namespace longhaul
