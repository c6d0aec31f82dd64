// Inputs whose reduction is known exactly, and the check of a result.
//
// Every value follows from (rank, index, round), so that a contribution that is
// missing or counted twice, chunks in the wrong place, and data left from an
// earlier round all show. Values are small integers (powers of two for floating
// products), chosen so that every partial result is exact in the type whatever
// the order: the expected bits are the only right ones.
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
  /// contribute the operator's neutral element.
  Pattern(DataType type, ReduceOp op, int ranks);

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
};

}  // namespace longhaul::bench
