#include "codec/codec.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <string>

#include "base/check.h"
#include "codec/dispatch.h"
#include "codec/lossless.h"
#include "compute/float_mode.h"

namespace longhaul {
namespace {

constexpr size_t kScaleBytes = 2;

bool IsCast(CodecId id) { return id == CodecId::kBf16 || id == CodecId::kF16; }

bool IsShortFloat(DataType type) {
  return type == DataType::kFloat16 || type == DataType::kBfloat16;
}

bool IsFloat(DataType type) {
  return type == DataType::kFloat32 || IsShortFloat(type);
}

bool Takes(CodecId id, DataType type) {
  if (id == CodecId::kNone) return true;
  if (id == CodecId::kAuto) return false;
  return IsCast(id) ? type == DataType::kFloat32 : IsFloat(type);
}

// The row of the kernels' tables, of a type that IsFloat.
CodecKernels::Type RowOf(DataType type) {
  if (type == DataType::kFloat16) return CodecKernels::kF16;
  if (type == DataType::kBfloat16) return CodecKernels::kBf16;
  return CodecKernels::kF32;
}

// Of what a codec without blocks sends.
DataType WireType(CodecId id, DataType type) {
  if (id == CodecId::kBf16) return DataType::kBfloat16;
  if (id == CodecId::kF16) return DataType::kFloat16;
  return type;
}

CodecKernels::Bits BitsOf(CodecId id) {
  if (id == CodecId::kInt8) return CodecKernels::kEight;
  if (id == CodecId::kInt4) return CodecKernels::kFour;
  return id == CodecId::kFp8E4m3 ? CodecKernels::kE4m3 : CodecKernels::kE5m2;
}

// The codes of `count` elements of one block (block_quant.inl).
size_t CodeBytes(CodecId id, size_t count) {
  if (id != CodecId::kInt4) return count;
  const size_t rest = count % 32;
  return count / 32 * 16 + (rest < 16 ? rest : 16);
}

}  // namespace

enum class Codec::Sink : uint8_t { kElements, kF32, kAdd };

Result<Codec> Codec::Create(const CodecSpec& spec, DataType type) {
  return Create(spec, type, *AvailableCodecKernels().back());
}

Result<Codec> Codec::Create(const CodecSpec& spec, DataType type,
                            const CodecKernels& kernels) {
  if (!spec.Valid()) {
    return Status(
        StatusCode::kInvalidArgument,
        "codec: the parameters of " + spec.ToString() + " do not fit it");
  }
  if (!Takes(spec.id, type)) {
    return Status(StatusCode::kUnsupported,
                  std::string("codec: ") + NameOf(spec.id) +
                      " does not encode " + NameOf(type) + ", only f32" +
                      (IsCast(spec.id) ? "" : ", f16 and bf16"));
  }
  return Codec(spec, type, kernels);
}

size_t Codec::granule() const noexcept {
  if (spec_.id == CodecId::kLossless) return kLosslessBlock;
  return spec_.block == 0 ? 1 : spec_.block;
}

bool Codec::fixed_rate() const noexcept {
  return spec_.id != CodecId::kLossless;
}

size_t Codec::EncodedSize(size_t count) const noexcept {
  if (spec_.id == CodecId::kLossless) return LosslessBound(type_, count);
  if (spec_.block == 0) return count * SizeOf(WireType(spec_.id, type_));
  const size_t whole = count / spec_.block;
  const size_t rest = count % spec_.block;
  return whole * (kScaleBytes + CodeBytes(spec_.id, spec_.block)) +
         (rest == 0 ? 0 : kScaleBytes + CodeBytes(spec_.id, rest));
}

void Codec::EncodeBy(const void* source, size_t count, void* encoded,
                     void* decoded, const CodecSeed& seed) const noexcept {
  LH_DCHECK(seed.first_element % granule() == 0);
  const size_t decodes = decoded != nullptr ? 1 : 0;
  EncodeCall call{source,      count,        encoded,   decoded,
                  spec_.block, spec_.rotate, seed.seed, 0};
  const DefaultFloatMode mode;
  if (IsCast(spec_.id)) {
    kernels_->narrow[RowOf(WireType(spec_.id, type_))][decodes](call);
    return;
  }
  call.first_block = seed.first_element / spec_.block;
  const size_t stochastic =
      spec_.rounding == CodecRounding::kStochastic ? 1 : 0;
  kernels_->quantise[BitsOf(spec_.id)][RowOf(type_)].by[stochastic][decodes](
      call);
}

double Codec::TypicalShare() const noexcept {
  // docs/adr/0013-lossless.md has the figures of several kinds of gradients.
  if (spec_.id == CodecId::kLossless) {
    return type_ == DataType::kFloat32 ? 0.85 : 0.7;
  }
  constexpr size_t kMany = size_t{1} << 20;
  return static_cast<double>(EncodedSize(kMany)) /
         static_cast<double>(kMany * SizeOf(type_));
}

size_t Codec::Encode(const void* source, size_t count, void* encoded,
                     const CodecSeed& seed) const noexcept {
  if (count == 0) return 0;
  if (spec_.id == CodecId::kLossless) {
    return LosslessEncode(type_, source, count, encoded);
  }
  if (spec_.id == CodecId::kNone) {
    std::memcpy(encoded, source, count * SizeOf(type_));
  } else {
    EncodeBy(source, count, encoded, nullptr, seed);
  }
  return EncodedSize(count);
}

void Codec::EncodeDecode(const void* source, size_t count, void* encoded,
                         void* decoded, const CodecSeed& seed) const noexcept {
  LH_DCHECK(IsFloat(type_));
  if (count == 0) return;
  if (spec_.id != CodecId::kNone && spec_.id != CodecId::kLossless) {
    EncodeBy(source, count, encoded, decoded, seed);
    return;
  }
  const size_t bytes = Encode(source, count, encoded);
  // From the code: `decoded` may be the source.
  (void)DecodeInto(Sink::kF32, encoded, bytes, count, decoded);
}

// A block at a time, and then on to f32 while it is in cache.
bool Codec::DecodeLossless(CodeView* code, size_t count, bool add,
                           void* target) const noexcept {
  alignas(64) std::array<uint8_t, kLosslessBlock * sizeof(float)> block;
  auto* to = static_cast<float*>(target);
  while (count > 0) {
    const size_t here = std::min(count, kLosslessBlock);
    const bool straight = type_ == DataType::kFloat32 && !add;
    void* elements = straight ? static_cast<void*>(to) : block.data();
    const uint8_t* next =
        LosslessDecodeNext(type_, code->data, code->size, here, elements);
    if (next == nullptr) return false;
    code->size -= static_cast<size_t>(next - code->data);
    code->data = next;
    if (!straight) {
      const DecodeCall call{block.data(), here, to, 0, false};
      const DefaultFloatMode mode;
      (void)kernels_->widen[RowOf(type_)][add ? 1 : 0](call);
    }
    to += here;
    count -= here;
  }
  return true;
}

bool Codec::DecodeInto(Sink sink, const void* encoded, size_t size,
                       size_t count, void* target) const noexcept {
  if (spec_.id == CodecId::kLossless) {
    if (sink == Sink::kElements) {
      return LosslessDecode(type_, encoded, size, count, target);
    }
    CodeView code = {static_cast<const uint8_t*>(encoded), size};
    return DecodeLossless(&code, count, sink == Sink::kAdd, target) &&
           code.size == 0;
  }
  // In this order, since a count from afar times a size might wrap.
  if (count > size * 2 || size != EncodedSize(count)) return false;
  if (count == 0) return true;
  const DecodeCall call{encoded, count, target, spec_.block, spec_.rotate};
  const size_t adds = sink == Sink::kAdd ? 1 : 0;
  const DefaultFloatMode mode;
  if (spec_.block == 0) {
    return kernels_->widen[RowOf(WireType(spec_.id, type_))][adds](call);
  }
  const auto& dequantise = kernels_->dequantise[BitsOf(spec_.id)];
  if (sink == Sink::kElements && IsShortFloat(type_)) {
    return dequantise[type_ == DataType::kFloat16 ? CodecKernels::kStoreF16
                                                  : CodecKernels::kStoreBf16](
        call);
  }
  return dequantise[adds != 0 ? CodecKernels::kAddF32
                              : CodecKernels::kStoreF32](call);
}

bool Codec::Decode(const void* encoded, size_t size, size_t count,
                   void* target) const noexcept {
  if (spec_.id != CodecId::kNone) {
    return DecodeInto(Sink::kElements, encoded, size, count, target);
  }
  if (size / SizeOf(type_) != count || size % SizeOf(type_) != 0) return false;
  if (count != 0) std::memcpy(target, encoded, size);
  return true;
}

bool Codec::DecodeF32(const void* encoded, size_t size, size_t count,
                      void* target) const noexcept {
  LH_DCHECK(IsFloat(type_));
  return DecodeInto(Sink::kF32, encoded, size, count, target);
}

bool Codec::DecodeNext(CodeView* code, size_t count, bool add,
                       void* target) const noexcept {
  LH_DCHECK(IsFloat(type_));
  if (spec_.id == CodecId::kLossless) {
    return DecodeLossless(code, count, add, target);
  }
  const size_t size = EncodedSize(count);
  if (count > code->size * 2 || size > code->size) return false;
  const CodeView next = *code;
  code->data += size;
  code->size -= size;
  return DecodeInto(add ? Sink::kAdd : Sink::kF32, next.data, size, count,
                    target);
}

bool Codec::DecodeAdd(const void* encoded, size_t size, size_t count,
                      void* sum) const noexcept {
  LH_DCHECK(IsFloat(type_));
  return DecodeInto(Sink::kAdd, encoded, size, count, sum);
}

}  // namespace longhaul
