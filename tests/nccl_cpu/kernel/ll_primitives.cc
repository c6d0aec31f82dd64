#include "kernel/ll_primitives.h"

#include <algorithm>
#include <cstring>

namespace nccl_cpu {
namespace {

using nccl_abi::kProtoLl;
using nccl_abi::kSteps;

constexpr size_t kLineData = 8;  // bytes of data in a line
constexpr size_t kHalfData = 4;
constexpr uint64_t kCleanMask = 0x7ffffff8;

}  // namespace

LlPrimitives::LlPrimitives(Block& block, const PrimitivesConfig& config)
    : Primitives(block, config),
      step_lines_(static_cast<size_t>(block.comm->buff_sizes[kProtoLl]) /
                  kSteps / sizeof(Line)) {}

Task LlPrimitives::Finish() {
  SaveSteps();
  co_return;
}

Task LlPrimitives::Run(Move move, ssize_t source_index, ssize_t target_index,
                       ssize_t count) {
  count = std::max<ssize_t>(count, 0);
  const size_t lines =
      DivideUp(static_cast<size_t>(count * element_size_), kLineData);
  if (move.send) {
    co_await WaitUntil([this] { return HasRoom(1) || block_.aborted(); });
    for (const Link& link : send_) {
      if (nccl_abi::ConnFifo* slot = link.fifo_slot()) {
        const size_t bytes = LinesToWrite(link, lines) * sizeof(Line);
        __atomic_store_n(&slot->size, static_cast<ssize_t>(bytes),
                         __ATOMIC_RELEASE);
      }
    }
  }
  if (move.recv) {
    size_t at_link = 0, at_line = 0;  // everything before has arrived
    co_await WaitUntil([this, lines, &at_link, &at_line] {
      for (; at_link < recv_.size(); ++at_link, at_line = 0) {
        for (; at_line < lines; ++at_line) {
          if (!Arrived(recv_[at_link], at_line)) return block_.aborted();
        }
      }
      return true;
    });
  }
  if (!block_.aborted()) {
    MoveChunk(move, source_index, target_index, count, lines);
  }
  if (move.recv) {
    for (Link& link : recv_) StoreCounter(link.conn->head, link.step += 1);
  }
  if (move.send) {
    for (Link& link : send_) link.step += 1;
  }
}

LlPrimitives::Line* LlPrimitives::SlotOf(const Link& link) const {
  return reinterpret_cast<Line*>(link.conn->buffs[kProtoLl]) +
         (link.step % kSteps) * step_lines_;
}

bool LlPrimitives::Arrived(const Link& link, size_t line) const {
  const auto flag = static_cast<uint32_t>(link.step + 1);
  for (const uint64_t& half : SlotOf(link)[line].half) {
    if (__atomic_load_n(&half, __ATOMIC_ACQUIRE) >> 32 != flag) return false;
  }
  return true;
}

size_t LlPrimitives::LinesToWrite(const Link& link, size_t lines) const {
  return (link.step & kCleanMask) == kCleanMask ? step_lines_ : lines;
}

void LlPrimitives::MoveChunk(Move move, ssize_t source_index,
                             ssize_t target_index, ssize_t count,
                             size_t lines) {
  std::vector<std::vector<char>> received;
  std::vector<char> out(move.send ? lines * kLineData : 0);
  std::vector<char*> sources, targets;
  if (move.source != Local::kNone) {
    sources.push_back(LocalAt(move.source, source_index));
  }
  if (move.recv) {
    for (const Link& link : recv_) received.push_back(ReadSlot(link, lines));
    for (std::vector<char>& data : received) sources.push_back(data.data());
  }
  if (move.target != Local::kNone) {
    targets.push_back(LocalAt(move.target, target_index));
  }
  if (move.send) targets.push_back(out.data());
  ReduceCopy(config_.reduction,
             {.pre = move.source == Local::kInput, .post = move.post_op},
             sources, targets, static_cast<size_t>(count));
  if (move.send) {
    for (const Link& link : send_) WriteSlot(link, lines, out);
  }
}

std::vector<char> LlPrimitives::ReadSlot(const Link& link, size_t lines) const {
  std::vector<char> data(lines * kLineData);
  const Line* slot = SlotOf(link);
  for (size_t line = 0; line < lines; ++line) {
    for (size_t half = 0; half < 2; ++half) {
      const auto word = static_cast<uint32_t>(slot[line].half[half]);
      memcpy(&data[line * kLineData + half * kHalfData], &word, kHalfData);
    }
  }
  return data;
}

void LlPrimitives::WriteSlot(const Link& link, size_t lines,
                             const std::vector<char>& data) {
  Line* slot = SlotOf(link);
  const uint64_t flag = uint64_t{static_cast<uint32_t>(link.step + 1)} << 32;
  const size_t all = LinesToWrite(link, lines);
  for (size_t line = 0; line < all; ++line) {
    for (size_t half = 0; half < 2; ++half) {
      uint32_t word = 0;
      if (line < lines) {
        memcpy(&word, &data[line * kLineData + half * kHalfData], kHalfData);
      }
      __atomic_store_n(&slot[line].half[half], flag | word, __ATOMIC_RELEASE);
    }
  }
}

}  // namespace nccl_cpu
