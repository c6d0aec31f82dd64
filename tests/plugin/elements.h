// Vectors of NCCL's element types with values whose reductions are exact in any
// order, and what they reduce to, computed here element by element.
//
// Pure functions.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "abi/common.h"
#include "compute/convert.h"

namespace longhaul::nccl {

inline constexpr int kReducibleTypes = 10;  // up to bf16
inline constexpr int kReductions = 4;       // sum, prod, max, min

inline size_t SizeOf(abi::TypeCode type) {
  constexpr size_t kSizes[] = {1, 1, 4, 4, 8, 8, 2, 4, 8, 2};
  return kSizes[static_cast<int>(type)];
}

inline const char* NameOf(abi::TypeCode type) {
  constexpr const char* kNames[] = {"i8",  "u8",  "i32", "u32", "i64",
                                    "u64", "f16", "f32", "f64", "bf16"};
  return kNames[static_cast<int>(type)];
}

inline const char* NameOf(abi::OpCode op) {
  constexpr const char* kNames[] = {"sum", "prod", "max", "min"};
  return kNames[static_cast<int>(op)];
}

/// Rank `rank`'s contribution to element `index` of call `call`: a small
/// integer, for products 1, 2 or -1 (so that no type rounds).
inline int64_t ValueAt(abi::OpCode op, uint64_t call, int rank, size_t index) {
  const uint64_t mixed =
      (call * 1'000'003 + static_cast<uint64_t>(rank) * 7'919 + index * 31) *
      0x9e3779b97f4a7c15;
  const auto draw = static_cast<int64_t>(mixed >> 40);
  if (op != abi::OpCode::kProd) return draw % 15 - 7;
  // One rank in each element doubles at most, so that u8 and f16 hold it.
  constexpr int64_t kFactors[] = {1, 1, 2, -1};
  return kFactors[draw % 4];
}

inline int64_t ReducedAt(abi::OpCode op, uint64_t call, int ranks,
                         size_t index) {
  int64_t result = ValueAt(op, call, 0, index);
  for (int rank = 1; rank < ranks; ++rank) {
    const int64_t value = ValueAt(op, call, rank, index);
    switch (op) {
      case abi::OpCode::kSum:
        result += value;
        break;
      case abi::OpCode::kProd:
        result *= value;
        break;
      case abi::OpCode::kMax:
        result = std::max(result, value);
        break;
      case abi::OpCode::kMin:
        result = std::min(result, value);
        break;
      default:
        return 0;
    }
  }
  return result;
}

/// Writes an integer as one element.
inline void Put(abi::TypeCode type, int64_t value, std::byte* to) {
  const auto put = [to](auto element) {
    std::memcpy(to, &element, sizeof element);
  };
  switch (type) {
    case abi::TypeCode::kFloat16:
      return put(F16FromF32(static_cast<float>(value)));
    case abi::TypeCode::kBfloat16:
      return put(Bf16FromF32(static_cast<float>(value)));
    case abi::TypeCode::kFloat32:
      return put(static_cast<float>(value));
    case abi::TypeCode::kFloat64:
      return put(static_cast<double>(value));
    default:  // integers wrap: the low bytes
      std::memcpy(to, &value, SizeOf(type));
  }
}

/// Values for unsigned types are kept from being negative where that would
/// change what is larger.
inline int64_t Shifted(abi::TypeCode type, abi::OpCode op, int64_t value) {
  const bool is_unsigned = type == abi::TypeCode::kUint8 ||
                           type == abi::TypeCode::kUint32 ||
                           type == abi::TypeCode::kUint64;
  const bool compares = op == abi::OpCode::kMax || op == abi::OpCode::kMin;
  return is_unsigned && compares ? value + 7 : value;
}

inline std::vector<std::byte> Contribution(abi::TypeCode type, abi::OpCode op,
                                           uint64_t call, int rank,
                                           size_t count) {
  std::vector<std::byte> bytes(count * SizeOf(type));
  for (size_t i = 0; i < count; ++i) {
    Put(type, Shifted(type, op, ValueAt(op, call, rank, i)),
        bytes.data() + i * SizeOf(type));
  }
  return bytes;
}

inline std::vector<std::byte> Reduced(abi::TypeCode type, abi::OpCode op,
                                      uint64_t call, int ranks, size_t count) {
  std::vector<std::byte> bytes(count * SizeOf(type));
  for (size_t i = 0; i < count; ++i) {
    Put(type, Shifted(type, op, ReducedAt(op, call, ranks, i)),
        bytes.data() + i * SizeOf(type));
  }
  return bytes;
}

}  // namespace longhaul::nccl
