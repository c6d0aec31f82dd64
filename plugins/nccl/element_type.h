// NCCL's element types and operators in the core's terms.
//
// Pure functions; any thread.
#pragma once

#include <longhaul/types.h>

#include <optional>

#include "abi/common.h"

namespace longhaul::nccl {

/// nullopt for types the core does not have (8-bit floats).
constexpr std::optional<DataType> TypeOf(abi::TypeCode type) {
  switch (type) {
    case abi::TypeCode::kInt8:
      return DataType::kInt8;
    case abi::TypeCode::kUint8:
      return DataType::kUint8;
    case abi::TypeCode::kInt32:
      return DataType::kInt32;
    case abi::TypeCode::kUint32:
      return DataType::kUint32;
    case abi::TypeCode::kInt64:
      return DataType::kInt64;
    case abi::TypeCode::kUint64:
      return DataType::kUint64;
    case abi::TypeCode::kFloat16:
      return DataType::kFloat16;
    case abi::TypeCode::kFloat32:
      return DataType::kFloat32;
    case abi::TypeCode::kFloat64:
      return DataType::kFloat64;
    case abi::TypeCode::kBfloat16:
      return DataType::kBfloat16;
    case abi::TypeCode::kFloat8e4m3:
    case abi::TypeCode::kFloat8e5m2:
      break;
  }
  return std::nullopt;
}

/// nullopt for averages: NCCL divides itself and asks for sums.
constexpr std::optional<ReduceOp> OpOf(abi::OpCode op) {
  switch (op) {
    case abi::OpCode::kSum:
      return ReduceOp::kSum;
    case abi::OpCode::kProd:
      return ReduceOp::kProd;
    case abi::OpCode::kMax:
      return ReduceOp::kMax;
    case abi::OpCode::kMin:
      return ReduceOp::kMin;
    case abi::OpCode::kAvg:
      break;
  }
  return std::nullopt;
}

}  // namespace longhaul::nccl
