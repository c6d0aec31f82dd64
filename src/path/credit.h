// Credit in absolute offsets, as QUIC's MAX_DATA (RFC 9000, section 4): the
// sender's total charge never passes the limit last announced, and a limit
// lost with a path is repaired by the next one.
//
// A chunk is charged the memory it takes at the receiver: a block of its pool
// and a fixed part for what any chunk needs, so that empty chunks are bounded
// too. Every charge has its own place in the account and travels with the
// chunk, so that one that comes twice is counted once, even if all else about
// it has been forgotten.
//
// Thread-compatible.
#pragma once

#include <bit>
#include <cstdint>

#include "memory/block_pool.h"
#include "path/range_set.h"

namespace longhaul {

inline constexpr uint64_t kChunkCost = 512;
/// Chunks shorter than this are not cut from a longer message just because
/// credit is short: they would cost more than waiting.
inline constexpr uint64_t kSmallestCut = 4 << 10;
/// A stream's reserve is never less, whatever is configured: below it a sender
/// could wait for credit that is not worth announcing.
inline constexpr uint64_t kLeastReserve = 8 << 10;

/// What a chunk of `size` bytes is charged.
constexpr uint64_t ChargeFor(uint64_t size) {
  return kChunkCost + (size == 0 ? 0 : BlockPool::BlockSize(size));
}

/// The sending side of one account.
class SendCredit {
 public:
  explicit SendCredit(uint64_t limit = 0) : limit_(limit) {}
  /// How much of `left` bytes one chunk may have now: all of them, as much as
  /// is worth a chunk of its own, or -1 for nothing, not even an empty chunk.
  int64_t Room(uint64_t left) const {
    const uint64_t room = limit_ - charged_;
    if (room >= ChargeFor(left)) return static_cast<int64_t>(left);
    if (room < ChargeFor(kSmallestCut) || left <= kSmallestCut) return -1;
    return static_cast<int64_t>(std::bit_floor(room - kChunkCost));
  }
  /// Charges a chunk; says where its charge begins.
  uint64_t Charge(uint64_t size) {
    const uint64_t at = charged_;
    charged_ += ChargeFor(size);
    return at;
  }
  /// The chunk charged last did not go.
  void Refund(uint64_t size) { charged_ -= ChargeFor(size); }
  void Raise(uint64_t limit) {
    if (limit > limit_) limit_ = limit;
  }

 private:
  uint64_t charged_ = 0;
  uint64_t limit_;
};

/// The receiving side of one account, over `size` bytes of memory.
class RecvCredit {
 public:
  enum class Entry : uint8_t { kNew, kKnown, kWrong };

  explicit RecvCredit(uint64_t size = 0) : size_(size), announced_(size) {}
  /// Has the peer credit for a chunk charged at `at`?
  bool Covers(uint64_t at, uint64_t size) const {
    const uint64_t charge = ChargeFor(size);
    return at <= announced_ && charge <= announced_ - at;
  }
  /// A chunk that is covered has arrived. kWrong: its charge cannot be right.
  Entry Enter(uint64_t at, uint64_t size) {
    const uint64_t end = at + ChargeFor(size);
    if (entered_.Contains(at, end)) return Entry::kKnown;
    if (entered_.Overlaps(at, end) || entered_.range_count() > kMostGaps) {
      return Entry::kWrong;
    }
    entered_.Add(at, end);
    return Entry::kNew;
  }
  /// A chunk that was new needs no memory of ours any more.
  void Release(uint64_t size) { released_ += ChargeFor(size); }
  /// Has enough been released that the peer should hear of it?
  bool Due() const {
    const uint64_t unsaid = released_ + size_ - announced_;
    return unsaid > 0 && unsaid >= size_ / 4;
  }
  uint64_t Announce() {
    announced_ = released_ + size_;
    return announced_;
  }

 private:
  /// More chunks than this are never overtaken by a later one.
  static constexpr size_t kMostGaps = 1 << 16;

  uint64_t size_;
  uint64_t announced_;
  uint64_t released_ = 0;
  RangeSet entered_;
};

}  // namespace longhaul
