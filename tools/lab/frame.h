// A frame as TUN/TAP hands it over with IFF_VNET_HDR: a virtio_net_hdr, then
// the packet -- possibly a "super-packet" of up to 64 KB that stands for many
// MTU-size segments (TSO/USO).
//
// The point of this file: a super-packet can be *cut between segments* without
// touching its payload. Any run of consecutive segments is again a valid
// (super-)packet once a few header fields are patched, and since the checksum
// of a super-packet is always "partial" (pseudo-header only; the kernel or the
// receiver's trust completes it), no payload byte is ever summed here.
#pragma once
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>

namespace longhaul::lab {

using u8 = std::uint8_t;
using u16 = std::uint16_t;
using u32 = std::uint32_t;
using u64 = std::uint64_t;

// struct virtio_net_hdr; <linux/virtio_net.h> is not valid C++ (it has a member
// named `class`).
struct VnetHeader {
  enum Flag : u8 { needs_csum = 1 };
  enum Gso : u8 { none = 0, tcp4 = 1, tcp6 = 4, udp = 5, ecn = 0x80 };
  u8 flags, gso_type;
  u16 hdr_len, gso_size, csum_start, csum_offset;
};

inline u16 load16(const u8* p) { return static_cast<u16>(p[0] << 8 | p[1]); }
inline void store16(u8* p, u32 v) {
  p[0] = static_cast<u8>(v >> 8), p[1] = static_cast<u8>(v);
}
inline u32 load32(const u8* p) {
  return static_cast<u32>(load16(p)) << 16 | load16(p + 2);
}
inline void store32(u8* p, u32 v) { store16(p, v >> 16), store16(p + 2, v); }

inline u32 sum16(const u8* p, u32 n,
                 u32 acc = 0) {  // n is even for every caller
  for (u32 i = 0; i < n; i += 2) acc += load16(p + i);
  return acc;
}
inline u16 fold(u32 acc) {
  while (acc >> 16) acc = (acc & 0xffff) + (acc >> 16);
  return static_cast<u16>(acc);
}

inline constexpr u32 kVnet = sizeof(VnetHeader);
static_assert(kVnet == 10);  // the TUN default
inline constexpr u32 kMaxFrame = kVnet + 18 + 65536 + 64;
inline constexpr u32 kMaxHeader =
    192;  // Ethernet + IPv6 + TCP with options; longer headers are not cut

class Frame {
 public:
  Frame(const u8* record, u32 len, bool tap)
      : rec_(record), size_(len - kVnet) {
    std::memcpy(&vh_, record, kVnet);
    const u8* p = packet();
    l3_ = tap ? 14 : 0;
    if (size_ < l3_ + 20) return;
    const u32 type = tap                ? load16(p + 12)
                     : (p[0] >> 4) == 6 ? 0x86dd
                     : (p[0] >> 4) == 4 ? 0x0800
                                        : 0;
    ip_ = type == 0x0800 ? 4 : type == 0x86dd && size_ >= l3_ + 40 ? 6 : 0;
    const u32 gso = vh_.gso_type & ~u32{VnetHeader::ecn};
    const bool tcp = gso == VnetHeader::tcp4 || gso == VnetHeader::tcp6;
    if (!ip_ || (!tcp && gso != VnetHeader::udp) || !vh_.gso_size) return;
    const u32 l4 = vh_.csum_start;
    if (l4 < l3_ + 20 || size_ < l4 + (tcp ? 20u : 8u)) return;
    const u32 header = l4 + (tcp ? (p[l4 + 12] >> 4) * 4u : 8u);
    if (header >= size_ || header > kMaxHeader) return;
    tcp_ = tcp, l4_ = l4, header_ = header, mss_ = vh_.gso_size;
    segments_ = (size_ - header_ + mss_ - 1) / mss_;
  }

  u32 segments() const { return segments_; }

  // Bytes on the wire, from the IP header on, of segments [first, first + n).
  u32 wire(u32 first, u32 n) const {
    return segments_ == 1
               ? size_ - l3_
               : n * (header_ - l3_) + payload_end(first + n) - first * mss_;
  }

  bool ect() const {  // does the sender understand ECN?
    const u8* p = packet() + l3_;
    const u32 ecn = ip_ == 4 ? p[1] & 3u : ip_ == 6 ? (p[1] >> 4) & 3u : 0;
    return ecn == 1 || ecn == 2;
  }

  // Segments [first, first + n) as a frame of their own, ready for writev().
  struct Slice {
    std::array<u8, kVnet + kMaxHeader> head;
    std::array<iovec, 2> iov;
    int count;
  };
  void slice(u32 first, u32 n, bool ce, Slice& out) const {
    const bool whole = n == segments_;
    if (whole && !ce) {
      out.iov[0] = {const_cast<u8*>(rec_), kVnet + size_}, out.count = 1;
      return;
    }
    // Marking alone needs only the IP header; cutting needs all headers.
    const u32 head =
        whole ? l3_ + (ip_ == 4 ? (packet()[l3_] & 15u) * 4 : 40) : header_;
    const u32 from = whole ? head : header_ + first * mss_;
    const u32 to = whole ? size_ : payload_end(first + n) + header_;
    u8* p = out.head.data() + kVnet;
    std::memcpy(p, packet(), head);
    VnetHeader vh = vh_;
    if (ce) ip_ == 4 ? p[l3_ + 1] |= 3 : p[l3_ + 1] |= 0x30;
    if (!whole) {
      const u32 l4len = header_ - l4_ + to - from;
      if (ip_ == 4) {
        store16(p + l3_ + 2, l4_ - l3_ + l4len);
        store16(p + l3_ + 4, load16(p + l3_ + 4) + first);
      } else {
        store16(p + l3_ + 4, l4_ - l3_ - 40 + l4len);
      }
      if (tcp_) {
        store32(p + l4_ + 4, load32(p + l4_ + 4) + first * mss_);
        if (first + n < segments_)
          p[l4_ + 13] &= static_cast<u8>(~0x09);  // FIN, PSH: last segment only
        if (first > 0)
          p[l4_ + 13] &= static_cast<u8>(~0x80);  // CWR: first segment only
      } else {
        store16(p + l4_ + 4, l4len);
      }
      const u32 pseudo =
          ip_ == 4 ? sum16(p + l3_ + 12, 8) : sum16(p + l3_ + 8, 32);
      store16(p + l4_ + vh.csum_offset, fold(pseudo + (tcp_ ? 6 : 17) + l4len));
      vh.flags = VnetHeader::needs_csum;
      vh.hdr_len = static_cast<u16>(header_);
      if (n == 1) vh.gso_type = VnetHeader::none, vh.gso_size = 0;
    }
    if (ip_ == 4) {
      const u32 ihl = (p[l3_] & 15u) * 4;
      store16(p + l3_ + 10, 0);
      store16(p + l3_ + 10, static_cast<u16>(~fold(sum16(p + l3_, ihl))));
    }
    std::memcpy(out.head.data(), &vh, kVnet);
    out.iov[0] = {out.head.data(), kVnet + head};
    out.iov[1] = {const_cast<u8*>(packet()) + from, to - from};
    out.count = 2;
  }

 private:
  const u8* packet() const { return rec_ + kVnet; }
  u32 payload_end(u32 segment) const {
    return std::min(segment * mss_, size_ - header_);
  }

  const u8* rec_;
  u32 size_;
  VnetHeader vh_;
  u32 ip_ = 0, l3_ = 0, l4_ = 0, header_ = 0, mss_ = 0, segments_ = 1;
  bool tcp_ = false;
};

}  // namespace longhaul::lab
