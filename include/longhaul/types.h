// The vocabulary of a collective: element types, reduction operators, ranks.
//
// Plain values; thread-compatible.
#pragma once

#include <cstddef>
#include <cstdint>

namespace longhaul {

/// Position of a member in its communicator, 0 .. size - 1.
using Rank = int32_t;

/// Element types. The values appear on the wire (docs/wire_format.md).
enum class DataType : uint8_t {
  kInt8 = 0,
  kUint8 = 1,
  kInt32 = 2,
  kUint32 = 3,
  kInt64 = 4,
  kUint64 = 5,
  kFloat16 = 6,   ///< IEEE 754 binary16
  kFloat32 = 7,   ///< IEEE 754 binary32
  kFloat64 = 8,   ///< IEEE 754 binary64
  kBfloat16 = 9,  ///< the upper half of a binary32
};
inline constexpr int kDataTypeCount = 10;

/// Reduction operators. The values appear on the wire.
///
/// Integer sums and products wrap. kAvg is the sum divided by the number of
/// ranks; for integers the quotient is truncated toward zero. kMin and kMax
/// return NaN if any contribution is NaN. float16 and bfloat16 sums, products
/// and averages accumulate in float32 and are rounded to nearest even.
enum class ReduceOp : uint8_t {
  kSum = 0,
  kProd = 1,
  kMax = 2,
  kMin = 3,
  kAvg = 4,
};
inline constexpr int kReduceOpCount = 5;

/// Size of one element, in bytes: 1, 2, 4 or 8.
constexpr size_t SizeOf(DataType type) {
  switch (type) {
    case DataType::kInt8:
    case DataType::kUint8:
      return 1;
    case DataType::kFloat16:
    case DataType::kBfloat16:
      return 2;
    case DataType::kInt32:
    case DataType::kUint32:
    case DataType::kFloat32:
      return 4;
    case DataType::kInt64:
    case DataType::kUint64:
    case DataType::kFloat64:
      return 8;
  }
  return 0;
}

/// "f32", "bf16", ...: the short name used in options, messages and tables.
constexpr const char* NameOf(DataType type) {
  switch (type) {
    case DataType::kInt8:
      return "i8";
    case DataType::kUint8:
      return "u8";
    case DataType::kInt32:
      return "i32";
    case DataType::kUint32:
      return "u32";
    case DataType::kInt64:
      return "i64";
    case DataType::kUint64:
      return "u64";
    case DataType::kFloat16:
      return "f16";
    case DataType::kFloat32:
      return "f32";
    case DataType::kFloat64:
      return "f64";
    case DataType::kBfloat16:
      return "bf16";
  }
  return "?";
}

/// "sum", "avg", ...
constexpr const char* NameOf(ReduceOp op) {
  switch (op) {
    case ReduceOp::kSum:
      return "sum";
    case ReduceOp::kProd:
      return "prod";
    case ReduceOp::kMax:
      return "max";
    case ReduceOp::kMin:
      return "min";
    case ReduceOp::kAvg:
      return "avg";
  }
  return "?";
}

}  // namespace longhaul
