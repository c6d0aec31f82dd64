#include "compute/reduce.h"

#include <cstring>
#include <type_traits>

#include "base/check.h"
#include "compute/dispatch.h"
#include "compute/float_mode.h"

namespace longhaul {
namespace {

static_assert(KernelSet::kTypes == kDataTypeCount);
static_assert(static_cast<int>(ReduceOp::kSum) == 0 &&
              static_cast<int>(ReduceOp::kProd) == 1 &&
              static_cast<int>(ReduceOp::kMax) == 2 &&
              static_cast<int>(ReduceOp::kMin) == 3);

// 64-bit arithmetic, because a divisor need not fit the type. No vector unit
// divides integers, so there is nothing to gain from a kernel per target.
template <typename T>
void Divide(void* target, size_t count, uint32_t divisor) {
  using Wide = std::conditional_t<std::is_signed_v<T>, int64_t, uint64_t>;
  auto* bytes = static_cast<unsigned char*>(target);
  for (size_t i = 0; i < count; ++i, bytes += sizeof(T)) {
    T value;
    std::memcpy(&value, bytes, sizeof value);
    value =
        static_cast<T>(static_cast<Wide>(value) / static_cast<Wide>(divisor));
    std::memcpy(bytes, &value, sizeof value);
  }
}

void DivideIntegers(DataType type, void* target, size_t count,
                    uint32_t divisor) {
  switch (type) {
    case DataType::kInt8:
      return Divide<int8_t>(target, count, divisor);
    case DataType::kUint8:
      return Divide<uint8_t>(target, count, divisor);
    case DataType::kInt32:
      return Divide<int32_t>(target, count, divisor);
    case DataType::kUint32:
      return Divide<uint32_t>(target, count, divisor);
    case DataType::kInt64:
      return Divide<int64_t>(target, count, divisor);
    case DataType::kUint64:
      return Divide<uint64_t>(target, count, divisor);
    case DataType::kFloat16:
    case DataType::kFloat32:
    case DataType::kFloat64:
    case DataType::kBfloat16:
      return;  // their kernels divide
  }
}

constexpr bool IsFloat(DataType type) {
  return type == DataType::kFloat16 || type == DataType::kFloat32 ||
         type == DataType::kFloat64 || type == DataType::kBfloat16;
}

}  // namespace

void ReduceWith(const KernelSet& kernels, const Reduction& reduction,
                void* target, std::span<const void* const> sources,
                size_t count) noexcept {
  const auto [type, op, divisor] = reduction;
  LH_DCHECK(!sources.empty());
  LH_DCHECK(divisor == 1 || (op == ReduceOp::kAvg && divisor > 1));
  if (count == 0) return;
  const size_t bytes = count * SizeOf(type);
  const bool divide = divisor != 1;
  if (sources.size() == 1 && !(divide && IsFloat(type))) {
    if (target != sources[0]) std::memcpy(target, sources[0], bytes);
  } else {
    const auto row = static_cast<size_t>(type);
    const auto column =
        static_cast<size_t>(op == ReduceOp::kAvg ? ReduceOp::kSum : op);
    const KernelSet::Reducer& reducer = kernels.by_type[row].by_op[column];
    const DefaultFloatMode mode;
    (sources.size() == 2 ? reducer.two : reducer.any)(
        target, sources.data(), sources.size(), bytes, divisor);
  }
  if (divide) DivideIntegers(type, target, count, divisor);
}

void Reduce(const Reduction& reduction, void* target,
            std::span<const void* const> sources, size_t count) noexcept {
  ReduceWith(BestKernels(), reduction, target, sources, count);
}

}  // namespace longhaul
