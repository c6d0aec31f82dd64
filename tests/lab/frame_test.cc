#include "lab/emulator/frame.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <string>

#include "lab/packets.h"

namespace longhaul::lab {
namespace {

Frame View(const Bytes& record) {
  return {record.data(), static_cast<uint32_t>(record.size()), false};
}

Bytes CutOut(const Frame& frame, uint32_t first, uint32_t n,
             bool mark = false) {
  Frame::Slice slice;
  frame.Cut(first, n, mark, slice);
  return Joined(slice);
}

std::string Name(const testing::TestParamInfo<PacketSpec>& info) {
  return std::string(info.param.ipv6 ? "Ipv6" : "Ipv4") +
         (info.param.tcp ? "Tcp" : "Udp") +
         (info.param.extension ? "Extended" : "");
}

class FrameCutTest : public testing::TestWithParam<PacketSpec> {
 protected:
  // Checks that `bytes` is a sound packet that carries segments
  // [first, first + n) of the record made from the parameter.
  void ExpectSound(const Bytes& bytes, uint32_t first, uint32_t n) const {
    const PacketSpec& spec = GetParam();
    const Layout at = LayoutOf(spec);
    ASSERT_GT(bytes.size(), kVnetSize + at.payload);
    VnetHeader vnet;
    std::memcpy(&vnet, bytes.data(), sizeof vnet);
    const uint8_t* const p = bytes.data() + kVnetSize;
    const auto size = static_cast<uint32_t>(bytes.size() - kVnetSize);
    const uint32_t from = first * spec.segment_size;
    const uint32_t to = std::min((first + n) * spec.segment_size, spec.payload);
    ASSERT_EQ(size - at.payload, to - from);
    for (uint32_t i = from; i < to; ++i) {
      ASSERT_EQ(p[at.payload + i - from], static_cast<uint8_t>(i));
    }
    const uint32_t length = size - at.transport;
    if (spec.ipv6) {
      EXPECT_EQ(Get16(p + 4), size - 40);
    } else {
      EXPECT_EQ(Get16(p + 2), size);
      EXPECT_EQ(Get16(p + 4), (spec.identification + first) % 65536);
      EXPECT_EQ(OnesSum(p, 20), 0xffffU) << "IPv4 header checksum";
    }
    const uint8_t* const transport = p + at.transport;
    if (spec.tcp) {
      EXPECT_EQ(Get32(transport + 4), spec.sequence + from);
    } else {
      EXPECT_EQ(Get16(transport + 4), length);
    }
    EXPECT_EQ(vnet.flags, VnetHeader::kNeedsChecksum);
    EXPECT_EQ(Get16(transport + vnet.checksum_offset),
              PseudoSum(spec, p, length));
    EXPECT_EQ(vnet.gso_type == VnetHeader::kGsoNone, n == 1);
  }
};

TEST_P(FrameCutTest, EveryRunOfSegmentsIsASoundPacket) {
  const Bytes record = MakeRecord(GetParam());
  const Frame frame = View(record);
  ASSERT_EQ(frame.segments(), 7U);
  for (uint32_t first = 0; first < 7; ++first) {
    for (uint32_t n = 1; first + n <= 7; ++n) {
      SCOPED_TRACE(testing::Message() << first << "+" << n);
      ExpectSound(CutOut(frame, first, n), first, n);
    }
  }
}

TEST_P(FrameCutTest, APieceCutAgainEqualsThePieceCutAtOnce) {
  const Bytes record = MakeRecord(GetParam());
  const Bytes middle = CutOut(View(record), 2, 4);
  EXPECT_EQ(CutOut(View(middle), 1, 2), CutOut(View(record), 3, 2));
}

TEST_P(FrameCutTest, WireBytesOfThePartsAddUpToTheSegmentsWithHeaders) {
  const PacketSpec& spec = GetParam();
  const Bytes record = MakeRecord(spec);
  const Frame frame = View(record);
  uint32_t sum = 0;
  for (uint32_t i = 0; i < frame.segments(); ++i) sum += frame.WireBytes(i, 1);
  EXPECT_EQ(sum, 7 * LayoutOf(spec).payload + spec.payload);
  EXPECT_EQ(frame.WireBytes(0, 7), sum);
  EXPECT_EQ(frame.WireBytes(1, 3), 3 * frame.WireBytes(0, 1));
}

TEST_P(FrameCutTest, AMarkSetsBothEcnBitsAndKeepsChecksumsSound) {
  PacketSpec spec = GetParam();
  for (const uint8_t ecn : {uint8_t{1}, uint8_t{2}}) {
    spec.ecn = ecn;
    const Bytes record = MakeRecord(spec);
    const Frame frame = View(record);
    EXPECT_TRUE(frame.EcnCapable());
    for (const uint32_t n : {uint32_t{3}, frame.segments()}) {
      const Bytes piece = CutOut(frame, 0, n, true);
      ExpectSound(piece, 0, n);
      const uint8_t traffic_class = piece[kVnetSize + 1];
      EXPECT_EQ(spec.ipv6 ? traffic_class >> 4 : traffic_class & 3, 3);
      EXPECT_FALSE(View(piece).EcnCapable()) << "marked already";
    }
  }
  spec.ecn = 0;
  const Bytes plain = MakeRecord(spec);
  EXPECT_FALSE(View(plain).EcnCapable());
}

INSTANTIATE_TEST_SUITE_P(
    Families, FrameCutTest,
    testing::Values(PacketSpec{.ipv6 = false, .tcp = true},
                    PacketSpec{.ipv6 = true, .tcp = true},
                    PacketSpec{.ipv6 = false, .tcp = false},
                    PacketSpec{.ipv6 = true, .tcp = false},
                    PacketSpec{.ipv6 = true, .tcp = true, .extension = true}),
    Name);

TEST(FrameTest, FinAndPushStayWithTheLastSegmentCwrWithTheFirst) {
  const Bytes record = MakeRecord({.tcp_flags = 0x99});  // CWR ACK PSH FIN
  const Frame frame = View(record);
  const auto flags = [&](uint32_t first, uint32_t n) {
    return CutOut(frame, first, n)[kVnetSize + 20 + 13];
  };
  EXPECT_EQ(flags(0, 2), 0x90);
  EXPECT_EQ(flags(2, 2), 0x10);
  EXPECT_EQ(flags(5, 2), 0x19);
}

TEST(FrameTest, AWholeUnmarkedFrameIsHandedOnAsItIs) {
  const Bytes record = MakeRecord({});
  EXPECT_EQ(CutOut(View(record), 0, 7), record);
}

TEST(FrameTest, WhatCannotBeCutCountsAsOneSegment) {
  EXPECT_EQ(View(MakeRecord({.payload = 500})).segments(), 1U);
  Bytes noise(kVnetSize + 60, 0xff);
  EXPECT_EQ(View(noise).segments(), 1U);
  EXPECT_EQ(View(noise).WireBytes(0, 1), 60U);
  EXPECT_FALSE(View(noise).EcnCapable());
  Bytes stub(kVnetSize + 1, 0x45);
  EXPECT_EQ(View(stub).segments(), 1U);
}

TEST(FrameTest, AHeaderThatPointsBeyondThePacketIsNotFollowed) {
  Bytes record = MakeRecord({});
  VnetHeader vnet;
  std::memcpy(&vnet, record.data(), sizeof vnet);
  for (const uint16_t start :
       {uint16_t{0}, uint16_t{10'040}, uint16_t{65535}}) {
    vnet.checksum_start = start;
    std::memcpy(record.data(), &vnet, sizeof vnet);
    EXPECT_EQ(View(record).segments(), 1U) << start;
  }
  vnet.checksum_start = 20;
  vnet.checksum_offset = 60'000;  // where the checksum would be written
  std::memcpy(record.data(), &vnet, sizeof vnet);
  EXPECT_EQ(View(record).segments(), 1U);
}

}  // namespace
}  // namespace longhaul::lab
