// One collective at a time: sizes, operators, types, roots, in place and not.
#include <string>

#include "programs/buffer.h"
#include "programs/cases.h"

namespace nccl_cpu {
namespace {

std::vector<size_t> SizesUpTo(size_t max) {
  std::vector<size_t> sizes;
  for (size_t count : {1, 3, 64, 1000, 4096, 65537, 262144, 1000003, 4194304}) {
    if (count <= max) sizes.push_back(count);
  }
  return sizes;
}

size_t Ranks(const World& world) { return static_cast<size_t>(world.n_ranks); }
size_t Rank(const World& world) { return static_cast<size_t>(world.rank); }

// What `op` makes of all ranks' values at `index`, as T computes it.
template <typename T>
T Combined(const World& world, ncclRedOp_t op, size_t index) {
  if (op == ncclAvg) {
    const int64_t sum = SumOf(world, index);
    return std::is_integral_v<T>
               ? static_cast<T>(sum / world.n_ranks)
               : static_cast<T>(static_cast<double>(sum) / world.n_ranks);
  }
  T result = Value<T>(0, index);
  for (int rank = 1; rank < world.n_ranks; ++rank) {
    const T value = Value<T>(rank, index);
    if (op == ncclSum) result = static_cast<T>(result + value);
    if (op == ncclProd) result = static_cast<T>(result * value);
    if (op == ncclMax) result = std::max(result, value);
    if (op == ncclMin) result = std::min(result, value);
  }
  return result;
}

template <typename T>
void AllReduce(const World& world, size_t count, ncclRedOp_t op,
               bool in_place) {
  Buffer<T> in(world, count), out(world, count);
  in.FillWithValues();
  out.Poison();
  Buffer<T>& result = in_place ? in : out;
  MUST(ncclAllReduce(in.data(), result.data(), count, TypeOf<T>(), op,
                     world.comm, world.stream));
  // An average of floats is of inputs that NCCL has scaled, and rounded, one by
  // one.
  const bool rounded = op == ncclAvg && !std::is_integral_v<T>;
  result.Expect(
      "allreduce", [&](size_t i) { return Combined<T>(world, op, i); },
      rounded ? 1e-5 : 0);
}

void PreMultipliedSum(const World& world) {
  constexpr size_t kCount = 1000;
  Buffer<float> scale(world, 1), in(world, kCount), out(world, kCount);
  scale.Fill([](size_t) { return 2.0F; });
  MUST(cudaStreamSynchronize(world.stream));
  ncclRedOp_t op{};
  MUST(ncclRedOpCreatePreMulSum(&op, scale.data(), ncclFloat32,
                                ncclScalarDevice, world.comm));
  in.FillWithValues();
  MUST(ncclAllReduce(in.data(), out.data(), kCount, ncclFloat32, op, world.comm,
                     world.stream));
  out.Expect("pre-multiplied sum",
             [&](size_t i) { return 2 * Combined<float>(world, ncclSum, i); });
  MUST(ncclRedOpDestroy(op, world.comm));
}

// A small float's bit patterns: 1.0, and the sums of so many of them.
struct SmallFloat {
  ncclDataType_t type;
  size_t size;  // bytes
  uint16_t sums[5];
};
constexpr SmallFloat kSmallFloats[] = {
    {ncclFloat16, 2, {0, 0x3c00, 0x4000, 0x4200, 0x4400}},
    {ncclBfloat16, 2, {0, 0x3f80, 0x4000, 0x4040, 0x4080}},
    {ncclFloat8e4m3, 1, {0, 0x38, 0x40, 0x44, 0x48}},
    {ncclFloat8e5m2, 1, {0, 0x3c, 0x40, 0x42, 0x44}},
};

}  // namespace

void AllReduceCase(const World& world, size_t max_count) {
  for (size_t count : SizesUpTo(max_count)) {
    for (bool in_place : {false, true}) {
      AllReduce<float>(world, count, ncclSum, in_place);
    }
  }
}

void OperatorsCase(const World& world, size_t max_count) {
  const size_t count = std::min<size_t>(max_count, 50'000);
  for (ncclRedOp_t op : {ncclSum, ncclProd, ncclMin, ncclMax, ncclAvg}) {
    AllReduce<float>(world, count, op, false);
    AllReduce<double>(world, count, op, false);
    AllReduce<int8_t>(world, count, op, false);
    AllReduce<uint8_t>(world, count, op, false);
    AllReduce<int32_t>(world, count, op, false);
    AllReduce<uint32_t>(world, count, op, false);
    AllReduce<int64_t>(world, count, op, false);
    AllReduce<uint64_t>(world, count, op, false);
  }
  PreMultipliedSum(world);
}

// Floats of 16 and 8 bits: every rank contributes ones.
void TypesCase(const World& world, size_t max_count) {
  if (world.n_ranks > 4) return;  // sums are written down for so many
  const size_t count = std::min<size_t>(max_count, 5003);
  for (const SmallFloat& type : kSmallFloats) {
    const auto byte_of = [&type](uint16_t bits, size_t index) {
      return static_cast<uint8_t>(index % type.size == 1 ? bits >> 8 : bits);
    };
    Buffer<uint8_t> in(world, count * type.size);
    Buffer<uint8_t> out(world, count * type.size);
    in.Fill([&](size_t i) { return byte_of(type.sums[1], i); });
    MUST(ncclAllReduce(in.data(), out.data(), count, type.type, ncclSum,
                       world.comm, world.stream));
    out.Expect("small floats",
               [&](size_t i) { return byte_of(type.sums[world.n_ranks], i); });
  }
}

void AllGatherCase(const World& world, size_t max_count) {
  for (size_t count : SizesUpTo(max_count / Ranks(world))) {
    Buffer<float> in(world, count), out(world, count * Ranks(world));
    const auto gathered = [count](size_t i) {
      return Value<float>(static_cast<int>(i / count), i % count);
    };
    in.FillWithValues();
    out.Poison();
    MUST(ncclAllGather(in.data(), out.data(), count, ncclFloat32, world.comm,
                       world.stream));
    out.Expect("allgather", gathered);
    out.Poison();
    float* mine = out.data() + Rank(world) * count;
    MUST(cudaMemcpyAsync(mine, in.data(), count * sizeof(float),
                         cudaMemcpyDeviceToDevice, world.stream));
    MUST(ncclAllGather(mine, out.data(), count, ncclFloat32, world.comm,
                       world.stream));
    out.Expect("allgather in place", gathered);
  }
}

void ReduceScatterCase(const World& world, size_t max_count) {
  for (size_t count : SizesUpTo(max_count / Ranks(world))) {
    Buffer<float> in(world, count * Ranks(world)), out(world, count);
    in.FillWithValues();
    out.Poison();
    MUST(ncclReduceScatter(in.data(), out.data(), count, ncclFloat32, ncclSum,
                           world.comm, world.stream));
    out.Expect("reducescatter", [&](size_t i) {
      return Combined<float>(world, ncclSum, i + Rank(world) * count);
    });
  }
}

void BroadcastCase(const World& world, size_t max_count) {
  for (size_t count : SizesUpTo(max_count)) {
    for (int root = 0; root < world.n_ranks; ++root) {
      Buffer<float> in(world, count), out(world, count);
      in.FillWithValues();
      out.Poison();
      MUST(ncclBroadcast(in.data(), out.data(), count, ncclFloat32, root,
                         world.comm, world.stream));
      out.Expect("broadcast",
                 [root](size_t i) { return Value<float>(root, i); });
    }
  }
}

void ReduceCase(const World& world, size_t max_count) {
  constexpr int32_t kUntouched = 0x5a5a5a5a;
  static_assert(Buffer<int32_t>::kPoison == 0x5a);
  for (size_t count : SizesUpTo(max_count)) {
    for (int root = 0; root < world.n_ranks; ++root) {
      Buffer<int32_t> in(world, count), out(world, count);
      in.FillWithValues();
      out.Poison();
      MUST(ncclReduce(in.data(), out.data(), count, ncclInt32, ncclSum, root,
                      world.comm, world.stream));
      out.Expect("reduce", [&](size_t i) {
        return world.rank == root ? Combined<int32_t>(world, ncclSum, i)
                                  : kUntouched;
      });
    }
  }
}

void SendRecvCase(const World& world, size_t max_count) {
  for (size_t count : SizesUpTo(max_count)) {
    Buffer<float> in(world, count), out(world, count);
    in.FillWithValues();
    out.Poison();
    MUST(ncclGroupStart());
    MUST(ncclSend(in.data(), count, ncclFloat32, world.Next(), world.comm,
                  world.stream));
    MUST(ncclRecv(out.data(), count, ncclFloat32, world.Previous(), world.comm,
                  world.stream));
    MUST(ncclGroupEnd());
    out.Expect("sendrecv",
               [&](size_t i) { return Value<float>(world.Previous(), i); });
  }
  // One way, without a group.
  constexpr size_t kCount = 5000;
  Buffer<float> buffer(world, kCount);
  if (world.n_ranks > 1 && world.rank == 0) {
    buffer.FillWithValues();
    MUST(ncclSend(buffer.data(), kCount, ncclFloat32, world.n_ranks - 1,
                  world.comm, world.stream));
  } else if (world.n_ranks > 1 && world.rank == world.n_ranks - 1) {
    MUST(ncclRecv(buffer.data(), kCount, ncclFloat32, 0, world.comm,
                  world.stream));
    buffer.Expect("one-way send", [](size_t i) { return Value<float>(0, i); });
  }
  MUST(cudaStreamSynchronize(world.stream));
}

void AllToAllCase(const World& world, size_t max_count) {
  for (size_t count : SizesUpTo(max_count / Ranks(world))) {
    Buffer<float> in(world, count * Ranks(world));
    Buffer<float> out(world, count * Ranks(world));
    in.FillWithValues();
    out.Poison();
    MUST(ncclAlltoAll(in.data(), out.data(), count, ncclFloat32, world.comm,
                      world.stream));
    out.Expect("alltoall", [&](size_t i) {
      return Value<float>(static_cast<int>(i / count),
                          Rank(world) * count + i % count);
    });
  }
}

}  // namespace nccl_cpu
