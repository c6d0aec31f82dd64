// What reductions and conversions should give, by other means than the code
// under test: 16-bit floats through exact double arithmetic, extremes by
// comparison, one element at a time.
#pragma once

#include <longhaul/types.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>
#include <vector>

namespace longhaul::test {

/// A 16-bit format: bits of exponent and of mantissa.
struct Format {
  int exponent_bits;
  int mantissa_bits;

  int Bias() const { return (1 << (exponent_bits - 1)) - 1; }
  uint32_t Infinity() const {
    return 0x7fffU >> mantissa_bits << mantissa_bits;
  }
  uint32_t QuietBit() const { return 1U << (mantissa_bits - 1); }
};
inline constexpr Format kF16{5, 10};
inline constexpr Format kBf16{8, 7};

/// The number a 16-bit pattern stands for; exact. Any NaN is just a NaN.
inline double ValueOf(Format format, uint16_t bits) {
  const uint32_t magnitude = bits & 0x7fffU;
  const double sign = (bits & 0x8000U) != 0 ? -1 : 1;
  if (magnitude > format.Infinity()) return std::nan("");
  if (magnitude == format.Infinity()) {
    return sign * std::numeric_limits<double>::infinity();
  }
  const auto exponent = static_cast<int>(magnitude >> format.mantissa_bits);
  auto mantissa =
      static_cast<double>(magnitude & ((1U << format.mantissa_bits) - 1));
  if (exponent > 0) mantissa += 1U << format.mantissa_bits;
  return sign * std::ldexp(mantissa, (exponent > 0 ? exponent : 1) -
                                         format.Bias() - format.mantissa_bits);
}

/// The pattern nearest to a number, ties to even; a NaN becomes canonical.
inline uint16_t NearestTo(Format format, double value) {
  if (std::isnan(value)) {
    return static_cast<uint16_t>(format.Infinity() | format.QuietBit());
  }
  const uint32_t sign = std::signbit(value) ? 0x8000U : 0;
  value = std::fabs(value);
  if (std::isinf(value)) return static_cast<uint16_t>(sign | format.Infinity());
  const int least = 1 - format.Bias();
  const int exponent = value == 0 ? least : std::max(std::ilogb(value), least);
  // In units of the last place; nearbyint rounds to nearest even.
  auto units = static_cast<uint32_t>(
      std::nearbyint(std::ldexp(value, format.mantissa_bits - exponent)));
  // A carry out of the mantissa moves into the exponent, as it should.
  units += static_cast<uint32_t>(exponent - least) << format.mantissa_bits;
  return static_cast<uint16_t>(sign | std::min(units, format.Infinity()));
}

template <typename T>
T ReduceIntegers(ReduceOp op, uint32_t divisor, const std::vector<T>& values) {
  // In 64 bits unsigned, so that nothing overflows.
  auto total = static_cast<uint64_t>(values[0]);
  T extreme = values[0];
  for (size_t i = 1; i < values.size(); ++i) {
    const auto value = static_cast<uint64_t>(values[i]);
    total = op == ReduceOp::kProd ? total * value : total + value;
    extreme = op == ReduceOp::kMax ? std::max(extreme, values[i])
                                   : std::min(extreme, values[i]);
  }
  if (op == ReduceOp::kMax || op == ReduceOp::kMin) return extreme;
  const auto wrapped = static_cast<T>(total);
  if constexpr (std::is_signed_v<T>) {
    return static_cast<T>(int64_t{wrapped} / int64_t{divisor});
  } else {
    return static_cast<T>(uint64_t{wrapped} / uint64_t{divisor});
  }
}

/// T is float or double, the type that accumulates. A NaN is just a NaN.
template <typename T>
T ReduceFloats(ReduceOp op, uint32_t divisor, const std::vector<T>& values) {
  T result = values[0];
  for (size_t i = 1; i < values.size(); ++i) {
    const T value = values[i];
    if (op == ReduceOp::kProd) {
      result *= value;
    } else if (op == ReduceOp::kSum || op == ReduceOp::kAvg) {
      result += value;
    } else if (std::isnan(value) || std::isnan(result)) {
      result = std::numeric_limits<T>::quiet_NaN();
    } else {
      const bool less =
          value < result ||
          (value == result && std::signbit(value) && !std::signbit(result));
      if (less == (op == ReduceOp::kMin)) result = value;
    }
  }
  if (op == ReduceOp::kAvg) result /= static_cast<T>(divisor);
  return std::isnan(result) ? std::numeric_limits<T>::quiet_NaN() : result;
}

/// Element `i` of sources of bytes, reduced into the bytes at `out`.
class Reference {
 public:
  Reference(ReduceOp op, uint32_t divisor,
            const std::vector<const unsigned char*>& sources)
      : op_(op), divisor_(divisor), sources_(sources) {}

  void Element(DataType type, size_t i, unsigned char* out) const {
    if (sources_.size() == 1 && divisor_ == 1) {
      std::memcpy(out, sources_[0] + i * SizeOf(type), SizeOf(type));
      return;
    }
    switch (type) {
      case DataType::kInt8:
        return Put(out, ReduceIntegers(op_, divisor_, Get<int8_t>(i)));
      case DataType::kUint8:
        return Put(out, ReduceIntegers(op_, divisor_, Get<uint8_t>(i)));
      case DataType::kInt32:
        return Put(out, ReduceIntegers(op_, divisor_, Get<int32_t>(i)));
      case DataType::kUint32:
        return Put(out, ReduceIntegers(op_, divisor_, Get<uint32_t>(i)));
      case DataType::kInt64:
        return Put(out, ReduceIntegers(op_, divisor_, Get<int64_t>(i)));
      case DataType::kUint64:
        return Put(out, ReduceIntegers(op_, divisor_, Get<uint64_t>(i)));
      case DataType::kFloat32:
        return Put(out, ReduceFloats(op_, divisor_, Get<float>(i)));
      case DataType::kFloat64:
        return Put(out, ReduceFloats(op_, divisor_, Get<double>(i)));
      case DataType::kFloat16:
        return Put(out, ReduceHalves(kF16, i));
      case DataType::kBfloat16:
        return Put(out, ReduceHalves(kBf16, i));
    }
  }

 private:
  template <typename T>
  std::vector<T> Get(size_t i) const {
    std::vector<T> values(sources_.size());
    for (size_t s = 0; s < sources_.size(); ++s) {
      std::memcpy(&values[s], sources_[s] + i * sizeof(T), sizeof(T));
    }
    return values;
  }

  template <typename T>
  static void Put(unsigned char* out, T value) {
    std::memcpy(out, &value, sizeof value);
  }

  uint16_t ReduceHalves(Format format, size_t i) const {
    std::vector<float> values;
    for (const uint16_t bits : Get<uint16_t>(i)) {
      values.push_back(static_cast<float>(ValueOf(format, bits)));
    }
    return NearestTo(format, ReduceFloats(op_, divisor_, values));
  }

  ReduceOp op_;
  uint32_t divisor_;
  const std::vector<const unsigned char*>& sources_;
};

}  // namespace longhaul::test
