#include "handle.h"

#include <algorithm>
#include <cstring>

#include "base/bytes.h"
#include "base/crc32c.h"

namespace longhaul::nccl {
namespace {

constexpr uint32_t kMagic = 0x434e484cu;  // "LHNC"
constexpr uint8_t kVersion = 1;
// magic 0, checksum 4, version 8, addresses 9, stage 16, then:
constexpr size_t kStageAt = 16;
constexpr size_t kCookieAt = 24;
constexpr size_t kIncarnationAt = 32;
constexpr size_t kSiteAt = 40;
constexpr size_t kJobAt = 48;
constexpr size_t kKeyAt = 56;
constexpr size_t kCapabilitiesAt = 10;  // 16 bits of them
constexpr size_t kAddressesAt = 72;

size_t BytesOf(AddressFamily family) {
  return family == AddressFamily::kIpv6 ? 16 : 4;
}

// All but what changes: the checksum itself and the stage.
uint32_t Checksum(std::span<const uint8_t, abi::kHandleBytes> in) {
  std::array<uint8_t, abi::kHandleBytes> copy;
  std::copy(in.begin(), in.end(), copy.begin());
  std::fill_n(copy.begin() + 4, 4, uint8_t{0});
  std::fill_n(copy.begin() + kStageAt, sizeof(void*), uint8_t{0});
  return Crc32c(copy.data(), copy.size());
}

Status Bad(const char* what) {
  return {StatusCode::kInvalidArgument, what, FaultScope::kConnection};
}

}  // namespace

void EncodeHandle(const Handle& handle, HandleBytes out) {
  std::fill(out.begin(), out.end(), uint8_t{0});
  uint8_t* p = out.data();
  StoreLittle<uint32_t>(p, kMagic);
  p[8] = kVersion;
  StoreLittle<uint16_t>(p + kCapabilitiesAt,
                        static_cast<uint16_t>(handle.capabilities));
  StoreLittle<uint64_t>(p + kCookieAt, handle.cookie);
  StoreLittle<uint64_t>(p + kIncarnationAt, handle.incarnation);
  StoreLittle<uint64_t>(p + kSiteAt, handle.site);
  StoreLittle<uint64_t>(p + kJobAt, handle.door.job);
  std::copy(handle.door.key.begin(), handle.door.key.end(), p + kKeyAt);
  size_t at = kAddressesAt;
  for (const Address& address : handle.addresses) {
    const size_t bytes = BytesOf(address.family);
    if (at + 3 + bytes > out.size()) break;
    p[at] = static_cast<uint8_t>(address.family);
    StoreLittle<uint16_t>(p + at + 1, address.port);
    std::copy_n(address.bytes.begin(), bytes, p + at + 3);
    at += 3 + bytes;
    ++p[9];
  }
  StoreLittle<uint32_t>(p + 4, Checksum(out));
}

Result<Handle> DecodeHandle(std::span<const uint8_t, abi::kHandleBytes> in) {
  const uint8_t* p = in.data();
  if (LoadLittle<uint32_t>(p) != kMagic) {
    return Bad("the handle is not one of longhaul's: does every rank load it?");
  }
  if (p[8] != kVersion) {
    return Bad("the handle is of another version of longhaul");
  }
  if (LoadLittle<uint32_t>(p + 4) != Checksum(in)) {
    return Bad("the handle is damaged");
  }
  Handle handle;
  handle.capabilities = LoadLittle<uint16_t>(p + kCapabilitiesAt);
  handle.cookie = LoadLittle<uint64_t>(p + kCookieAt);
  handle.incarnation = LoadLittle<uint64_t>(p + kIncarnationAt);
  handle.site = LoadLittle<uint64_t>(p + kSiteAt);
  handle.door.job = LoadLittle<uint64_t>(p + kJobAt);
  std::copy_n(p + kKeyAt, handle.door.key.size(), handle.door.key.begin());
  size_t at = kAddressesAt;
  for (int i = 0; i < p[9]; ++i) {
    if (at + 3 > in.size()) return Bad("a handle without its addresses");
    Address address;
    address.family = static_cast<AddressFamily>(p[at]);
    if (address.family != AddressFamily::kIpv4 &&
        address.family != AddressFamily::kIpv6) {
      return Bad("an address of no known family");
    }
    const size_t bytes = BytesOf(address.family);
    if (at + 3 + bytes > in.size()) {
      return Bad("a handle without its addresses");
    }
    address.port = LoadLittle<uint16_t>(p + at + 1);
    std::copy_n(p + at + 3, bytes, address.bytes.begin());
    handle.addresses.push_back(address);
    at += 3 + bytes;
  }
  if (handle.incarnation == 0 || handle.door.job == 0 ||
      handle.addresses.empty()) {
    return Bad("a handle that leads nowhere");
  }
  return handle;
}

void* StageOf(std::span<const uint8_t, abi::kHandleBytes> handle) {
  void* stage;
  std::memcpy(&stage, handle.data() + kStageAt, sizeof stage);
  return stage;
}

void SetStage(HandleBytes handle, void* stage) {
  std::memcpy(handle.data() + kStageAt, &stage, sizeof stage);
}

}  // namespace longhaul::nccl
