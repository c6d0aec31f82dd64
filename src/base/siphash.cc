#include "base/siphash.h"

#include <bit>

#include "base/bytes.h"

namespace longhaul {
namespace {

struct State {
  uint64_t v0, v1, v2, v3;

  void Round() {
    v0 += v1;
    v1 = std::rotl(v1, 13) ^ v0;
    v0 = std::rotl(v0, 32);
    v2 += v3;
    v3 = std::rotl(v3, 16) ^ v2;
    v0 += v3;
    v3 = std::rotl(v3, 21) ^ v0;
    v2 += v1;
    v1 = std::rotl(v1, 17) ^ v2;
    v2 = std::rotl(v2, 32);
  }
  void Absorb(uint64_t word) {
    v3 ^= word;
    Round();
    Round();
    v0 ^= word;
  }
  uint64_t Squeeze() {
    for (int i = 0; i < 4; ++i) Round();
    return v0 ^ v1 ^ v2 ^ v3;
  }
};

}  // namespace

SipTag SipHash128(const SipKey& key, std::span<const uint8_t> message) {
  const auto k0 = LoadLittle<uint64_t>(key.data());
  const auto k1 = LoadLittle<uint64_t>(key.data() + 8);
  // "somepseudorandomlygeneratedbytes"; 0xee marks the 128-bit variant.
  State state{k0 ^ 0x736f6d6570736575u, k1 ^ 0x646f72616e646f6du ^ 0xeeu,
              k0 ^ 0x6c7967656e657261u, k1 ^ 0x7465646279746573u};
  const size_t whole = message.size() / 8 * 8;
  for (size_t i = 0; i < whole; i += 8) {
    state.Absorb(LoadLittle<uint64_t>(message.data() + i));
  }
  uint64_t last = uint64_t{message.size()} << 56;
  for (size_t i = whole; i < message.size(); ++i) {
    last |= uint64_t{message[i]} << (8 * (i - whole));
  }
  state.Absorb(last);
  state.v2 ^= 0xee;
  SipTag tag;
  StoreLittle<uint64_t>(tag.data(), state.Squeeze());
  state.v1 ^= 0xdd;
  StoreLittle<uint64_t>(tag.data() + 8, state.Squeeze());
  return tag;
}

bool SameTag(const SipTag& a, const SipTag& b) {
  uint8_t difference = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    difference = static_cast<uint8_t>(difference | (a[i] ^ b[i]));
  }
  return difference == 0;
}

}  // namespace longhaul
