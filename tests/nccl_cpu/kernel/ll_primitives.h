// The LL ("low latency") protocol. Slots hold 16-byte lines of 8 bytes of data,
// each half followed by a 32-bit flag that says which step the line belongs to.
// There is no tail: the receiver, or the proxy, watches the flags. A chunk is
// one step.
//
// As Primitives.
#pragma once

#include <vector>

#include "kernel/primitives.h"

namespace nccl_cpu {

class LlPrimitives final : public Primitives {
 public:
  LlPrimitives(Block& block, const PrimitivesConfig& config);

  Task Run(Move move, ssize_t source_index, ssize_t target_index,
           ssize_t count) override;
  Task Finish() override;

 private:
  struct Line {
    uint64_t half[2];  // data in the low word, flag in the high one
  };

  Line* SlotOf(const Link& link) const;
  bool Arrived(const Link& link, size_t line) const;
  /// Lines that a step of this link fills: all of the slot when it is time to
  /// clean it, lest an old flag be taken for a new one when numbers wrap.
  size_t LinesToWrite(const Link& link, size_t lines) const;
  void MoveChunk(Move move, ssize_t source_index, ssize_t target_index,
                 ssize_t count, size_t lines);
  std::vector<char> ReadSlot(const Link& link, size_t lines) const;
  void WriteSlot(const Link& link, size_t lines, const std::vector<char>& data);

  size_t step_lines_;
};

}  // namespace nccl_cpu
