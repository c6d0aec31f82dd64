// Encoded vectors from afar. Whatever the bytes, decoding stays within its
// bounds (each array has a heap block of its own, for AddressSanitizer to
// watch), and every SIMD target gives the same answer and the same bits.
//
// The input is the codec's number, the type's, a block's size, rounding and
// rotation, a word for the number of elements, and the encoded bytes; or, with
// the top bit of the first byte set, elements to be encoded, which must come
// back.
#include <longhaul/codec.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <vector>

#include "base/bytes.h"
#include "base/check.h"
#include "codec/codec.h"
#include "codec/dispatch.h"

namespace longhaul {
namespace {

constexpr size_t kHeader = 8;

CodecSpec SpecOf(const uint8_t* data) {
  CodecSpec spec = CodecSpec::Of(static_cast<CodecId>((data[0] & 0x7fU) % 7));
  if (spec.block != 0) {
    spec.block = static_cast<uint16_t>(32U << data[2] % 4);
    spec.rounding = static_cast<CodecRounding>(data[3] % 2);
    spec.rotate = spec.id <= CodecId::kInt4 && (data[3] & 2U) != 0;
  }
  return spec;
}

DataType TypeOf(const uint8_t* data) {
  constexpr DataType kTypes[] = {DataType::kFloat32, DataType::kFloat16,
                                 DataType::kBfloat16};
  return kTypes[data[1] % 3];
}

struct Decoded {
  bool taken[3] = {};
  std::vector<uint8_t> elements;
  std::vector<float> wide;
  std::vector<float> sum;
};

bool SameBits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.empty() || std::memcmp(a.data(), b.data(), a.size() * 4) == 0;
}

Decoded DecodeBy(const Codec& codec, const std::vector<uint8_t>& in,
                 size_t count) {
  Decoded out;
  out.elements.resize(count * SizeOf(codec.type()));
  out.wide.resize(count);
  out.sum.assign(count, 1.5F);
  out.taken[0] = codec.Decode(in.data(), in.size(), count, out.elements.data());
  out.taken[1] = codec.DecodeF32(in.data(), in.size(), count, out.wide.data());
  out.taken[2] = codec.DecodeAdd(in.data(), in.size(), count, out.sum.data());
  LH_CHECK(out.taken[0] == out.taken[1] && out.taken[0] == out.taken[2]);
  return out;
}

void CheckDecoding(const CodecSpec& spec, DataType type, size_t count,
                   const std::vector<uint8_t>& in) {
  std::optional<Decoded> first;
  for (const CodecKernels* kernels : AvailableCodecKernels()) {
    const Result<Codec> codec = Codec::Create(spec, type, *kernels);
    if (!codec.ok()) return;
    const Decoded decoded = DecodeBy(*codec, in, count);
    if (!first) first = decoded;
    LH_CHECK(decoded.taken[0] == first->taken[0]);
    if (!decoded.taken[0]) continue;
    LH_CHECK(decoded.elements == first->elements);
    LH_CHECK(SameBits(decoded.wide, first->wide));
    LH_CHECK(SameBits(decoded.sum, first->sum));
  }
}

void CheckRoundTrip(const CodecSpec& spec, DataType type,
                    const std::vector<uint8_t>& elements) {
  const size_t count = elements.size() / SizeOf(type);
  std::optional<std::vector<uint8_t>> first;
  for (const CodecKernels* kernels : AvailableCodecKernels()) {
    const Result<Codec> codec = Codec::Create(spec, type, *kernels);
    if (!codec.ok()) return;
    std::vector<uint8_t> bytes(codec->EncodedSize(count));
    std::vector<float> decoded(count);
    codec->EncodeDecode(elements.data(), count, bytes.data(), decoded.data());
    std::vector<float> there(count);
    LH_CHECK(codec->DecodeF32(bytes.data(), bytes.size(), count, there.data()));
    LH_CHECK(SameBits(decoded, there));
    if (!first) first = bytes;
    LH_CHECK(bytes == *first);
  }
}

void CheckInput(const uint8_t* data, size_t size) {
  if (size < kHeader) return;
  const CodecSpec spec = SpecOf(data);
  const DataType type = TypeOf(data);
  const std::vector<uint8_t> rest(data + kHeader, data + size);
  if ((data[0] & 0x80U) != 0) return CheckRoundTrip(spec, type, rest);
  const size_t count = LoadLittle<uint32_t>(data + 4) % 4096;
  CheckDecoding(spec, type, count, rest);
}

}  // namespace
}  // namespace longhaul

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  longhaul::CheckInput(data, size);
  return 0;
}
