// CRC-32C (Castagnoli), as iSCSI and SCTP use it: RFC 3720 appendix B.4.
//
// Pure function; any thread.
#pragma once

#include <cstddef>
#include <cstdint>

namespace longhaul {

/// The checksum of `size` bytes, by the processor's instruction where it has
/// one.
uint32_t Crc32c(const void* data, size_t size);

/// The same by tables, slice-by-eight: what other processors do.
uint32_t Crc32cPortable(const void* data, size_t size);

}  // namespace longhaul
