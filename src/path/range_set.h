// Which bytes of a message have arrived: disjoint, sorted, merged ranges.
// Chunks mostly arrive in order, so there is mostly one.
//
// Thread-compatible.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

namespace longhaul {

class RangeSet {
 public:
  /// Is any byte of [begin, end) in the set?
  bool Overlaps(uint64_t begin, uint64_t end) const {
    const auto at = FirstEndingAfter(begin);
    return at != ranges_.end() && at->begin < end;
  }
  /// Are all bytes of [begin, end)?
  bool Contains(uint64_t begin, uint64_t end) const {
    if (begin >= end) return true;
    const auto at = FirstEndingAfter(begin);
    return at != ranges_.end() && at->begin <= begin && end <= at->end;
  }
  /// [begin, end) must not overlap the set.
  void Add(uint64_t begin, uint64_t end) {
    if (begin >= end) return;
    covered_ += end - begin;
    auto at = std::lower_bound(
        ranges_.begin(), ranges_.end(), begin,
        [](const Range& range, uint64_t value) { return range.end < value; });
    if (at != ranges_.end() && at->end == begin) {
      at->end = end;
      const auto next = at + 1;
      if (next != ranges_.end() && next->begin == end) {
        at->end = next->end;
        ranges_.erase(next);
      }
      return;
    }
    if (at != ranges_.end() && at->begin == end) {
      at->begin = begin;
      return;
    }
    ranges_.insert(at, {begin, end});
  }
  /// Makes room for `ranges` of them, so that adding up to that many asks the
  /// heap for nothing.
  void Reserve(size_t ranges) { ranges_.reserve(ranges); }
  uint64_t covered() const { return covered_; }
  size_t range_count() const { return ranges_.size(); }
  /// Empty again; keeps its memory.
  void Clear() {
    ranges_.clear();
    covered_ = 0;
  }

 private:
  struct Range {
    uint64_t begin;
    uint64_t end;
  };
  std::vector<Range>::const_iterator FirstEndingAfter(uint64_t value) const {
    return std::upper_bound(
        ranges_.begin(), ranges_.end(), value,
        [](uint64_t v, const Range& range) { return v < range.end; });
  }

  std::vector<Range> ranges_;
  uint64_t covered_ = 0;
};

}  // namespace longhaul
