#include "codec/lossless_block.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>

#include "codec/lossless.h"
#include "codec/lossless_plan.h"

namespace longhaul {
namespace {

using End = LosslessPlan::End;

// A block's first byte.
constexpr unsigned char kRaw = 0;
constexpr unsigned char kCoded = 1;
constexpr unsigned char kCodedWithoutZeros = 2;

// A level's first byte: the width of its codes, and kLast in the last level; or
// what ends the levels.
constexpr unsigned char kWidthMask = 7;
constexpr unsigned char kLast = 0x80;
constexpr unsigned char kBytesFollow = 0x40;
constexpr unsigned char kSameFollows = 0x41;

using Padded =
    std::array<unsigned char, kLosslessBlock + LosslessKernels::kPadding>;

// Three bits of the mantissa are written as planes of bits, as the codes of a
// level are in which each symbol is its own code.
constexpr LosslessLevel kThreeBits = {3, 8, true, {0, 1, 2, 3, 4, 5, 6, 7}};
constexpr size_t kPlainMantissa = 3;

size_t PlanesOf(LosslessKernels::Type type) {
  constexpr size_t kPlanes[] = {3, 2, 1};
  return kPlanes[type];
}

bool IsBits(LosslessKernels::Type type, size_t plane) {
  return type == LosslessKernels::kF16 && plane == 1;
}

size_t BitPlaneBytes(size_t count, unsigned width) {
  return width * ((count + 7) / 8);
}

// Of `count` elements, what is not in their exponents.
size_t RestBytes(LosslessKernels::Type type, size_t count) {
  size_t bytes = 0;
  for (size_t plane = 0; plane < PlanesOf(type); ++plane) {
    bytes += IsBits(type, plane) ? BitPlaneBytes(count, kPlainMantissa) : count;
  }
  return bytes;
}

unsigned char* Append(unsigned char* to, const unsigned char* from,
                      size_t size) {
  std::memcpy(to, from, size);
  return to + size;
}

// ---- encoding --------------------------------------------------------------

// Four counters per symbol, so that runs of one do not wait for each other.
void CountSymbols(const unsigned char* symbols, size_t count,
                  std::array<uint32_t, 256>& counts) {
  std::array<std::array<uint32_t, 256>, 4> by{};
  size_t i = 0;
  for (; i + 4 <= count; i += 4) {
    ++by[0][symbols[i]];
    ++by[1][symbols[i + 1]];
    ++by[2][symbols[i + 2]];
    ++by[3][symbols[i + 3]];
  }
  for (; i < count; ++i) ++by[0][symbols[i]];
  for (size_t symbol = 0; symbol < 256; ++symbol) {
    counts[symbol] =
        by[0][symbol] + by[1][symbol] + by[2][symbol] + by[3][symbol];
  }
}

// Leaves rubbish in `symbols`.
unsigned char* WriteSymbols(const LosslessKernels& kernels,
                            const LosslessPlan& plan, unsigned char* symbols,
                            size_t count, unsigned char* to) {
  for (size_t i = 0; i < plan.level_count; ++i) {
    const LosslessLevel& level = plan.levels[i];
    const unsigned codes = 1U << level.width;
    *to++ = static_cast<unsigned char>(level.width | (level.last ? kLast : 0U));
    to = Append(to, level.symbols, level.last ? codes : codes - 1);
  }
  if (plan.end == End::kBytes) *to++ = kBytesFollow;
  if (plan.end == End::kSame) {
    *to++ = kSameFollows;
    *to++ = plan.same;
  }
  for (size_t i = 0; i < plan.level_count; ++i) {
    const LosslessLevel& level = plan.levels[i];
    const size_t bytes = BitPlaneBytes(count, level.width);
    count = kernels.encode_level(level, symbols, count, to);
    to += bytes;
  }
  return plan.end == End::kBytes ? Append(to, symbols, count) : to;
}

// The planes straight to where they belong.
unsigned char* WriteRest(const LosslessShape& shape,
                         const unsigned char* source, size_t count,
                         unsigned char* to) {
  Padded bits;
  std::array<unsigned char*, LosslessKernels::kMostPlanes> planes{};
  unsigned char* at = to;
  for (size_t plane = 0; plane < PlanesOf(shape.type); ++plane) {
    planes[plane] = IsBits(shape.type, plane) ? bits.data() : at;
    at += IsBits(shape.type, plane) ? 0 : count;
  }
  shape.kernels->rest[shape.type](source, count, planes.data());
  if (shape.type == LosslessKernels::kF16) {
    shape.kernels->encode_level(kThreeBits, bits.data(), count, at);
  }
  return to + RestBytes(shape.type, count);
}

// The planes of those elements that are not zero.
unsigned char* WriteRestWithoutZeros(const LosslessShape& shape,
                                     const unsigned char* source,
                                     const unsigned char* exponents,
                                     size_t count, unsigned char* to) {
  std::array<Padded, LosslessKernels::kMostPlanes> memory;
  std::array<unsigned char*, LosslessKernels::kMostPlanes> planes{};
  for (size_t plane = 0; plane < planes.size(); ++plane) {
    planes[plane] = memory[plane].data();
  }
  shape.kernels->rest[shape.type](source, count, planes.data());
  for (size_t plane = 0; plane < PlanesOf(shape.type); ++plane) {
    const size_t kept = shape.kernels->compact(exponents, count, planes[plane]);
    if (IsBits(shape.type, plane)) {
      shape.kernels->encode_level(kThreeBits, planes[plane], kept, to);
      to += BitPlaneBytes(kept, kPlainMantissa);
    } else {
      to = Append(to, planes[plane], kept);
    }
  }
  return to;
}

// Zeros are left out where there are enough of them to pay for the work. An
// exponent of zero must then mean an element of zero.
bool LeavesZerosOut(const LosslessShape& shape, const unsigned char* source,
                    size_t count, size_t zero_exponents) {
  return zero_exponents > count / 16 &&
         shape.kernels->zeros[shape.type](source, count) == zero_exponents;
}

// ---- decoding --------------------------------------------------------------

// Bytes of a block, from the front.
class Input {
 public:
  Input(const unsigned char* at, const unsigned char* end)
      : at_(at), end_(end) {}

