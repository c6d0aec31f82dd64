#include "kernel/func_row.h"

#include <nccl.h>

#include <unordered_map>

#include "kernel/block.h"
#include "kernel/nccl_abi.h"

namespace nccl_cpu {
namespace {

using nccl_abi::kNumOps;
using nccl_abi::kNumProtos;
using nccl_abi::kNumTypes;

// Rows are grouped by collective, in the order of these counts; within a group
// the protocol varies fastest.
constexpr int kAllGatherRows = 4 * kNumProtos;
constexpr int kBroadcastRows = kNumProtos;
constexpr int kAllReduceRows = kNumOps * kNumTypes * 6 * kNumProtos;
constexpr int kReduceRows = kNumOps * kNumTypes * kNumProtos;
constexpr int kReduceScatterRows = kNumOps * kNumTypes * 4 * kNumProtos;
constexpr int kNumFuncRows = 1 + kAllGatherRows + kBroadcastRows +
                             kAllReduceRows + kReduceRows + kReduceScatterRows;
static_assert(kNumFuncRows == 1996);

constexpr int kFourAlgos[] = {nccl_abi::kAlgoRing, nccl_abi::kAlgoCollNetDirect,
                              nccl_abi::kAlgoNvls, nccl_abi::kAlgoPat};

// Takes the fastest varying index, of `n` values, off `row`.
int Split(int& row, int n) {
  const int index = row % n;
  row /= n;
  return index;
}

// Is `row` one of the next group's `count`? If not, takes them off.
bool InGroup(int& row, int count) {
  if (row < count) return true;
  row -= count;
  return false;
}

}  // namespace

FuncRow DecodeFuncRow(int row) {
  using nccl_abi::kAlgoRing;
  using nccl_abi::kOpSum;
  if (InGroup(row, 1)) {
    return {nccl_abi::kFuncSendRecv, kOpSum, ncclInt8, kAlgoRing,
            nccl_abi::kProtoSimple};
  }
  if (InGroup(row, kAllGatherRows)) {
    const int proto = Split(row, kNumProtos);
    return {nccl_abi::kFuncAllGather, kOpSum, ncclInt8, kFourAlgos[row], proto};
  }
  if (InGroup(row, kBroadcastRows)) {
    return {nccl_abi::kFuncBroadcast, kOpSum, ncclInt8, kAlgoRing, row};
  }
  if (InGroup(row, kAllReduceRows)) {
    const int proto = Split(row, kNumProtos), algo = Split(row, 6),
              type = Split(row, kNumTypes);
    return {nccl_abi::kFuncAllReduce, row, type, algo, proto};
  }
  if (InGroup(row, kReduceRows)) {
    const int proto = Split(row, kNumProtos), type = Split(row, kNumTypes);
    return {nccl_abi::kFuncReduce, row, type, kAlgoRing, proto};
  }
  const int proto = Split(row, kNumProtos), algo = Split(row, 4),
            type = Split(row, kNumTypes);
  return {nccl_abi::kFuncReduceScatter, row, type, kFourAlgos[algo], proto};
}

FuncRow RowOfFunc(const int* row_to_id, int id) {
  static const std::unordered_map<int, int> by_id = [row_to_id] {
    std::unordered_map<int, int> map;
    for (int row = kNumFuncRows - 1; row >= 0; --row) {
      if (row_to_id[row] >= 0) map[row_to_id[row]] = row;
    }
    return map;
  }();
  const auto found = by_id.find(id);
  if (found == by_id.end())
    Unsupported("device function " + std::to_string(id));
  return DecodeFuncRow(found->second);
}

std::string ToString(const FuncRow& row) {
  return "collective " + std::to_string(row.func) + ", algorithm " +
         std::to_string(row.algo) + ", protocol " + std::to_string(row.proto) +
         ", operator " + std::to_string(row.op) + ", type " +
         std::to_string(row.type);
}

}  // namespace nccl_cpu
