// SipHash-2-4 with 128 bits of output: a keyed proof that whoever made a
// message knows the key. It authenticates, it does not hide.
//
// Pure function; any thread.
// Source: J.-P. Aumasson, D. J. Bernstein, "SipHash: a fast short-input PRF",
// 2012.
#pragma once

#include <array>
#include <cstdint>
#include <span>

namespace longhaul {

using SipKey = std::array<uint8_t, 16>;
using SipTag = std::array<uint8_t, 16>;

SipTag SipHash128(const SipKey& key, std::span<const uint8_t> message);

/// Equality in a time that does not tell where the tags differ.
bool SameTag(const SipTag& a, const SipTag& b);

}  // namespace longhaul
