// What an operation's fingerprint says to people, and the hashes in it.
//
// Pure functions; any thread.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>

#include "transport/chunk.h"

namespace longhaul {

/// "an all-reduce of 100 x f32 (sum, ring, segments of 100)"
std::string Describe(const Fingerprint& fingerprint);

/// What a reader cannot see in two of them, where all else is equal: which of
/// the numbers that stand in a hash differ. Begins with ": ", or is empty.
const char* HintOn(Fingerprint one, const Fingerprint& other);

/// Of numbers, the same on every machine.
uint64_t HashOf(std::initializer_list<uint64_t> numbers);
/// For a fingerprint, which has room for 32 bits.
constexpr uint32_t Fold(uint64_t hash) {
  return static_cast<uint32_t>(hash ^ hash >> 32);
}

}  // namespace longhaul
