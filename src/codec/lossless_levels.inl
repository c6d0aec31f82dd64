// Symbols to planes of bits and back, and bytes moved together and apart: the
// part of lossless_kernels.inl that knows instructions. What it does, eight
// symbols at a time, is said by the portable half; AVX2 takes 32 and leaves it
// the rest.

#pragma once

#include "codec/lossless_kernels.h"

namespace longhaul {
namespace {

#define LH_INLINE inline __attribute__((always_inline))

constexpr uint64_t kOnes = 0x0101010101010101;

LH_INLINE size_t PlaneBytes(size_t count) { return (count + 7) / 8; }

// Bit i of a byte to byte i, as 0 or 1.
LH_INLINE uint64_t Spread(uint64_t bits) {
  return (((bits * kOnes) & 0x8040201008040201) + kOnes * 0x7f) >> 7 & kOnes;
}

// The lowest bit of byte i to bit i.
LH_INLINE unsigned char Gather(uint64_t bytes) {
  return static_cast<unsigned char>((bytes & kOnes) * 0x0102040810204080 >> 56);
}

// Where a kernel stands: symbols done, and those moved to or from elsewhere.
struct Place {
  size_t done;
  size_t moved;
};

// ---- AVX2: 32 symbols at a time --------------------------------------------

#if LH_WIDTH >= 32
constexpr size_t kStep = 32;

// For each set of 8 places: where to take bytes from for the members to move
// to the front, in order; and for them to move back, others becoming zero.
struct Moves {
  unsigned char front[256][8];
  unsigned char back[256][8];
};
constexpr Moves MakeMoves() {
  Moves moves{};
  for (unsigned set = 0; set < 256; ++set) {
    unsigned members = 0;
    for (unsigned i = 0; i < 8; ++i) {
      const bool in = (set >> i & 1U) != 0;
      moves.back[set][i] = static_cast<unsigned char>(in ? members : 0x80U);
      if (in) moves.front[set][members++] = static_cast<unsigned char>(i);
    }
  }
  return moves;
}
constexpr Moves kMoves = MakeMoves();

LH_INLINE size_t Members(uint32_t set) {
  return static_cast<size_t>(__builtin_popcount(set));
}
LH_INLINE __m256i Load32(const unsigned char* from) {
  __m256i v;
  __builtin_memcpy(&v, from, sizeof v);
  return v;
}
LH_INLINE void Store32(unsigned char* to, __m256i v) {
  __builtin_memcpy(to, &v, sizeof v);
}
LH_INLINE __m128i Load8(const unsigned char* from) {
  long long v;  // NOLINT(google-runtime-int): what the intrinsic takes
  __builtin_memcpy(&v, from, sizeof v);
  return _mm_cvtsi64_si128(v);
}
LH_INLINE uint32_t LoadBits(const unsigned char* from) {
  uint32_t bits;
  __builtin_memcpy(&bits, from, sizeof bits);
  return bits;
}
LH_INLINE void StoreBits(unsigned char* to, uint32_t bits) {
  __builtin_memcpy(to, &bits, sizeof bits);
}

// The members of a set of 32 bytes to `to`; up to 8 bytes more are written.
LH_INLINE size_t MoveToFront(__m256i bytes, uint32_t set, unsigned char* to) {
  const __m128i halves[2] = {_mm256_castsi256_si128(bytes),
                             _mm256_extracti128_si256(bytes, 1)};
  size_t moved = 0;
  for (unsigned i = 0; i < 4; ++i) {
    const uint32_t eight = set >> (8 * i) & 0xffU;
    const __m128i from =
        i % 2 == 0 ? halves[i / 2] : _mm_srli_si128(halves[i / 2], 8);
    const __m128i front = _mm_shuffle_epi8(from, Load8(kMoves.front[eight]));
    const long long packed = _mm_cvtsi128_si64(front);  // NOLINT
    __builtin_memcpy(to + moved, &packed, sizeof packed);
    moved += Members(eight);
  }
  return moved;
}

// Bytes of `from` in the places of a set, zeros in the others; up to 8 bytes
// more are read.
LH_INLINE __m256i MoveBack(const unsigned char* from, uint32_t set) {
  __m128i eights[4];
  size_t moved = 0;
  for (unsigned i = 0; i < 4; ++i) {
    const uint32_t eight = set >> (8 * i) & 0xffU;
    eights[i] =
        _mm_shuffle_epi8(Load8(from + moved), Load8(kMoves.back[eight]));
    moved += Members(eight);
  }
  return _mm256_set_m128i(_mm_unpacklo_epi64(eights[2], eights[3]),
                          _mm_unpacklo_epi64(eights[0], eights[1]));
}

// Bit i to all bits of byte i.
LH_INLINE __m256i SpreadBits(uint32_t bits) {
  const __m256i which = _mm256_setr_epi64x(0, kOnes, kOnes * 2, kOnes * 3);
  const __m256i each =
      _mm256_set1_epi64x(static_cast<int64_t>(0x8040201008040201));
  const __m256i bytes =
      _mm256_shuffle_epi8(_mm256_set1_epi32(static_cast<int>(bits)), which);
  return _mm256_cmpeq_epi8(_mm256_and_si256(bytes, each), each);
}

template <unsigned kBits>
LH_INLINE Place EncodeSteps(const LosslessLevel& level, unsigned char* symbols,
                            size_t count, unsigned char* planes) {
  constexpr char kEscape = (1 << kBits) - 1;
  const size_t stride = PlaneBytes(count);
  Place at{};
  for (; at.done + kStep <= count; at.done += kStep) {
    const __m256i bytes = Load32(symbols + at.done);
    __m256i codes = _mm256_set1_epi8(kEscape);
    for (unsigned code = 0; code < level.symbol_count; ++code) {
      const __m256i same = _mm256_cmpeq_epi8(
          bytes, _mm256_set1_epi8(static_cast<char>(level.symbols[code])));
      const auto change = static_cast<char>(kEscape ^ static_cast<char>(code));
      codes = _mm256_xor_si256(
          codes, _mm256_and_si256(same, _mm256_set1_epi8(change)));
    }
    uint32_t set = level.last ? 0 : ~0U;
    for (unsigned bit = 0; bit < kBits; ++bit) {
      const auto plane = static_cast<uint32_t>(_mm256_movemask_epi8(
          _mm256_slli_epi16(codes, static_cast<int>(7 - bit))));
      StoreBits(planes + bit * stride + at.done / 8, plane);
      set &= plane;
    }
    if (!level.last) at.moved += MoveToFront(bytes, set, symbols + at.moved);
  }
  return at;
}

template <unsigned kBits>
LH_INLINE Place DecodeSteps(const LosslessLevel& level,
                            const unsigned char* planes, size_t count,
                            const unsigned char* deeper,
                            unsigned char* symbols) {
  const size_t stride = PlaneBytes(count);
  __m128i half;
  __builtin_memcpy(&half, level.symbols, sizeof half);
  const __m256i table = _mm256_broadcastsi128_si256(half);
  Place at{};
  for (; at.done + kStep <= count; at.done += kStep) {
    __m256i codes = _mm256_setzero_si256();
    uint32_t set = level.last ? 0 : ~0U;
    for (unsigned bit = 0; bit < kBits; ++bit) {
      const uint32_t plane = LoadBits(planes + bit * stride + at.done / 8);
      set &= plane;
      codes = _mm256_or_si256(
          codes,
          _mm256_and_si256(SpreadBits(plane),
                           _mm256_set1_epi8(static_cast<char>(1 << bit))));
    }
    __m256i bytes = _mm256_shuffle_epi8(table, codes);
    if (!level.last) {  // an escape's entry in the table is zero
      bytes = _mm256_or_si256(bytes, MoveBack(deeper + at.moved, set));
      at.moved += Members(set);
    }
    Store32(symbols + at.done, bytes);
  }
  return at;
}

LH_INLINE uint32_t NotZero(const unsigned char* exponents) {
  return ~static_cast<uint32_t>(_mm256_movemask_epi8(
      _mm256_cmpeq_epi8(Load32(exponents), _mm256_setzero_si256())));
}

LH_INLINE Place CompactSteps(const unsigned char* exponents, size_t count,
                             unsigned char* bytes) {
  Place at{};
  for (; at.done + kStep <= count; at.done += kStep) {
    at.moved += MoveToFront(Load32(bytes + at.done),
                            NotZero(exponents + at.done), bytes + at.moved);
  }
  return at;
}

LH_INLINE Place ExpandSteps(const unsigned char* exponents, size_t count,
                            const unsigned char* bytes, unsigned char* out) {
  Place at{};
  for (; at.done + kStep <= count; at.done += kStep) {
    const uint32_t set = NotZero(exponents + at.done);
    Store32(out + at.done, MoveBack(bytes + at.moved, set));
    at.moved += Members(set);
  }
  return at;
}

#else
template <unsigned kBits>
LH_INLINE Place EncodeSteps(const LosslessLevel& /*level*/,
                            const unsigned char* /*symbols*/, size_t /*count*/,
                            const unsigned char* /*planes*/) {
  return {};
}
template <unsigned kBits>
LH_INLINE Place DecodeSteps(const LosslessLevel& /*level*/,
                            const unsigned char* /*planes*/, size_t /*count*/,
                            const unsigned char* /*deeper*/,
                            const unsigned char* /*symbols*/) {
  return {};
}
LH_INLINE Place CompactSteps(const unsigned char* /*exponents*/,
                             size_t /*count*/, const unsigned char* /*bytes*/) {
  return {};
}
LH_INLINE Place ExpandSteps(const unsigned char* /*exponents*/,
                            size_t /*count*/, const unsigned char* /*bytes*/,
                            const unsigned char* /*out*/) {
  return {};
}
#endif

// ---- any processor ---------------------------------------------------------

template <unsigned kBits>
size_t EncodeBits(const LosslessLevel& level, unsigned char* symbols,
                  size_t count, unsigned char* planes) {
  constexpr unsigned kEscape = (1U << kBits) - 1;
  Place at = EncodeSteps<kBits>(level, symbols, count, planes);
  if (at.done == count) return at.moved;
  unsigned char codes[256];
  __builtin_memset(codes, kEscape, sizeof codes);
  for (unsigned code = 0; code < level.symbol_count; ++code) {
    codes[level.symbols[code]] = static_cast<unsigned char>(code);
  }
  const unsigned never = level.last ? kEscape + 1 : kEscape;
  const size_t stride = PlaneBytes(count);
  for (; at.done < count; at.done += 8) {
    const size_t here = count - at.done < 8 ? count - at.done : 8;
    uint64_t eight = 0;
    for (size_t i = 0; i < here; ++i) {
      const unsigned char symbol = symbols[at.done + i];
      const unsigned code = codes[symbol];
      eight |= uint64_t{code} << 8 * i;
      symbols[at.moved] = symbol;
      at.moved += code == never ? 1U : 0U;
    }
    for (unsigned bit = 0; bit < kBits; ++bit) {
      planes[bit * stride + at.done / 8] = Gather(eight >> bit);
    }
  }
  return at.moved;
}

template <unsigned kBits>
void DecodeBits(const LosslessLevel& level, const unsigned char* planes,
                size_t count, const unsigned char* deeper,
                unsigned char* symbols) {
  constexpr unsigned kEscape = (1U << kBits) - 1;
  const unsigned escape = level.last ? kEscape + 1 : kEscape;
  const size_t stride = PlaneBytes(count);
  Place at = DecodeSteps<kBits>(level, planes, count, deeper, symbols);
  for (; at.done < count; at.done += 8) {
    const size_t here = count - at.done < 8 ? count - at.done : 8;
    uint64_t eight = 0;
    for (unsigned bit = 0; bit < kBits; ++bit) {
      eight |= Spread(planes[bit * stride + at.done / 8]) << bit;
    }
    for (size_t i = 0; i < here; ++i) {
      const auto code = static_cast<unsigned>(eight >> 8 * i & 0xf);
      const unsigned char other = deeper[at.moved];
      symbols[at.done + i] = code == escape ? other : level.symbols[code];
      at.moved += code == escape ? 1U : 0U;
    }
  }
}

size_t EncodeLevel(const LosslessLevel& level, unsigned char* symbols,
                   size_t count, unsigned char* planes) {
  switch (level.width) {
    case 1:
      return EncodeBits<1>(level, symbols, count, planes);
    case 2:
      return EncodeBits<2>(level, symbols, count, planes);
    case 3:
      return EncodeBits<3>(level, symbols, count, planes);
    default:
      return EncodeBits<4>(level, symbols, count, planes);
  }
}

void DecodeLevel(const LosslessLevel& level, const unsigned char* planes,
                 size_t count, const unsigned char* deeper,
                 unsigned char* symbols) {
  switch (level.width) {
    case 1:
      return DecodeBits<1>(level, planes, count, deeper, symbols);
    case 2:
      return DecodeBits<2>(level, planes, count, deeper, symbols);
    case 3:
      return DecodeBits<3>(level, planes, count, deeper, symbols);
    default:
      return DecodeBits<4>(level, planes, count, deeper, symbols);
  }
}

size_t Escapes(const unsigned char* planes, unsigned width, size_t count) {
  const size_t stride = PlaneBytes(count);
  size_t escapes = 0;
  for (size_t i = 0; i < stride; ++i) {
    unsigned set = planes[i];
    for (unsigned bit = 1; bit < width; ++bit) set &= planes[bit * stride + i];
    // Of the last byte, bits that stand for no symbol do not count.
    if (i + 1 == stride && count % 8 != 0) set &= (1U << count % 8) - 1;
    set -= set >> 1 & 0x55U;
    set = (set & 0x33U) + (set >> 2 & 0x33U);
    escapes += (set + (set >> 4)) & 0xfU;
  }
  return escapes;
}

// In sums of bytes that cannot overflow.
size_t CountNotZero(const unsigned char* exponents, size_t count) {
  size_t sum = 0;
  while (count > 0) {
    const size_t here = count < 128 ? count : 128;
    unsigned char few = 0;
    for (size_t i = 0; i < here; ++i) {
      few = static_cast<unsigned char>(few + (exponents[i] != 0 ? 1 : 0));
    }
    sum += few;
    exponents += here;
    count -= here;
  }
  return sum;
}

size_t Compact(const unsigned char* exponents, size_t count,
               unsigned char* bytes) {
  Place at = CompactSteps(exponents, count, bytes);
  for (; at.done < count; ++at.done) {
    bytes[at.moved] = bytes[at.done];
    at.moved += exponents[at.done] != 0 ? 1U : 0U;
  }
  return at.moved;
}

void Expand(const unsigned char* exponents, size_t count,
            const unsigned char* bytes, unsigned char* out) {
  Place at = ExpandSteps(exponents, count, bytes, out);
  for (; at.done < count; ++at.done) {
    const unsigned char byte = bytes[at.moved];
    out[at.done] = exponents[at.done] != 0 ? byte : 0;
    at.moved += exponents[at.done] != 0 ? 1U : 0U;
  }
}

}  // namespace
}  // namespace longhaul
