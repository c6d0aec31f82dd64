// Credit in absolute offsets, as QUIC's MAX_DATA (RFC 9000, section 4): the
// sender's total charge never passes the limit last announced, and a limit
// lost with a path is repaired by the next one.
//
// A chunk costs its bytes and a fixed part for the memory that any chunk takes,
// so that empty chunks are bounded too.
//
// Thread-compatible.
#pragma once

#include <algorithm>
#include <cstdint>

namespace longhaul {

inline constexpr uint64_t kChunkCost = 128;

/// The sending side of one account.
class SendCredit {
 public:
  explicit SendCredit(uint64_t limit = 0) : limit_(limit) {}
  /// Payload bytes that one chunk may have now; none may be sent, not even an
  /// empty one, if this is negative.
  int64_t Room() const {
    return static_cast<int64_t>(limit_ - charged_) -
           static_cast<int64_t>(kChunkCost);
  }
  void Charge(uint64_t size) { charged_ += size + kChunkCost; }
  /// True if the limit has risen.
  bool Raise(uint64_t limit) {
    if (limit <= limit_) return false;
    limit_ = limit;
    return true;
  }

 private:
  uint64_t charged_ = 0;
  uint64_t limit_;
};

/// The receiving side of one account, over `size` bytes of memory.
class RecvCredit {
 public:
  explicit RecvCredit(uint64_t size = 0) : size_(size), announced_(size) {}
  /// A charged chunk has begun to arrive: false if the peer had no credit.
  bool Accept(uint64_t size) {
    if (used_ + size + kChunkCost > announced_) return false;
    used_ += size + kChunkCost;
    return true;
  }
  /// A chunk accepted was cut off and will come again.
  void Retract(uint64_t size) { used_ -= size + kChunkCost; }
  /// A charged chunk needs no memory of ours any more.
  void Release(uint64_t size) { released_ += size + kChunkCost; }
  /// Has enough been released that the peer should hear of it?
  bool Due() const { return released_ + size_ - announced_ >= size_ / 4; }
  uint64_t Announce() {
    announced_ = released_ + size_;
    return announced_;
  }

 private:
  uint64_t size_;
  uint64_t announced_;
  uint64_t used_ = 0;
  uint64_t released_ = 0;
};

}  // namespace longhaul
