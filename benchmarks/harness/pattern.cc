#include "harness/pattern.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <concepts>
#include <cstring>
#include <limits>
#include <type_traits>

namespace longhaul::bench {
namespace {

// A well-mixed 32-bit number for an element of a rank in a round.
inline uint32_t Mix(uint32_t rank, uint64_t index, uint32_t round) {
  uint32_t h = static_cast<uint32_t>(index) * 0x9E3779B1U +
               static_cast<uint32_t>(index >> 32) * 0x85EBCA77U +
               rank * 0xC2B2AE3DU + round * 0x27D4EB2FU + 0x165667B1U;
  h ^= h >> 15;
  h *= 0x2C1B3C6DU;
  h ^= h >> 13;
  return h;
}

// [0, limit), without division.
inline uint32_t Below(uint32_t mixed, uint32_t limit) {
  return static_cast<uint32_t>((uint64_t{mixed} * limit) >> 32);
}

// Floating types, as the bits they are stored in. Only for values that are
// exact and normal in them.
struct Half {
  uint16_t bits;
  static Half From(double value) {
    const auto wide = std::bit_cast<uint64_t>(value);
    const auto sign = static_cast<uint16_t>((wide >> 48) & 0x8000);
    if (value == 0) return {sign};
    const auto exponent = static_cast<uint16_t>(((wide >> 52) & 0x7ff) - 1008);
    const auto fraction = static_cast<uint16_t>((wide >> 42) & 0x3ff);
    return {static_cast<uint16_t>(sign | (exponent << 10) | fraction)};
  }
};
struct Brain {
  uint16_t bits;
  static Brain From(double value) {
    const auto narrow = std::bit_cast<uint32_t>(static_cast<float>(value));
    return {static_cast<uint16_t>(narrow >> 16)};
  }
};

// What a type can hold exactly. `whole`: integers up to here; `steps`: factors
// of two a product may gather in either direction.
template <typename T>
struct Limits;
template <>
struct Limits<Half> {
  static constexpr int64_t kWhole = 2048;
  static constexpr int kSteps = 14;
};
template <>
struct Limits<Brain> {
  static constexpr int64_t kWhole = 256;
  static constexpr int kSteps = 120;
};
template <>
struct Limits<float> {
  static constexpr int64_t kWhole = int64_t{1} << 24;
  static constexpr int kSteps = 120;
};
template <>
struct Limits<double> {
  static constexpr int64_t kWhole = int64_t{1} << 40;
  static constexpr int kSteps = 1000;
};
template <std::integral T>
struct Limits<T> {
  static constexpr int64_t kWhole =
      sizeof(T) >= 4 ? int64_t{1} << 30
                     : static_cast<int64_t>(std::numeric_limits<T>::max());
};

template <typename T>
T Store(int64_t value) {
  if constexpr (std::is_arithmetic_v<T>) {
    return static_cast<T>(value);  // integers wrap, as the operators do
  } else {
    return T::From(static_cast<double>(value));
  }
}

template <typename T>
T StoreReal(double value) {
  if constexpr (std::is_floating_point_v<T>) {
    return static_cast<T>(value);
  } else {
    return T::From(value);
  }
}

// 1 .. limit for a rank that counts, 0 beyond.
struct Summands {
  uint32_t limit;
  int counting;

  explicit Summands(int64_t whole, int ranks)
      : limit(static_cast<uint32_t>(
            std::clamp<int64_t>(whole / ranks, 1, 1 << 20))),
        counting(static_cast<int>(std::min<int64_t>(ranks, whole))) {}

