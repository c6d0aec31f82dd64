// The 128 bytes that NCCL carries from a listener of somebody else's. The
// checksum is put right, so that the fuzzer gets past it. What is decoded is
// fit to be used, and survives another round; the stage is nobody's but the
// connecting side's.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "base/bytes.h"
#include "base/check.h"
#include "base/crc32c.h"
#include "handle.h"

namespace longhaul::nccl {
namespace {

using Bytes = std::array<uint8_t, abi::kHandleBytes>;

constexpr size_t kChecksumAt = 4;

void MendChecksum(Bytes& bytes) {
  void* const stage = StageOf(bytes);
  SetStage(bytes, nullptr);
  StoreLittle<uint32_t>(&bytes[kChecksumAt], 0);
  StoreLittle<uint32_t>(&bytes[kChecksumAt],
                        Crc32c(bytes.data(), bytes.size()));
  SetStage(bytes, stage);
}

void Try(Bytes bytes) {
  (void)DecodeHandle(bytes);
  MendChecksum(bytes);
  const Result<Handle> handle = DecodeHandle(bytes);
  if (!handle.ok()) return;
  LH_CHECK(handle->incarnation != 0 && handle->door.job != 0);
  LH_CHECK(!handle->addresses.empty());
  SetStage(bytes, &bytes);
  const Result<Handle> staged = DecodeHandle(bytes);
  LH_CHECK(staged.ok() && *staged == *handle);
  Bytes again;
  EncodeHandle(*handle, again);
  LH_CHECK(StageOf(again) == nullptr);
  const Result<Handle> decoded = DecodeHandle(again);
  LH_CHECK(decoded.ok() && *decoded == *handle);
}

}  // namespace
}  // namespace longhaul::nccl

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  longhaul::nccl::Bytes bytes{};
  std::copy_n(data, std::min(size, bytes.size()), bytes.begin());
  longhaul::nccl::Try(bytes);
  return 0;
}
