// The 128 bytes that NCCL carries from a listener to those that connect to it:
// who listens, where, and by what key he lets in. Whoever has a handle may come
// in: that is how NCCL's own bootstrap vouches for a peer.
//
// Bytes of the other side are hostile until decoded. The place of the stage is
// the connecting side's own: it is null in what a listener gives out, and keeps
// the state of a connect that is under way between two of NCCL's calls.
//
// Values and pure functions; any thread.
#pragma once

#include <longhaul/status.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "abi/common.h"
#include "base/address.h"
#include "collective/process_card.h"

namespace longhaul::nccl {

/// A process and one of its listeners.
struct Handle {
  uint64_t cookie = 0;       ///< of the listener
  uint64_t incarnation = 0;  ///< of the process
  uint64_t capabilities = 0;
  uint64_t site = 0;  ///< FNV-1a of its name (PaceBoard::LineTo)
  Door door;
  std::vector<Address> addresses;  ///< the best first; as many as fit
  bool operator==(const Handle&) const = default;
};

using HandleBytes = std::span<uint8_t, abi::kHandleBytes>;

/// Addresses beyond the room there is are cut: 8 IPv4 or 2 IPv6 ones fit.
void EncodeHandle(const Handle& handle, HandleBytes out);
/// kInvalidArgument for what this version of the plugin has not made.
Result<Handle> DecodeHandle(std::span<const uint8_t, abi::kHandleBytes> in);

/// The stage pointer within the handle.
void* StageOf(std::span<const uint8_t, abi::kHandleBytes> handle);
void SetStage(HandleBytes handle, void* stage);

}  // namespace longhaul::nccl
