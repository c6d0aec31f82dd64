// The lossless codec's kernels: the body of lossless_kernels_*.cc, which define
// LH_WIDTH, LH_NAME and LH_KERNELS (the name of the table) and include this.
// Nothing here rounds or depends on the width: all targets give the same bytes.

#include "codec/lossless_levels.inl"

namespace longhaul {
namespace {

template <typename Word>
LH_INLINE Word LoadWord(const unsigned char* from) {
  Word word;
  __builtin_memcpy(&word, from, sizeof word);
  return word;
}

template <typename Word>
LH_INLINE void StoreWord(unsigned char* to, Word word) {
  __builtin_memcpy(to, &word, sizeof word);
}

// How the bits of an element are dealt out. Sign and lower mantissa make a byte
// together; words are wide enough for shifts not to be promoted.

struct Bf16Split {
  using Word = uint16_t;
  static constexpr size_t kPlanes = 1;
  static LH_INLINE uint8_t Exponent(Word x) {
    return static_cast<uint8_t>(x >> 7);
  }
  template <size_t kPlane>
  static LH_INLINE uint8_t Plane(Word x) {
    return static_cast<uint8_t>((x & 0x7f) | (x >> 8 & 0x80));
  }
  static LH_INLINE Word Join(uint8_t exponent, const uint8_t* planes) {
    return static_cast<Word>((planes[0] & 0x80) << 8 | exponent << 7 |
                             (planes[0] & 0x7f));
  }
};

// Small f16s are subnormal often enough: their exponent is kept apart from that
// of zero, all others being one more than they are.
struct F16Split {
  using Word = uint16_t;
  static constexpr size_t kPlanes = 2;
  static LH_INLINE uint8_t Exponent(Word x) {
    const auto exponent = static_cast<Word>((x >> 10 & 0x1f) + 1);
    return static_cast<uint8_t>(x == 0 ? 0 : exponent);
  }
  template <size_t kPlane>
  static LH_INLINE uint8_t Plane(Word x) {
    return kPlane == 0 ? static_cast<uint8_t>((x & 0x7f) | (x >> 8 & 0x80))
                       : static_cast<uint8_t>(x >> 7 & 7);
  }
  static LH_INLINE Word Join(uint8_t exponent, const uint8_t* planes) {
    const auto plain =
        static_cast<uint8_t>(exponent == 0 ? 0 : exponent - 1) & 0x1f;
    return static_cast<Word>((planes[0] & 0x80) << 8 | plain << 10 |
                             planes[1] << 7 | (planes[0] & 0x7f));
  }
};

struct F32Split {
  using Word = uint32_t;
  static constexpr size_t kPlanes = 3;
  static LH_INLINE uint8_t Exponent(Word x) {
    return static_cast<uint8_t>(x >> 23);
  }
  template <size_t kPlane>
  static LH_INLINE uint8_t Plane(Word x) {
    return kPlane == 2
               ? static_cast<uint8_t>((x >> 16 & 0x7f) | (x >> 24 & 0x80))
               : static_cast<uint8_t>(x >> 8 * kPlane);
  }
  static LH_INLINE Word Join(uint8_t exponent, const uint8_t* planes) {
    const Word top = planes[2];
    return (top & 0x80) << 24 | Word{exponent} << 23 | (top & 0x7f) << 16 |
           Word{planes[1]} << 8 | planes[0];
  }
};

template <typename Split>
void Exponents(const unsigned char* __restrict elements, size_t count,
               unsigned char* __restrict out) {
  using Word = typename Split::Word;
  for (size_t i = 0; i < count; ++i) {
    out[i] = Split::Exponent(LoadWord<Word>(elements + i * sizeof(Word)));
  }
}

template <typename Split, size_t kPlane>
LH_INLINE void RestPlane(const unsigned char* __restrict elements, size_t count,
                         unsigned char* __restrict out) {
  using Word = typename Split::Word;
  for (size_t i = 0; i < count; ++i) {
    out[i] = Split::template Plane<kPlane>(
        LoadWord<Word>(elements + i * sizeof(Word)));
  }
}

template <typename Split>
void Rest(const unsigned char* elements, size_t count,
          unsigned char* const* planes) {
  RestPlane<Split, 0>(elements, count, planes[0]);
  if constexpr (Split::kPlanes > 1) {
    RestPlane<Split, 1>(elements, count, planes[1]);
  }
  if constexpr (Split::kPlanes > 2) {
    RestPlane<Split, 2>(elements, count, planes[2]);
  }
}

template <typename Split>
void Join(const unsigned char* __restrict exponents,
          const unsigned char* const* planes, size_t count,
          unsigned char* __restrict elements) {
  using Word = typename Split::Word;
  const unsigned char* __restrict first = planes[0];
  const unsigned char* __restrict second = planes[Split::kPlanes > 1 ? 1 : 0];
  const unsigned char* __restrict third = planes[Split::kPlanes > 2 ? 2 : 0];
  for (size_t i = 0; i < count; ++i) {
    const uint8_t rest[3] = {first[i], second[i], third[i]};
    StoreWord<Word>(elements + i * sizeof(Word),
                    Split::Join(exponents[i], rest));
  }
}

template <typename Word>
size_t Zeros(const unsigned char* elements, size_t count) {
  uint32_t zeros = 0;
  for (size_t i = 0; i < count; ++i) {
    zeros += LoadWord<Word>(elements + i * sizeof(Word)) == 0 ? 1U : 0U;
  }
  return zeros;
}

}  // namespace

extern const LosslessKernels LH_KERNELS;
constexpr LosslessKernels LH_KERNELS = {
    LH_NAME,
    {Exponents<F32Split>, Exponents<F16Split>, Exponents<Bf16Split>},
    {Rest<F32Split>, Rest<F16Split>, Rest<Bf16Split>},
    {Join<F32Split>, Join<F16Split>, Join<Bf16Split>},
    {Zeros<uint32_t>, Zeros<uint16_t>, Zeros<uint16_t>},
    EncodeLevel,
    Escapes,
    DecodeLevel,
    CountNotZero,
    Compact,
    Expand,
};

}  // namespace longhaul