  // The next bytes; null if there are not so many.
  const unsigned char* Take(size_t size) {
    if (size > static_cast<size_t>(end_ - at_)) return nullptr;
    const unsigned char* const taken = at_;
    at_ += size;
    return taken;
  }
  const unsigned char* at() const { return at_; }

 private:
  const unsigned char* at_;
  const unsigned char* end_;
};

bool ReadLevel(Input& in, unsigned char head, LosslessLevel& level) {
  level = {};
  level.width = head & kWidthMask;
  level.last = (head & kLast) != 0;
  if (level.width < 1 || level.width > 4) return false;
  if ((head & ~(kWidthMask | kLast)) != 0) return false;
  level.symbol_count = (1U << level.width) - (level.last ? 0 : 1);
  const unsigned char* const symbols = in.Take(level.symbol_count);
  if (symbols == nullptr) return false;
  std::memcpy(level.symbols, symbols, level.symbol_count);
  return true;
}

bool ReadPlan(Input& in, LosslessPlan& plan) {
  while (true) {
    const unsigned char* const head = in.Take(1);
    if (head == nullptr) return false;
    if (*head == kBytesFollow) {
      plan.end = End::kBytes;
      return true;
    }
    if (*head == kSameFollows) {
      const unsigned char* const same = in.Take(1);
      plan.end = End::kSame;
      if (same != nullptr) plan.same = *same;
      return same != nullptr;
    }
    if (plan.level_count == LosslessPlan::kMostLevels) return false;
    LosslessLevel& level = plan.levels[plan.level_count++];
    if (!ReadLevel(in, *head, level)) return false;
    if (level.last) return true;
  }
}

// The symbols of a block, which come out in `one` or `other`; null if the bytes
// are not there.
const unsigned char* ReadSymbols(const LosslessKernels& kernels, Input& in,
                                 size_t count, Padded& one, Padded& other) {
  LosslessPlan plan;
  if (!ReadPlan(in, plan)) return nullptr;
  std::array<const unsigned char*, LosslessPlan::kMostLevels> planes{};
  std::array<size_t, LosslessPlan::kMostLevels> counts{};
  for (size_t i = 0; i < plan.level_count; ++i) {
    const LosslessLevel& level = plan.levels[i];
    counts[i] = count;
    planes[i] = in.Take(BitPlaneBytes(count, level.width));
    if (planes[i] == nullptr) return nullptr;
    count = level.last ? 0 : kernels.escapes(planes[i], level.width, count);
  }
  Padded* symbols = &one;
  Padded* next = &other;
  if (plan.end == End::kSame) std::memset(symbols->data(), plan.same, count);
  if (plan.end == End::kBytes) {
    const unsigned char* const bytes = in.Take(count);
    if (bytes == nullptr) return nullptr;
    std::memcpy(symbols->data(), bytes, count);
  }
  for (size_t i = plan.level_count; i > 0; --i) {
    kernels.decode_level(plan.levels[i - 1], planes[i - 1], counts[i - 1],
                         symbols->data(), next->data());
    std::swap(symbols, next);
  }
  return symbols->data();
}

// What is not in the exponents, plane by plane, and the elements of all.
class RestReader {
 public:
  RestReader(const LosslessShape& shape, const unsigned char* exponents,
             size_t count)
      : shape_(shape), exponents_(exponents), count_(count) {}

