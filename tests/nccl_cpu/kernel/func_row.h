// Which (collective, operator, type, algorithm, protocol) a device function of
// NCCL implements. libnccl numbers the combinations ("rows") in a fixed order
// and maps each row to a function id in its table ncclDevFuncRowToId.
//
// Pure functions; any thread.
#pragma once

#include <string>

namespace nccl_cpu {

struct FuncRow {
  int func, op, type, algo, proto;  ///< nccl_abi's constants; ncclDataType_t
};

/// `row` counts from 0 to kNumFuncRows - 1.
FuncRow DecodeFuncRow(int row);

/// The row of the function `id`; ends the process if there is none. `row_to_id`
/// is libnccl's table, the same at every call. Several rows may share a
/// function (sums of int32 and of uint32): they compute the same bits, any of
/// them is returned.
FuncRow RowOfFunc(const int* row_to_id, int id);

/// For messages.
std::string ToString(const FuncRow& row);

}  // namespace nccl_cpu
