// Random bytes from the kernel, fit for keys and nonces.
//
// Any thread. A system call each: for set-up, not for data paths.
#pragma once

#include <cstdint>
#include <span>

namespace longhaul {

/// Fills `out`. Waits for the kernel's generator to be seeded, which only
/// happens early at boot; ends the process if the kernel has none.
void FillRandom(std::span<uint8_t> out);

/// 64 random bits.
uint64_t RandomU64();

}  // namespace longhaul