  int64_t operator()(int rank, uint64_t index, uint32_t round) const {
    if (rank >= counting) return 0;
    return 1 + Below(Mix(static_cast<uint32_t>(rank), index, round), limit);
  }
  int64_t Total(uint64_t index, uint32_t round) const {
    int64_t total = 0;
    for (int r = 0; r < counting; ++r) total += (*this)(r, index, round);
    return total;
  }
};

// Sums of a codec that loses bits stay within what f16 holds.
constexpr int64_t kWholeInCodes = Limits<Half>::kWhole;

template <typename T>
struct Sum {
  Summands summands;
  explicit Sum(int ranks, int64_t whole = Limits<T>::kWhole)
      : summands(whole, ranks) {}
  T Input(int rank, uint64_t index, uint32_t round) const {
    return Store<T>(summands(rank, index, round));
  }
  T Expected(uint64_t index, uint32_t round) const {
    return Store<T>(summands.Total(index, round));
  }
};

// Sums that divide: one rank, another for every element, takes the remainder
// off.
template <typename T>
struct Average {
  Summands summands;
  int ranks;
  explicit Average(int n, int64_t whole = Limits<T>::kWhole)
      : summands(whole, n), ranks(n) {}
  T Input(int rank, uint64_t index, uint32_t round) const {
    int64_t value = summands(rank, index, round);
    const auto adjusts =
        static_cast<int>(index % static_cast<uint64_t>(summands.counting));
    if (rank == adjusts) value -= summands.Total(index, round) % ranks;
    return Store<T>(value);
  }
  T Expected(uint64_t index, uint32_t round) const {
    return Store<T>(summands.Total(index, round) / ranks);
  }
};
// Unsigned inputs cannot go below zero: truncated quotients instead.
template <std::unsigned_integral T>
struct Average<T> {
  Summands summands;
  int ranks;
  explicit Average(int n) : summands(Limits<T>::kWhole, n), ranks(n) {}
  T Input(int rank, uint64_t index, uint32_t round) const {
    return Store<T>(summands(rank, index, round));
  }
  T Expected(uint64_t index, uint32_t round) const {
    return Store<T>(summands.Total(index, round) / ranks);
  }
};

// Odd factors, so that no bit is lost when the product wraps.
template <typename T>
struct Product {
  int ranks;
  explicit Product(int n) : ranks(n) {}
  static uint64_t Factor(int rank, uint64_t index, uint32_t round) {
    return Mix(static_cast<uint32_t>(rank), index, round) | 1;
  }
  T Input(int rank, uint64_t index, uint32_t round) const {
    return static_cast<T>(Factor(rank, index, round));
  }
  T Expected(uint64_t index, uint32_t round) const {
    uint64_t product = 1;
    for (int r = 0; r < ranks; ++r) product *= Factor(r, index, round);
    return static_cast<T>(product);
  }
};
// 1/2, 1 or 2 with a sign.
template <typename T>
requires(!std::is_integral_v<T>) struct Product<T> {
  int ranks;
  explicit Product(int n) : ranks(n) {}
  static double Factor(int rank, uint64_t index, uint32_t round) {
    const uint32_t mixed = Mix(static_cast<uint32_t>(rank), index, round);
    const double sign = (mixed & 1) != 0 ? -1.0 : 1.0;
    if (rank >= Limits<T>::kSteps) return sign;
    constexpr double kFactors[] = {0.5, 1.0, 2.0};
    return sign * kFactors[Below(mixed, 3)];
  }
  T Input(int rank, uint64_t index, uint32_t round) const {
    return StoreReal<T>(Factor(rank, index, round));
  }
  T Expected(uint64_t index, uint32_t round) const {
    double product = 1;
    for (int r = 0; r < ranks; ++r) product *= Factor(r, index, round);
    return StoreReal<T>(product);
  }
};

template <typename T, bool kLargest>
struct Extreme {
  int ranks;
  explicit Extreme(int n) : ranks(n) {}
  static constexpr bool kSigned = !std::is_unsigned_v<T>;
  static int64_t Value(int rank, uint64_t index, uint32_t round) {
    constexpr auto kSpan = static_cast<uint32_t>(
        std::min<int64_t>(Limits<T>::kWhole, int64_t{1} << 30));
    const uint32_t mixed = Mix(static_cast<uint32_t>(rank), index, round);
    const int64_t value = Below(mixed, kSpan);
    return kSigned && (mixed & 1) != 0 ? -value : value;
  }
  T Input(int rank, uint64_t index, uint32_t round) const {
    return Store<T>(Value(rank, index, round));
  }
  T Expected(uint64_t index, uint32_t round) const {
    int64_t best = Value(0, index, round);
    for (int r = 1; r < ranks; ++r) {
      const int64_t value = Value(r, index, round);
      best = kLargest ? std::max(best, value) : std::min(best, value);
    }
    return Store<T>(best);
  }
};

template <typename Values, typename T>
void FillWith(const Values& values, int rank, uint32_t round, T* data,
              size_t count) {
  for (size_t i = 0; i < count; ++i) data[i] = values.Input(rank, i, round);
}

template <typename Values, typename T>
size_t CountWith(const Values& values, uint32_t round, const T* data,
                 size_t count, size_t* first) {
  size_t wrong = 0;
  for (size_t i = 0; i < count; ++i) {
    const T expected = values.Expected(i, round);
    // Bit by bit: also the sign of a zero counts.
    // NOLINTNEXTLINE(bugprone-suspicious-memory-comparison)
    if (std::memcmp(&expected, &data[i], sizeof(T)) == 0) continue;
    if (wrong++ == 0 && first != nullptr) *first = i;
  }
  return wrong;
}

double ValueOf(float value) { return static_cast<double>(value); }
double ValueOf(Brain value) {
  return ValueOf(std::bit_cast<float>(uint32_t{value.bits} << 16));
}
double ValueOf(Half value) {
  const int exponent = (value.bits >> 10) & 31;
  const int fraction = value.bits & 1023;
  const double magnitude =
      exponent == 31 ? std::numeric_limits<double>::infinity()
      : exponent > 0 ? std::ldexp(1024 + fraction, exponent - 25)
                     : std::ldexp(fraction, -24);
  return (value.bits & 0x8000U) != 0 ? -magnitude : magnitude;
}

// Those that are not within `most` of what is expected; NaN is not.
template <typename Values, typename T>
size_t CountFar(const Values& values, uint32_t round, double most,
                const T* data, size_t count, size_t* first) {
  size_t wrong = 0;
  for (size_t i = 0; i < count; ++i) {
    const double off =
        std::abs(ValueOf(data[i]) - ValueOf(values.Expected(i, round)));
    if (off <= most) continue;
    if (wrong++ == 0 && first != nullptr) *first = i;
  }
  return wrong;
}

// Of what a codec takes.
template <typename Use>
auto WithCodes(DataType type, ReduceOp op, int ranks, Use use) {
  const auto with = [&](auto element) {
    using T = decltype(element);
    return op == ReduceOp::kAvg ? use(Average<T>(ranks, kWholeInCodes), T{})
                                : use(Sum<T>(ranks, kWholeInCodes), T{});
  };
  switch (type) {
    case DataType::kFloat16:
      return with(Half{});
    case DataType::kBfloat16:
      return with(Brain{});
    default:
      return with(float{});
  }
}

template <typename T, typename Use>
auto WithOp(ReduceOp op, int ranks, Use use) {
  switch (op) {
    case ReduceOp::kProd:
      return use(Product<T>(ranks), T{});
    case ReduceOp::kMax:
      return use(Extreme<T, true>(ranks), T{});
    case ReduceOp::kMin:
      return use(Extreme<T, false>(ranks), T{});
    case ReduceOp::kAvg:
      return use(Average<T>(ranks), T{});
    case ReduceOp::kSum:
      break;
  }
  return use(Sum<T>(ranks), T{});
}

template <typename Use>
auto With(DataType type, ReduceOp op, int ranks, Use use) {
  switch (type) {
    case DataType::kInt8:
      return WithOp<int8_t>(op, ranks, use);
    case DataType::kUint8:
      return WithOp<uint8_t>(op, ranks, use);
    case DataType::kInt32:
      return WithOp<int32_t>(op, ranks, use);
    case DataType::kUint32:
      return WithOp<uint32_t>(op, ranks, use);
    case DataType::kInt64:
      return WithOp<int64_t>(op, ranks, use);
    case DataType::kUint64:
      return WithOp<uint64_t>(op, ranks, use);
    case DataType::kFloat16:
      return WithOp<Half>(op, ranks, use);
    case DataType::kBfloat16:
      return WithOp<Brain>(op, ranks, use);
    case DataType::kFloat64:
      return WithOp<double>(op, ranks, use);
    case DataType::kFloat32:
      break;
  }
  return WithOp<float>(op, ranks, use);
}

}  // namespace

Pattern::Pattern(DataType type, ReduceOp op, int ranks, double tolerance)
    : type_(type), op_(op), ranks_(std::max(ranks, 1)), tolerance_(tolerance) {}

void Pattern::Fill(int rank, uint32_t round, void* data, size_t count) const {
  const auto fill = [&](const auto& values, auto element) {
    FillWith(values, rank, round, static_cast<decltype(element)*>(data), count);
  };
  if (tolerance_ > 0) {
    WithCodes(type_, op_, ranks_, fill);
  } else {
    With(type_, op_, ranks_, fill);
  }
}

size_t Pattern::CountWrong(uint32_t round, const void* data, size_t count,
                           size_t* first) const {
  if (tolerance_ > 0) {
    const double most = tolerance_ * static_cast<double>(kWholeInCodes);
    return WithCodes(type_, op_, ranks_, [&](const auto& values, auto element) {
      using T = decltype(element);
      return CountFar(values, round, most, static_cast<const T*>(data), count,
                      first);
    });
  }
  return With(type_, op_, ranks_, [&](const auto& values, auto element) {
    using T = decltype(element);
    return CountWith(values, round, static_cast<const T*>(data), count, first);
  });
}

}  // namespace longhaul::bench
