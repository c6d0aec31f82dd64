#include "kernel/simple_primitives.h"

#include <algorithm>
#include <utility>

namespace nccl_cpu {

using nccl_abi::ConnFifo;
using nccl_abi::kConnFlagDirectNic;
using nccl_abi::kProtoSimple;
using nccl_abi::kSteps;

SimplePrimitives::SimplePrimitives(Block& block, const PrimitivesConfig& config)
    : Primitives(block, config) {
  step_size_ = config.step_size != 0 ? config.step_size
                                     : block.comm->buff_sizes[kProtoSimple] /
                                           kSteps / element_size_;
  const auto granularity = static_cast<uint64_t>(config.slices_per_chunk) *
                           static_cast<uint64_t>(config.steps_per_slice);
  for (Link& link : recv_) {
    link.step = RoundUp(link.step, granularity);
    link.net_reg =
        config.recv_net_reg && (link.conn->flags & kConnFlagDirectNic) != 0;
    // Gives back what the rounding skipped.
    StoreCounter(link.conn->head, link.step);
    if (link.net_reg) link.fifo_slot()->size = 0;
  }
  for (Link& link : send_) {
    link.step = RoundUp(link.step, granularity);
    link.net_reg =
        config.send_net_reg && (link.conn->flags & kConnFlagDirectNic) != 0;
  }
}

Task SimplePrimitives::Finish() {
  SaveSteps();
  // A registered buffer is the user's own: it may not be touched again before
  // the proxy has sent it.
  for (const Link& link : send_) {
    if (!link.net_reg) continue;
    const uint64_t last =
        link.step - static_cast<uint64_t>(config_.steps_per_slice);
    const ConnFifo* slot = &link.conn->conn_fifo[last % kSteps];
    co_await WaitUntil([this, slot] {
      return __atomic_load_n(&slot->size, __ATOMIC_ACQUIRE) == -1 ||
             block_.aborted();
    });
  }
}

Task SimplePrimitives::Run(Move move, ssize_t source_index,
                           ssize_t target_index, ssize_t count) {
  count = std::max<ssize_t>(count, 0);
  const ssize_t room = step_size_ * config_.steps_per_slice;
  const ssize_t slice_size = std::max(
      DivideUp<ssize_t>(count, 16 * config_.slices_per_chunk) * 16, room / 32);
  ssize_t offset = 0;
  for (int slice = 0; slice < config_.slices_per_chunk; ++slice) {
    const ssize_t n = std::min(slice_size, count - offset);
    co_await WaitUntil(
        [this, move] { return Ready(move) || block_.aborted(); });
    MoveSlice(move, source_index + offset, target_index + offset,
              block_.aborted() ? 0 : n, n);
    offset += n;
  }
}

Task SimplePrimitives::RecvStep(std::function<void(const char* slot)> use) {
  co_await WaitUntil(
      [this] { return Ready({.recv = true}) || block_.aborted(); });
  Link& link = recv_[0];
  if (!block_.aborted()) use(SlotOf(link));
  StoreCounter(link.conn->head, link.step += 1);
}

Task SimplePrimitives::SendStep(std::function<ssize_t(char* slot)> fill) {
  co_await WaitUntil(
      [this] { return Ready({.send = true}) || block_.aborted(); });
  Link& link = send_[0];
  const ssize_t size = block_.aborted() ? 0 : fill(SlotOf(link));
  if (ConnFifo* slot = link.fifo_slot()) {
    __atomic_store_n(&slot->size, size, __ATOMIC_RELAXED);
  }
  StoreCounter(link.conn->tail, link.step += 1);
}

bool SimplePrimitives::Ready(Move move) const {
  const auto steps = static_cast<uint64_t>(config_.steps_per_slice);
  if (move.recv) {
    for (const Link& link : recv_) {
      if (LoadCounter(link.conn->tail) < link.step + steps) return false;
    }
  }
  return !move.send || HasRoom(steps);
}

char* SimplePrimitives::SlotOf(const Link& link) const {
  char* const buffer = link.conn->buffs[kProtoSimple];
  const ConnFifo* fifo = link.fifo_slot();
  if (fifo != nullptr && fifo->mode == nccl_abi::kFifoModeOffset) {
    return buffer + __atomic_load_n(&fifo->offset, __ATOMIC_RELAXED);
  }
  return buffer +
         static_cast<ssize_t>(link.step % kSteps) * link.conn->step_size;
}

void SimplePrimitives::MoveSlice(Move move, ssize_t source_index,
                                 ssize_t target_index, ssize_t count,
                                 ssize_t announced) {
  char* sources[kMaxLinks + 1];
  char* targets[kMaxLinks + 1];
  int n_sources = 0, n_targets = 0;
  // With a registered buffer the NIC receives into, and sends from, the user's
  // memory. What was received is then found in the output buffer; what is to be
  // sent on must be put there, and what comes straight from the input needs no
  // copy at all.
  const ssize_t recv_index =
      move.source != Local::kNone ? source_index : target_index;
  const ssize_t send_index =
      move.target != Local::kNone ? target_index : source_index;
  if (move.source != Local::kNone) {
    sources[n_sources++] = LocalAt(move.source, source_index);
  }
  if (move.target != Local::kNone) {
    targets[n_targets++] = LocalAt(move.target, target_index);
  }
  if (move.recv) {
    for (const Link& link : recv_) {
      sources[n_sources++] =
          link.net_reg ? LocalAt(Local::kOutput, recv_index) : SlotOf(link);
    }
  }
  if (move.send) {
    for (const Link& link : send_) {
      if (ConnFifo* slot = link.fifo_slot()) {
        __atomic_store_n(&slot->size, announced * element_size_,
                         __ATOMIC_RELAXED);
      }
      if (!link.net_reg) {
        targets[n_targets++] = SlotOf(link);
      } else if (move.recv) {
        targets[n_targets++] = LocalAt(Local::kOutput, send_index);
      }
    }
  }
  ReduceCopy(config_.reduction,
             {.pre = move.source == Local::kInput, .post = move.post_op},
             {sources, static_cast<size_t>(n_sources)},
             {targets, static_cast<size_t>(n_targets)},
             static_cast<size_t>(count));
  const auto steps = static_cast<uint64_t>(config_.steps_per_slice);
  if (move.recv) {
    for (Link& link : recv_) {
      StoreCounter(link.conn->head, link.step += steps);
    }
  }
  if (move.send) {
    for (Link& link : send_) {
      StoreCounter(link.conn->tail, link.step += steps);
    }
  }
}

}  // namespace nccl_cpu
