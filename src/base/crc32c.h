// CRC-32C (Castagnoli), as iSCSI and SCTP use it: RFC 3720 appendix B.4.
//
// Pure function; any thread.
#pragma once

#include <cstddef>
#include <cstdint>

namespace longhaul {

/// The checksum of `size` bytes. Slice-by-eight: about a byte per cycle, for
/// headers and handshakes, not for bulk.
uint32_t Crc32c(const void* data, size_t size);

}  // namespace longhaul
