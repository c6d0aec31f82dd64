// All-reduces through the plugin's CollNet table, cut and posted as NCCL does.
//
// Thread-compatible.
#pragma once

#include <longhaul/status.h>

#include <cstdint>
#include <memory>
#include <string>

#include "harness/subject.h"

namespace longhaul::bench {

/// How NCCL would ask. NCCL's own values for a large vector over 16 channels:
/// 8 channels' chunks of 128 KiB are one call, 2 groups x 8 steps of them are
/// outstanding.
struct CollNetDriving {
  std::string plugin = LONGHAUL_PLUGIN_PATH;
  int version = 12;
  uint64_t call_bytes = uint64_t{1} << 20;
  int outstanding = 16;
};

/// This rank of the job that LONGHAUL_RENDEZVOUS, LONGHAUL_RANK and
/// LONGHAUL_WORLD_SIZE name, as a member of one group of all ranks. All ranks
/// at once. Sum, prod, max and min.
Result<std::unique_ptr<Subject>> JoinCollNet(const CollNetDriving& how);

}  // namespace longhaul::bench
