// Frames as a TUN device hands them over, and a check of those it would be
// handed. Written from the RFCs, independently of the code under test.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <numeric>
#include <vector>

#include "lab/emulator/frame.h"

namespace longhaul::lab {

using Bytes = std::vector<uint8_t>;

struct PacketSpec {
  bool ipv6 = false;
  bool tcp = true;
  uint32_t payload = 10'000;
  uint32_t segment_size = 1448;
  uint32_t sequence = 0xfffff000;  // wraps within the packet
  uint16_t identification = 0xfffe;
  uint8_t tcp_flags = 0x10;
  uint8_t ecn = 0;
  bool options = true;     // 12 bytes of TCP options
  bool extension = false;  // 8 bytes of IPv6 extension header
};

inline void Put16(Bytes& bytes, size_t at, uint32_t value) {
  bytes[at] = static_cast<uint8_t>(value >> 8);
  bytes[at + 1] = static_cast<uint8_t>(value);
}
inline void Put32(Bytes& bytes, size_t at, uint32_t value) {
  Put16(bytes, at, value >> 16);
  Put16(bytes, at + 2, value);
}
inline uint32_t Get16(const uint8_t* p) { return p[0] * 256U + p[1]; }
inline uint32_t Get32(const uint8_t* p) {
  return Get16(p) * 65536U + Get16(p + 2);
}

// One's-complement sum of 16-bit words; an odd last byte is padded with zero.
inline uint32_t OnesSum(const uint8_t* p, size_t n, uint32_t sum = 0) {
  for (size_t i = 0; i < n; ++i) sum += i % 2 == 0 ? p[i] * 256U : p[i];
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return sum;
}

struct Layout {
  uint32_t ip, transport, payload;  // offsets within the packet
};
inline Layout LayoutOf(const PacketSpec& spec) {
  const uint32_t ip = spec.ipv6 ? (spec.extension ? 48U : 40U) : 20U;
  const uint32_t header = spec.tcp ? (spec.options ? 32U : 20U) : 8U;
  return {0, ip, ip + header};
}

// The pseudo header's sum for `length` bytes of transport.
inline uint32_t PseudoSum(const PacketSpec& spec, const uint8_t* ip,
                          uint32_t length) {
  const uint32_t addresses =
      spec.ipv6 ? OnesSum(ip + 8, 32) : OnesSum(ip + 12, 8);
  const uint32_t sum = addresses + (spec.tcp ? 6 : 17) + length;
  return (sum & 0xffff) + (sum >> 16);
}

// A super-packet: virtio header, IP, TCP or UDP with a partial checksum, and a
// payload that counts up.
inline Bytes MakeRecord(const PacketSpec& spec) {
  const Layout at = LayoutOf(spec);
  Bytes packet(at.payload + spec.payload);
  const uint32_t length = static_cast<uint32_t>(packet.size()) - at.transport;
  if (spec.ipv6) {
    packet[0] = 0x60;
    packet[1] = static_cast<uint8_t>(spec.ecn << 4);
    Put16(packet, 4, static_cast<uint32_t>(packet.size()) - 40);
    packet[6] = spec.tcp ? 6 : 17;
    if (spec.extension) {  // destination options: one PadN of 6 bytes
      packet[40] = packet[6];
      packet[6] = 60;
      packet[42] = 1;
      packet[43] = 4;
    }
    packet[7] = 64;
    for (uint8_t i = 0; i < 32; ++i)
      packet[8U + i] = static_cast<uint8_t>(i * 7);
  } else {
    packet[0] = 0x45;
    packet[1] = spec.ecn;
    Put16(packet, 2, static_cast<uint32_t>(packet.size()));
    Put16(packet, 4, spec.identification);
    packet[8] = 64;
    packet[9] = spec.tcp ? 6 : 17;
    for (uint8_t i = 0; i < 8; ++i)
      packet[12U + i] = static_cast<uint8_t>(i + 9);
    Put16(packet, 10, ~OnesSum(packet.data(), 20));
  }
  Put16(packet, at.transport, 1234);
  Put16(packet, at.transport + 2, 5678);
  if (spec.tcp) {
    Put32(packet, at.transport + 4, spec.sequence);
    packet[at.transport + 12] =
        static_cast<uint8_t>((at.payload - at.transport) / 4 << 4);
    packet[at.transport + 13] = spec.tcp_flags;
  } else {
    Put16(packet, at.transport + 4, length);
  }
  const uint32_t checksum_offset = spec.tcp ? 16 : 6;
  Put16(packet, at.transport + checksum_offset,
        PseudoSum(spec, packet.data(), length));
  std::iota(packet.begin() + at.payload, packet.end(), uint8_t{0});

  VnetHeader vnet{};
  vnet.flags = VnetHeader::kNeedsChecksum;
  const bool super = spec.payload > spec.segment_size;
  vnet.gso_type = VnetHeader::kGsoNone;
  if (super) {
    vnet.gso_type = VnetHeader::kGsoUdp;
    if (spec.tcp) {
      vnet.gso_type = spec.ipv6 ? VnetHeader::kGsoTcp6 : VnetHeader::kGsoTcp4;
    }
  }
  vnet.header_length = static_cast<uint16_t>(at.payload);
  vnet.gso_size =
      super ? static_cast<uint16_t>(spec.segment_size) : uint16_t{0};
  vnet.checksum_start = static_cast<uint16_t>(at.transport);
  vnet.checksum_offset = static_cast<uint16_t>(checksum_offset);
  Bytes record(kVnetSize + packet.size());
  std::memcpy(record.data(), &vnet, kVnetSize);
  std::memcpy(record.data() + kVnetSize, packet.data(), packet.size());
  return record;
}

// What writev() would hand to the device.
inline Bytes Joined(const Frame::Slice& slice) {
  Bytes all;
  for (int i = 0; i < slice.count; ++i) {
    const iovec& part = slice.parts[static_cast<size_t>(i)];
    const auto* const from = static_cast<const uint8_t*>(part.iov_base);
    all.insert(all.end(), from, from + part.iov_len);
  }
  return all;
}

}  // namespace longhaul::lab
