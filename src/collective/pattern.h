// How a vector is cut among owners: part j of m over `count` elements is
// [floor(count j / m), floor(count (j + 1) / m)), and parts of two different
// cuts meet where their fractions of the whole overlap.
//
// Two cuts are compared as fractions, not as element ranges: which parts meet
// is then a matter of m and m' alone, the same for every count, zero included.
//
// Pure functions on values; any thread.
#pragma once

#include <cstdint>

namespace longhaul {

/// floor(count * part / parts), part <= parts < 2^31, any count: exact, the
/// product is never formed.
constexpr uint64_t Boundary(uint64_t count, uint64_t part, uint64_t parts) {
  return count / parts * part + count % parts * part / parts;
}

/// Elements [begin, end).
struct Interval {
  uint64_t begin = 0;
  uint64_t end = 0;
  constexpr uint64_t count() const { return end - begin; }
  friend bool operator==(const Interval&, const Interval&) = default;
};

/// Part `part` of `parts` of a vector.
constexpr Interval PartOf(uint64_t count, uint64_t part, uint64_t parts) {
  return {Boundary(count, part, parts), Boundary(count, part + 1, parts)};
}

/// The length of the longest of `parts` parts.
constexpr uint64_t LongestPart(uint64_t count, uint64_t parts) {
  return count / parts + (count % parts != 0 ? 1 : 0);
}

/// What two intervals share; empty if nothing. The intervals of parts whose
/// fractions overlap share [the later begin, the earlier end).
constexpr Interval Overlap(Interval a, Interval b) {
  const uint64_t begin = a.begin > b.begin ? a.begin : b.begin;
  const uint64_t end = a.end < b.end ? a.end : b.end;
  return {begin, end > begin ? end : begin};
}

/// Where rank `rank`'s block meets a window of a vector of one block of `block`
/// elements per rank, counted from the window's start; empty if it does not.
/// rank * block is below 2^64.
constexpr Interval BlockInWindow(uint64_t block, uint64_t rank,
                                 Interval window) {
  const Interval met = Overlap({rank * block, rank * block + block}, window);
  if (met.count() == 0) return {};
  return {met.begin - window.begin, met.end - window.begin};
}

/// The parts of a cut in `others` whose fractions of the whole overlap part
/// `part` of a cut in `parts`, as [begin, end). Never empty.
constexpr Interval PartsMeeting(uint64_t part, uint64_t parts,
                                uint64_t others) {
  return {part * others / parts, ((part + 1) * others + parts - 1) / parts};
}

/// numerator / denominator, a place in the vector.
struct Fraction {
  uint64_t numerator = 0;
  uint64_t denominator = 1;
  friend constexpr bool operator<(Fraction a, Fraction b) {
    return a.numerator * b.denominator < b.numerator * a.denominator;
  }
  friend constexpr bool operator==(Fraction a, Fraction b) {
    return a.numerator * b.denominator == b.numerator * a.denominator;
  }
};

}  // namespace longhaul
