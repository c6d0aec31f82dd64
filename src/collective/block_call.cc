#include "collective/block_call.h"

#include <cstdint>

#include "base/text.h"
#include "collective/pattern.h"

namespace longhaul {
namespace {

Status Bad(Collective collective, const std::string& what) {
  const char* name = collective == Collective::kAllGather ? "all-gather: "
                                                          : "reduce-scatter: ";
  return {StatusCode::kInvalidArgument, name + what};
}

// The caller's memory: the window, and what lies in it of the rank's own block,
// which is `place` bytes from the window's start.
struct Memory {
  uintptr_t window;
  size_t window_size;
  uintptr_t own;
  size_t own_size;
  size_t place;

  bool Overlap() const {
    if (own_size == 0 || own == window + place) return false;
    return own < window + window_size && window < own + own_size;
  }
};

}  // namespace

Result<OperationCall> MakeBlockCall(Collective collective,
                                    const BlockArguments& arguments, Rank self,
                                    Rank size) {
  const auto ranks = static_cast<size_t>(size);
  const size_t element = SizeOf(arguments.type);
  const size_t block = arguments.block;
  const Window& window = arguments.window;
  if (element == 0 || static_cast<int>(arguments.op) >= kReduceOpCount) {
    return Bad(collective, "no such element type or operator");
  }
  if (block > SIZE_MAX / element / ranks) {
    return Bad(collective, Text("%zu blocks of %zu elements of %zu bytes are "
                                "more than memory can hold",
                                ranks, block, element));
  }
  if (window.offset > block * ranks ||
      window.count > block * ranks - window.offset) {
    return Bad(collective,
               Text("%zu elements from element %zu on are no window of %zu "
                    "blocks of %zu",
                    window.count, window.offset, ranks, block));
  }
  const Interval own =
      BlockInWindow(block, static_cast<uint64_t>(self),
                    {window.offset, window.offset + window.count});
  const bool gather = collective == Collective::kAllGather;
  const void* input = arguments.input;
  const void* output = arguments.output;
  const void* whole = gather ? output : input;
  const void* part = gather ? input : output;
  if ((whole == nullptr && window.count > 0) ||
      (part == nullptr && own.count() > 0)) {
    return Bad(collective, "input or output is a null pointer");
  }
  const Memory memory = {reinterpret_cast<uintptr_t>(whole),
                         window.count * element,
                         reinterpret_cast<uintptr_t>(part),
                         own.count() * element, own.begin * element};
  if (memory.Overlap()) {
    return Bad(collective,
               "input and output overlap without one being its place in the "
               "other");
  }
  OperationCall call;
  call.collective = collective;
  call.type = arguments.type;
  call.op = gather ? ReduceOp::kSum : arguments.op;
  call.input = static_cast<const uint8_t*>(input);
  call.output = static_cast<uint8_t*>(arguments.output);
  call.count = window.count;
  call.block = block;
  call.offset = window.offset;
  return call;
}

}  // namespace longhaul
