// Element-wise reduction in the operators and types that NCCL's kernels know.
//
// Pure functions; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace nccl_cpu {

/// Bytes of one element of an ncclDataType_t.
size_t TypeSize(int type);

struct Reduction {
  int op = 0;        ///< nccl_abi::kOp*
  int type = 0;      ///< ncclDataType_t
  uint64_t arg = 0;  ///< the operator's argument, in NCCL's encoding
};

/// The steps of an operator before and after the combining.
struct Steps {
  bool pre = false;   ///< PreMulSum: scale the first source
  bool post = false;  ///< SumPostDiv: divide
};

/// Every target[i] = post(pre(source 0[i]) op source 1[i] op ...). Sources and
/// targets may be the same memory but must not overlap otherwise. Ends the
/// process on an unknown type.
void ReduceCopy(const Reduction& reduction, Steps steps,
                std::span<char* const> sources, std::span<char* const> targets,
                size_t count);

/// An operator's argument in device memory, as ncclRedOpCreatePreMulSum with
/// ncclScalarDevice leaves it.
uint64_t LoadReductionArg(int op, int type, const void* from);

}  // namespace nccl_cpu
