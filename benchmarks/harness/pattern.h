// Inputs whose reduction is known exactly, and the check of a result.
//
// Every value follows from (rank, index, round), so that a contribution that is
// missing or counted twice, chunks in the wrong place, and data left from an
// earlier round all show. Values are small integers (powers of two for floating
// products), chosen so that every partial result is exact in the type whatever
// the order: the expected bits are the only right ones. Where a codec loses
// some of them, values are smaller, and right is what is near.
//
// Independent of the library's own arithmetic. Thread-compatible.
#pragma once

#include <longhaul/types.h>

#include <cstddef>
#include <cstdint>

namespace longhaul::bench {

class Pattern {
 public:
  /// `ranks` >= 1. With more ranks than a narrow type can count, the last ones
  /// contribute the operator's neutral element. `tolerance`: how far elements
  /// of sums and averages of f32, f16 and bf16 may be off, as a share of the
  /// largest there may be; 0: not a bit.
  Pattern(DataType type, ReduceOp op, int ranks, double tolerance = 0);

  /// Writes a rank's input of `count` elements.
  void Fill(int rank, uint32_t round, void* data, size_t count) const;

  /// How many of `count` elements are not the reduction of all ranks' inputs
  /// of this round; the lowest of them in `first`, if any.
  size_t CountWrong(uint32_t round, const void* data, size_t count,
                    size_t* first = nullptr) const;

 private:
  DataType type_;
  ReduceOp op_;
  int ranks_;
  double tolerance_;
};

}  // namespace longhaul::bench
