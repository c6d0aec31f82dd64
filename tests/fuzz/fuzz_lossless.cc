// Vectors encoded without loss, from afar. Whatever the bytes, decoding stays
// within its bounds (each array has a heap block of its own, for
// AddressSanitizer to watch), and every SIMD target gives the same answer and
// the same bits.
//
// The input is a byte for the type, two for the number of elements, and the
// encoded bytes; or, with the top bit of the first byte set, elements to be
// encoded, which must come back.
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/bytes.h"
#include "base/check.h"
#include "codec/lossless.h"

namespace longhaul {
namespace {

using Bytes = std::vector<uint8_t>;

constexpr size_t kHeader = 3;

DataType TypeOf(uint8_t byte) {
  constexpr DataType kTypes[] = {DataType::kFloat32, DataType::kFloat16,
                                 DataType::kBfloat16};
  return kTypes[(byte & 0x7fU) % 3];
}

void CheckDecoding(DataType type, size_t count, const Bytes& in) {
  std::optional<bool> taken;
  Bytes first;
  for (const LosslessKernels* kernels : AvailableLosslessKernels()) {
    Bytes out(count * SizeOf(type));
    const bool now =
        LosslessDecode(type, in.data(), in.size(), count, out.data(), *kernels);
    if (!taken) first = out;
    if (!taken) taken = now;
    LH_CHECK(now == *taken);
    LH_CHECK(!now || out == first);
  }
}

void CheckRoundTrip(DataType type, Bytes elements) {
  const size_t count = elements.size() / SizeOf(type);
  elements.resize(count * SizeOf(type));
  Bytes first;
  for (const LosslessKernels* kernels : AvailableLosslessKernels()) {
    Bytes encoded(LosslessBound(type, count));
    encoded.resize(
        LosslessEncode(type, elements.data(), count, encoded.data(), *kernels));
    const Bytes exact(encoded);
    Bytes there(elements.size());
    LH_CHECK(LosslessDecode(type, exact.data(), exact.size(), count,
                            there.data(), *kernels));
    LH_CHECK(there == elements);
    if (first.empty()) first = exact;
    LH_CHECK(first == exact);
  }
}

void CheckInput(const uint8_t* data, size_t size) {
  if (size < kHeader) return;
  const DataType type = TypeOf(data[0]);
  const Bytes rest(data + kHeader, data + size);
  if ((data[0] & 0x80U) != 0) return CheckRoundTrip(type, rest);
  CheckDecoding(type, LoadLittle<uint16_t>(data + 1) % 10000, rest);
}

}  // namespace
}  // namespace longhaul

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  longhaul::CheckInput(data, size);
  return 0;
}
