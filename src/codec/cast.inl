// f32 to 16-bit floats, and 16-bit floats to f32. Part of kernels.inl.

#pragma once

#include "codec/lanes.inl"

namespace longhaul {
namespace {

template <typename Element, bool kDecodes>
LH_INLINE void NarrowVector(const unsigned char* from, unsigned char* to,
                            unsigned char* decoded) {
  const HalfVector half = Element::Narrow(F32Element::Load(from));
  Store(to, half);
  if (kDecodes) Store(decoded, Element::Widen(half));
}

template <typename Element, bool kDecodes>
void Narrow(const EncodeCall& call) {
  const auto* from = static_cast<const unsigned char*>(call.source);
  auto* to = static_cast<unsigned char*>(call.out);
  auto* decoded = static_cast<unsigned char*>(call.decoded);
  size_t at = 0;
  for (; call.count - at >= kLanes; at += kLanes) {
    NarrowVector<Element, kDecodes>(from + at * 4, to + at * 2,
                                    kDecodes ? decoded + at * 4 : nullptr);
  }
  const size_t rest = call.count - at;
  if (rest == 0) return;
  unsigned char wide[kWidth] = {};
  unsigned char half[kWidth / 2];
  unsigned char back[kWidth];
  __builtin_memcpy(wide, from + at * 4, rest * 4);
  NarrowVector<Element, kDecodes>(wide, half, back);
  __builtin_memcpy(to + at * 2, half, rest * 2);
  if (kDecodes) __builtin_memcpy(decoded + at * 4, back, rest * 4);
}

template <typename Element, typename Sink>
bool Widen(const DecodeCall& call) {
  const auto* from = static_cast<const unsigned char*>(call.in);
  auto* to = static_cast<unsigned char*>(call.target);
  size_t at = 0;
  for (; call.count - at >= kLanes; at += kLanes) {
    Sink::Put(to + at * Sink::kSize, Element::Load(from + at * Element::kSize));
  }
  const size_t rest = call.count - at;
  if (rest == 0) return true;
  unsigned char in[kWidth] = {};
  unsigned char out[kWidth] = {};
  __builtin_memcpy(in, from + at * Element::kSize, rest * Element::kSize);
  __builtin_memcpy(out, to + at * Sink::kSize, rest * Sink::kSize);
  Sink::Put(out, Element::Load(in));
  __builtin_memcpy(to + at * Sink::kSize, out, rest * Sink::kSize);
  return true;
}

}  // namespace
}  // namespace longhaul
