#include "kernel/families.h"

namespace nccl_cpu {

using nccl_abi::WorkColl;

Part PartOfChannel(const WorkColl& work, int channel_id, ssize_t element_size,
                   int proto) {
  // Chunk sizes are in grains of so many elements.
  const ssize_t grain = (proto == nccl_abi::kProtoLl ? 16 : 512) / element_size;
  const int lo_id = static_cast<int>(work.channel_lo);
  const int hi_id = static_cast<int>(work.channel_hi);
  const auto lo = static_cast<ssize_t>(work.parts.count_lo);
  const auto mid = static_cast<ssize_t>(work.parts.count_mid);
  const auto hi = static_cast<ssize_t>(work.parts.count_hi);
  const ssize_t mids = hi_id - lo_id - 1;
  const ssize_t total = lo + mid * mids + hi;
  if (channel_id == lo_id) {
    return {total, 0, lo, static_cast<ssize_t>(work.parts.grains_lo) * grain};
  }
  if (channel_id == hi_id) {
    return {total, lo + mids * mid, hi,
            static_cast<ssize_t>(work.parts.grains_hi) * grain};
  }
  return {total, lo + (channel_id - lo_id - 1) * mid, mid,
          static_cast<ssize_t>(work.parts.grains_mid) * grain};
}

PrimitivesConfig CollectiveConfig(const WorkColl& work, const FuncRow& row) {
  PrimitivesConfig config;
  config.input = work.send_buffer;
  config.output = work.recv_buffer;
  config.reduction = {row.op, row.type, work.red_op_arg};
  return config;
}

}  // namespace nccl_cpu
