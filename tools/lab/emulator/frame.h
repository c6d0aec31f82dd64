// A frame as TUN or TAP hands it over with IFF_VNET_HDR: a virtio_net_hdr, then
// the packet, which may be a "super-packet" of up to 64 KB that stands for many
// MTU-size segments (TCP and UDP segmentation offload).
//
// A super-packet can be cut between segments without touching its payload. Any
// run of consecutive segments is again a valid (super-)packet once a few header
// fields are patched; and since the checksum of a super-packet is always
// partial (of the pseudo header only, the rest is left to hardware), no payload
// byte is ever summed here.
// Thread-compatible.
#pragma once

#include <sys/uio.h>

#include <array>
#include <cstddef>
#include <cstdint>

namespace longhaul::lab {

// struct virtio_net_hdr; <linux/virtio_net.h> is not valid C++ (it has a member
// named `class`).
struct VnetHeader {
  static constexpr uint8_t kNeedsChecksum = 1;  // in flags
  enum Gso : uint8_t {                          // in gso_type
    kGsoNone = 0,
    kGsoTcp4 = 1,
    kGsoTcp6 = 4,
    kGsoUdp = 5,
    kGsoEcn = 0x80,
  };
  uint8_t flags, gso_type;
  uint16_t header_length, gso_size, checksum_start, checksum_offset;
};

inline constexpr uint32_t kVnetSize = sizeof(VnetHeader);
static_assert(kVnetSize == 10);  // what TUN expects unless told otherwise
inline constexpr uint32_t kMaxFrame = kVnetSize + 18 + 65536 + 64;
// Ethernet, IPv6, and TCP with options; longer headers are not cut.
inline constexpr uint32_t kMaxHeader = 192;

// A view of a record read from the device; the record must outlive it.
class Frame {
 public:
  // `size` counts the virtio header, which must be there in full.
  Frame(const uint8_t* record, uint32_t size, bool ethernet);

  uint32_t segments() const { return segments_; }

  // Bytes on the wire, from the IP header on, of segments [first, first + n).
  uint32_t WireBytes(uint32_t first, uint32_t n) const;

  // Whether the sender understands congestion marks.
  bool EcnCapable() const;

  // Segments [first, first + n) as a frame of its own, ready for writev(). Its
  // parts point into itself and into the record, so it stays where it is.
  struct Slice {
    Slice() = default;
    Slice(const Slice&) = delete;
    Slice& operator=(const Slice&) = delete;

    std::array<uint8_t, kVnetSize + kMaxHeader> head;
    std::array<iovec, 2> parts;
    int count = 0;
  };
  void Cut(uint32_t first, uint32_t n, bool mark, Slice& out) const;

 private:
  const uint8_t* packet() const { return record_ + kVnetSize; }
  uint32_t PayloadEnd(uint32_t segment) const;
  bool FindNetworkLayer(bool ethernet);
  void FindSegments();
  void PatchLengths(uint8_t* packet, uint32_t first,
                    uint32_t transport_size) const;
  void PatchTransport(uint8_t* packet, uint32_t first, uint32_t n,
                      uint32_t transport_size) const;

  const uint8_t* record_;
  uint32_t size_;  // of the packet, without the virtio header
  VnetHeader vnet_;
  uint32_t ip_version_ = 0;  // 0: neither
  uint32_t network_ = 0;     // offsets of the IP header,
  uint32_t transport_ = 0;   // of the TCP or UDP header,
  uint32_t payload_ = 0;     // and of what follows it
  uint32_t segment_size_ = 0;
  uint32_t segments_ = 1;
  bool tcp_ = false;
};

}  // namespace longhaul::lab
