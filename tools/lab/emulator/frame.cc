#include "lab/emulator/frame.h"

#include <algorithm>
#include <cstring>

namespace longhaul::lab {
namespace {

constexpr uint32_t kIpv4 = 0x0800;
constexpr uint32_t kIpv6 = 0x86dd;
constexpr uint32_t kIpv6Header = 40;

uint32_t Load16(const uint8_t* p) {
  return static_cast<uint32_t>(p[0]) << 8 | p[1];
}

void Store16(uint8_t* p, uint32_t value) {
  p[0] = static_cast<uint8_t>(value >> 8);
  p[1] = static_cast<uint8_t>(value);
}

uint32_t Load32(const uint8_t* p) { return Load16(p) << 16 | Load16(p + 2); }

void Store32(uint8_t* p, uint32_t value) {
  Store16(p, value >> 16);
  Store16(p + 2, value);
}

// The Internet checksum's sum over an even number of bytes, and its folding.
uint32_t Sum16(const uint8_t* p, uint32_t size) {
  uint32_t sum = 0;
  for (uint32_t i = 0; i < size; i += 2) sum += Load16(p + i);
  return sum;
}

uint32_t Fold(uint32_t sum) {
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return sum;
}

uint32_t Ipv4HeaderSize(const uint8_t* ip) { return (ip[0] & 15U) * 4; }

void RestoreIpv4Checksum(uint8_t* ip) {
  Store16(ip + 10, 0);
  Store16(ip + 10, ~Fold(Sum16(ip, Ipv4HeaderSize(ip))));
}

}  // namespace

Frame::Frame(const uint8_t* record, uint32_t size, bool ethernet)
    : record_(record), size_(size - kVnetSize) {
  std::memcpy(&vnet_, record, kVnetSize);
  if (FindNetworkLayer(ethernet)) FindSegments();
}

bool Frame::FindNetworkLayer(bool ethernet) {
  network_ = ethernet ? 14 : 0;
  if (size_ < network_ + 20) return false;
  const uint8_t* const p = packet();
  uint32_t type = 0;
  if (ethernet) {
    type = Load16(p + 12);
  } else if (p[0] >> 4 == 4) {
    type = kIpv4;
  } else if (p[0] >> 4 == 6) {
    type = kIpv6;
  }
  if (type == kIpv4) ip_version_ = 4;
  if (type == kIpv6 && size_ >= network_ + kIpv6Header) ip_version_ = 6;
  return ip_version_ != 0;
}

void Frame::FindSegments() {
  const uint32_t gso = vnet_.gso_type & ~uint32_t{VnetHeader::kGsoEcn};
  const bool tcp = gso == VnetHeader::kGsoTcp4 || gso == VnetHeader::kGsoTcp6;
  if ((!tcp && gso != VnetHeader::kGsoUdp) || vnet_.gso_size == 0) return;
  const uint32_t transport = vnet_.checksum_start;
  const uint32_t least = tcp ? 20 : 8;
  const uint32_t network_size = ip_version_ == 4 ? 20 : kIpv6Header;
  if (transport < network_ + network_size || size_ < transport + least) return;
  const uint32_t header =
      tcp ? (packet()[transport + 12] >> 4) * 4U : uint32_t{8};
  const uint32_t payload = transport + header;
  const uint32_t checksum = transport + vnet_.checksum_offset;
  if (header < least || payload >= size_ || payload > kMaxHeader ||
      checksum + 2 > payload) {
    return;
  }
  tcp_ = tcp;
  transport_ = transport;
  payload_ = payload;
  segment_size_ = vnet_.gso_size;
  segments_ = (size_ - payload_ + segment_size_ - 1) / segment_size_;
}

uint32_t Frame::PayloadEnd(uint32_t segment) const {
  return std::min(segment * segment_size_, size_ - payload_);
}

uint32_t Frame::WireBytes(uint32_t first, uint32_t n) const {
  if (segments_ == 1) return size_ - network_;
  return n * (payload_ - network_) + PayloadEnd(first + n) -
         first * segment_size_;
}

bool Frame::EcnCapable() const {
  const uint8_t* const ip = packet() + network_;
  uint32_t ecn = 0;
  if (ip_version_ == 4) ecn = ip[1] & 3U;
  if (ip_version_ == 6) ecn = ip[1] >> 4 & 3U;
  return ecn == 1 || ecn == 2;
}

void Frame::Cut(uint32_t first, uint32_t n, bool mark, Slice& out) const {
  const bool whole = n == segments_;
  if (whole && !mark) {
    out.parts[0] = {const_cast<uint8_t*>(record_), kVnetSize + size_};
    out.count = 1;
    return;
  }
  // Marking alone changes the IP header; cutting changes all headers.
  uint32_t head = payload_;
  uint32_t from = payload_ + first * segment_size_;
  uint32_t to = payload_ + PayloadEnd(first + n);
  if (whole) {
    head = network_ + (ip_version_ == 4 ? Ipv4HeaderSize(packet() + network_)
                                        : kIpv6Header);
    from = head;
    to = size_;
  }
  uint8_t* const p = out.head.data() + kVnetSize;
  std::memcpy(p, packet(), head);
  VnetHeader vnet = vnet_;
  if (mark) p[network_ + 1] |= ip_version_ == 4 ? 0x03 : 0x30;
  if (!whole) {
    const uint32_t transport_size = payload_ - transport_ + to - from;
    PatchLengths(p, first, transport_size);
    PatchTransport(p, first, n, transport_size);
    vnet.flags = VnetHeader::kNeedsChecksum;
    vnet.header_length = static_cast<uint16_t>(payload_);
    if (n == 1) {
      vnet.gso_type = VnetHeader::kGsoNone;
      vnet.gso_size = 0;
    }
  }
  if (ip_version_ == 4) RestoreIpv4Checksum(p + network_);
  std::memcpy(out.head.data(), &vnet, kVnetSize);
  out.parts[0] = {out.head.data(), kVnetSize + head};
  out.parts[1] = {const_cast<uint8_t*>(packet()) + from, to - from};
  out.count = 2;
}

void Frame::PatchLengths(uint8_t* packet, uint32_t first,
                         uint32_t transport_size) const {
  uint8_t* const ip = packet + network_;
  const uint32_t header = transport_ - network_;
  if (ip_version_ == 4) {
    Store16(ip + 2, header + transport_size);
    Store16(ip + 4, Load16(ip + 4) + first);  // the identification counts on
  } else {
    Store16(ip + 4, header - kIpv6Header + transport_size);
  }
}

void Frame::PatchTransport(uint8_t* packet, uint32_t first, uint32_t n,
                           uint32_t transport_size) const {
  constexpr uint32_t kTcp = 6;
  constexpr uint32_t kUdp = 17;
  constexpr uint8_t kFinAndPush = 0x09;
  constexpr uint8_t kWindowReduced = 0x80;
  uint8_t* const transport = packet + transport_;
  if (tcp_) {
    Store32(transport + 4, Load32(transport + 4) + first * segment_size_);
    // FIN and PSH belong to the last segment, CWR to the first.
    if (first + n < segments_) {
      transport[13] &= static_cast<uint8_t>(~kFinAndPush);
    }
    if (first > 0) transport[13] &= static_cast<uint8_t>(~kWindowReduced);
  } else {
    Store16(transport + 4, transport_size);
  }
  const uint8_t* const ip = packet + network_;
  const uint32_t addresses =
      ip_version_ == 4 ? Sum16(ip + 12, 8) : Sum16(ip + 8, 32);
  Store16(transport + vnet_.checksum_offset,
          Fold(addresses + (tcp_ ? kTcp : kUdp) + transport_size));
}

}  // namespace longhaul::lab