  bool Read(Input& in, bool without_zeros, unsigned char* target) {
    kept_ =
        without_zeros ? shape_.kernels->not_zero(exponents_, count_) : count_;
    std::array<const unsigned char*, LosslessKernels::kMostPlanes> planes{};
    for (size_t plane = 0; plane < PlanesOf(shape_.type); ++plane) {
      planes[plane] = IsBits(shape_.type, plane) ? Bits(in) : in.Take(kept_);
      if (planes[plane] == nullptr) return false;
      if (without_zeros) planes[plane] = Expanded(planes[plane], plane);
    }
    shape_.kernels->join[shape_.type](exponents_, planes.data(), count_,
                                      target);
    return true;
  }

 private:
  const unsigned char* Bits(Input& in) {
    const unsigned char* const bits =
        in.Take(BitPlaneBytes(kept_, kPlainMantissa));
    if (bits == nullptr) return nullptr;
    // No code is an escape: nothing deeper is read.
    shape_.kernels->decode_level(kThreeBits, bits, kept_, packed_.data(),
                                 bits_.data());
    return bits_.data();
  }

  const unsigned char* Expanded(const unsigned char* from, size_t plane) {
    std::memcpy(packed_.data(), from, kept_);
    shape_.kernels->expand(exponents_, count_, packed_.data(),
                           expanded_[plane].data());
    return expanded_[plane].data();
  }

  const LosslessShape& shape_;
  const unsigned char* exponents_;
  size_t count_;
  size_t kept_ = 0;
  Padded packed_;
  Padded bits_;
  std::array<Padded, LosslessKernels::kMostPlanes> expanded_;
};

}  // namespace

size_t EncodeLosslessBlock(const LosslessShape& shape,
                           const unsigned char* source, size_t count,
                           unsigned char* encoded) noexcept {
  Padded symbols;
  shape.kernels->exponents[shape.type](source, count, symbols.data());
  std::array<uint32_t, 256> counts;
  CountSymbols(symbols.data(), count, counts);
  const LosslessPlan plan = PlanLossless(counts);

  const size_t zeros = counts[0];
  const bool without_zeros = LeavesZerosOut(shape, source, count, zeros);
  const size_t size =
      1 + plan.bytes +
      RestBytes(shape.type, without_zeros ? count - zeros : count);
  if (size > count * shape.element) {
    *encoded = kRaw;
    std::memcpy(encoded + 1, source, count * shape.element);
    return 1 + count * shape.element;
  }
  unsigned char* to = encoded;
  *to++ = without_zeros ? kCodedWithoutZeros : kCoded;
  if (without_zeros) {
    Padded exponents;
    std::memcpy(exponents.data(), symbols.data(), count);
    to = WriteSymbols(*shape.kernels, plan, symbols.data(), count, to);
    to = WriteRestWithoutZeros(shape, source, exponents.data(), count, to);
  } else {
    to = WriteSymbols(*shape.kernels, plan, symbols.data(), count, to);
    to = WriteRest(shape, source, count, to);
  }
  return static_cast<size_t>(to - encoded);
}

const unsigned char* DecodeLosslessBlock(const LosslessShape& shape,
                                         const unsigned char* encoded,
                                         const unsigned char* end, size_t count,
                                         unsigned char* target) noexcept {
  Input in(encoded, end);
  const unsigned char* const kind = in.Take(1);
  if (kind == nullptr || *kind > kCodedWithoutZeros) return nullptr;
  if (*kind == kRaw) {
    const unsigned char* const elements = in.Take(count * shape.element);
    if (elements == nullptr) return nullptr;
    std::memcpy(target, elements, count * shape.element);
    return in.at();
  }
  Padded one;
  Padded other;
  const unsigned char* const exponents =
      ReadSymbols(*shape.kernels, in, count, one, other);
  if (exponents == nullptr) return nullptr;
  RestReader rest(shape, exponents, count);
  return rest.Read(in, *kind == kCodedWithoutZeros, target) ? in.at() : nullptr;
}

}  // namespace longhaul
