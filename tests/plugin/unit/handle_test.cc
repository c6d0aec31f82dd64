#include "handle.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "base/bytes.h"
#include "base/crc32c.h"

namespace longhaul::nccl {
namespace {

using Bytes = std::array<uint8_t, abi::kHandleBytes>;

// Where the bytes of docs/wire_format.md lie.
constexpr size_t kChecksumAt = 4;
constexpr size_t kVersionAt = 8;
constexpr size_t kCountAt = 9;
constexpr size_t kStageAt = 16;
constexpr size_t kIncarnationAt = 32;
constexpr size_t kJobAt = 48;
constexpr size_t kAddressesAt = 72;

Address Ipv4(uint8_t last) {
  Address address;
  address.family = AddressFamily::kIpv4;
  address.port = static_cast<uint16_t>(40'000 + last);
  address.bytes = {10, 0, 0, last};
  return address;
}

Address Ipv6(uint8_t last) {
  Address address;
  address.family = AddressFamily::kIpv6;
  address.port = static_cast<uint16_t>(50'000 + last);
  for (size_t i = 0; i < 16; ++i) {
    address.bytes[i] = static_cast<uint8_t>(0xf0 - i);
  }
  address.bytes[15] = last;
  return address;
}

Handle HandleWith(std::vector<Address> addresses) {
  Handle handle;
  handle.cookie = 0x1122334455667788;
  handle.incarnation = 0x99aabbccddeeff01;
  handle.capabilities = 0x8001;
  handle.site = 0x0f1e2d3c4b5a6978;
  handle.door.job = 0xfedcba9876543210;
  for (size_t i = 0; i < handle.door.key.size(); ++i) {
    handle.door.key[i] = static_cast<uint8_t>(i + 1);
  }
  handle.addresses = std::move(addresses);
  return handle;
}

Bytes Encoded(const Handle& handle) {
  Bytes bytes;
  bytes.fill(0xcc);  // what was there before
  EncodeHandle(handle, bytes);
  return bytes;
}

// As somebody would who can compute a checksum.
Bytes WithChecksum(Bytes bytes) {
  Bytes summed = bytes;
  std::fill_n(summed.begin() + kChecksumAt, 4, uint8_t{0});
  std::fill_n(summed.begin() + kStageAt, sizeof(void*), uint8_t{0});
  StoreLittle<uint32_t>(&bytes[kChecksumAt],
                        Crc32c(summed.data(), summed.size()));
  return bytes;
}

void ExpectRefused(const Bytes& bytes, const std::string& what) {
  const Result<Handle> handle = DecodeHandle(bytes);
  ASSERT_FALSE(handle.ok()) << what;
  EXPECT_EQ(handle.status().code(), StatusCode::kInvalidArgument) << what;
}

// How many of its addresses a handle carries; they must be its first.
size_t Carried(const std::vector<Address>& addresses) {
  Handle handle = HandleWith(addresses);
  const Result<Handle> decoded = DecodeHandle(Encoded(handle));
  EXPECT_TRUE(decoded.ok());
  if (!decoded.ok()) return 0;
  const size_t carried = decoded->addresses.size();
  EXPECT_LE(carried, addresses.size());
  handle.addresses.resize(std::min(carried, addresses.size()));
  EXPECT_EQ(*decoded, handle);
  return carried;
}

TEST(HandleTest, SurvivesARoundTrip) {
  const Handle handle = HandleWith({Ipv4(1), Ipv6(2), Ipv4(3)});
  const Result<Handle> decoded = DecodeHandle(Encoded(handle));
  ASSERT_TRUE(decoded.ok()) << decoded.status().text();
  EXPECT_EQ(*decoded, handle);
}

TEST(HandleTest, IsTheSameWhateverWasThereBefore) {
  const Handle handle = HandleWith({Ipv4(1)});
  Bytes over_zeros{};
  EncodeHandle(handle, over_zeros);
  EXPECT_EQ(Encoded(handle), over_zeros);
  EXPECT_EQ(StageOf(over_zeros), nullptr);
}

TEST(HandleTest, CarriesTheFirstAddressesThatFit) {
  std::vector<Address> ipv4;
  std::vector<Address> ipv6;
  for (uint8_t i = 0; i < 20; ++i) {
    ipv4.push_back(Ipv4(i));
    ipv6.push_back(Ipv6(i));
    EXPECT_EQ(Carried(ipv4), std::min<size_t>(ipv4.size(), 8));
    EXPECT_EQ(Carried(ipv6), std::min<size_t>(ipv6.size(), 2));
  }
}

TEST(HandleTest, CarriesAddressesOfBothFamilies) {
  EXPECT_EQ(Carried({Ipv6(1), Ipv6(2), Ipv4(3), Ipv4(4)}), 4u);
  // 56 bytes: 19 for an IPv6 address, 7 for an IPv4 one.
  EXPECT_EQ(
      Carried({Ipv6(1), Ipv4(2), Ipv4(3), Ipv4(4), Ipv4(5), Ipv4(6), Ipv4(7)}),
      6u);
  // Cut at the first that does not fit, though a worse one would.
  EXPECT_EQ(Carried({Ipv4(1), Ipv4(2), Ipv4(3), Ipv6(4), Ipv6(5), Ipv4(6)}),
            4u);
}

TEST(HandleTest, EveryFlippedBitIsSeen) {
  for (const auto& addresses :
       {std::vector{Ipv4(1)}, std::vector{Ipv6(1), Ipv4(2)}}) {
    const Bytes whole = Encoded(HandleWith(addresses));
    for (size_t bit = 0; bit < whole.size() * 8; ++bit) {
      const size_t at = bit / 8;
      if (at >= kStageAt && at < kStageAt + sizeof(void*)) continue;
      Bytes flipped = whole;
      flipped[at] ^= static_cast<uint8_t>(1 << bit % 8);
      ExpectRefused(flipped, "bit " + std::to_string(bit));
    }
  }
}

TEST(HandleTest, TheStageIsTheConnectingSidesOwn) {
  const Handle handle = HandleWith({Ipv6(1), Ipv4(2)});
  const Bytes before = Encoded(handle);
  Bytes bytes = before;
  int stage = 0;
  SetStage(bytes, &stage);
  EXPECT_EQ(StageOf(bytes), &stage);
  const Result<Handle> decoded = DecodeHandle(bytes);
  ASSERT_TRUE(decoded.ok()) << decoded.status().text();
  EXPECT_EQ(*decoded, handle);
  SetStage(bytes, nullptr);
  EXPECT_EQ(bytes, before) << "the stage has a place of its own";
}

TEST(HandleTest, NonsenseIsRefused) {
  for (const int fill : {0x00, 0x5a, 0xff}) {
    Bytes bytes;
    bytes.fill(static_cast<uint8_t>(fill));
    ExpectRefused(bytes, "filled");
    ExpectRefused(WithChecksum(bytes), "filled, with a checksum");
  }
}

// Well summed, and wrong all the same.
TEST(HandleTest, WhatNoListenerHasMadeIsRefused) {
  const Bytes whole = Encoded(HandleWith({Ipv4(1), Ipv6(2)}));
  ASSERT_TRUE(DecodeHandle(WithChecksum(whole)).ok());
  const auto refused_with = [&whole](size_t at, uint8_t value, size_t count,
                                     const char* what) {
    Bytes bytes = whole;
    std::fill_n(bytes.begin() + static_cast<ptrdiff_t>(at), count, value);
    ExpectRefused(WithChecksum(bytes), what);
  };
  refused_with(0, 'X', 1, "another magic");
  refused_with(kVersionAt, 2, 1, "another version");
  refused_with(kIncarnationAt, 0, 8, "nobody");
  refused_with(kJobAt, 0, 8, "no door");
  refused_with(kCountAt, 0, 1, "no address");
  refused_with(kCountAt, 3, 1, "an address of no family");
  refused_with(kCountAt, 255, 1, "more addresses than there is room");
  refused_with(kAddressesAt, 0, 1, "an address of no family");
  refused_with(kAddressesAt, 3, 1, "an address of an unknown family");
}

// The last address begins within the bytes and ends beyond them.
TEST(HandleTest, AnAddressThatIsCutIsRefused) {
  std::vector<Address> addresses;
  for (uint8_t i = 0; i < 8; ++i) addresses.push_back(Ipv4(i));
  Bytes bytes = Encoded(HandleWith(addresses));
  const size_t last = kAddressesAt + 7 * 7;
  ASSERT_EQ(bytes[kCountAt], 8);
  bytes[last] = static_cast<uint8_t>(AddressFamily::kIpv6);
  ExpectRefused(WithChecksum(bytes), "IPv6 in the place of IPv4");
  bytes = Encoded(HandleWith(addresses));
  bytes[kCountAt] = 9;
  ExpectRefused(WithChecksum(bytes), "a ninth");
}

}  // namespace
}  // namespace longhaul::nccl
