// The Simple protocol. A connection is a ring of kSteps slots. The sender may
// fill slot s % kSteps once head + kSteps > s, and then publishes tail = s + 1;
// the receiver waits for tail > s, reads, and publishes head = s + 1. When the
// network proxy is at the other end there is also a ConnFifo: the sender leaves
// each slot's size there, and the proxy may say there where the slot is. A move
// is of one chunk, cut into slices_per_chunk slices that each advance the
// connections by steps_per_slice.
//
// As Primitives.
#pragma once

#include <functional>

#include "kernel/primitives.h"

namespace nccl_cpu {

class SimplePrimitives final : public Primitives {
 public:
  SimplePrimitives(Block& block, const PrimitivesConfig& config);

  Task Run(Move move, ssize_t source_index, ssize_t target_index,
           ssize_t count) override;
  Task Finish() override;

  /// One step of the first receiving connection, its slot handed to `use`.
  Task RecvStep(std::function<void(const char* slot)> use);
  /// One step of the first sending connection; `fill` returns how many bytes it
  /// has put into the slot.
  Task SendStep(std::function<ssize_t(char* slot)> fill);

 private:
  bool Ready(Move move) const;
  char* SlotOf(const Link& link) const;
  /// Moves `count` elements, `offset` behind the indices. `announced` is what
  /// the proxy is told; they differ only after an abort.
  void MoveSlice(Move move, ssize_t source_index, ssize_t target_index,
                 ssize_t count, ssize_t announced);

  ssize_t step_size_;  // elements
};

}  // namespace nccl_cpu
