// Device memory with a pattern: what a rank puts in, and what has to come out,
// element by element.
//
// As World: one thread.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <type_traits>
#include <vector>

#include "programs/world.h"

namespace nccl_cpu {

template <typename T>
constexpr ncclDataType_t TypeOf() {
  if constexpr (std::is_same_v<T, float>) return ncclFloat32;
  if constexpr (std::is_same_v<T, double>) return ncclFloat64;
  if constexpr (std::is_same_v<T, __half>) return ncclFloat16;
  if constexpr (std::is_same_v<T, __nv_bfloat16>) return ncclBfloat16;
  if constexpr (std::is_same_v<T, int8_t>) return ncclInt8;
  if constexpr (std::is_same_v<T, uint8_t>) return ncclUint8;
  if constexpr (std::is_same_v<T, int32_t>) return ncclInt32;
  if constexpr (std::is_same_v<T, uint32_t>) return ncclUint32;
  if constexpr (std::is_same_v<T, int64_t>) return ncclInt64;
  if constexpr (std::is_same_v<T, uint64_t>) return ncclUint64;
}

/// Is it computed in floats of 16 bits?
template <typename T>
constexpr bool kIsShortFloat =
    std::is_same_v<T, __half> || std::is_same_v<T, __nv_bfloat16>;

template <typename T>
double ToDouble(T value) {
  if constexpr (kIsShortFloat<T>) {
    return double{static_cast<float>(value)};
  } else {
    return static_cast<double>(value);
  }
}
template <typename T>
T FromInteger(int64_t value) {
  if constexpr (kIsShortFloat<T>) {
    return T(static_cast<float>(value));
  } else {
    return static_cast<T>(value);
  }
}

constexpr int64_t kLargestValue = 11;
/// Small integers from 1 on, different for each rank and index: sums are exact
/// in every type.
constexpr int64_t ValueOf(int rank, size_t index) {
  const size_t mixed =
      index * 7 + static_cast<size_t>(rank) * 13 + (index >> 10);
  return static_cast<int64_t>(mixed % size_t{kLargestValue}) + 1;
}
template <typename T>
T Value(int rank, size_t index) {
  return FromInteger<T>(ValueOf(rank, index));
}

/// What all ranks' values at `index` sum up to.
inline int64_t SumOf(const World& world, size_t index) {
  int64_t sum = 0;
  for (int rank = 0; rank < world.n_ranks; ++rank) sum += ValueOf(rank, index);
  return sum;
}

template <typename T>
class Buffer {
 public:
  Buffer(const World& world, size_t count) : world_(world), host_(count) {
    void* data = nullptr;
    Check(world, cudaMalloc(&data, count * sizeof(T)), "cudaMalloc");
    data_ = static_cast<T*>(data);
  }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  ~Buffer() { Check(world_, cudaFree(data_), "cudaFree"); }

  T* data() const { return data_; }

  /// Element i becomes of(i).
  template <typename Of>
  void Fill(Of of) {
    for (size_t i = 0; i < host_.size(); ++i) host_[i] = of(i);
    Copy(data_, host_.data(), cudaMemcpyHostToDevice);
  }
  /// Element i becomes this rank's value.
  void FillWithValues() {
    Fill([this](size_t i) { return Value<T>(world_.rank, i); });
  }
  /// Nothing that a result could be.
  void Poison() {
    Check(world_,
          cudaMemsetAsync(data_, kPoison, host_.size() * sizeof(T),
                          world_.stream),
          "cudaMemsetAsync");
  }
  static constexpr int kPoison = 0x5a;

  /// Dies unless every element i is of(i), give or take `tolerance`.
  template <typename Of>
  void Expect(const std::string& what, Of of, double tolerance = 0) {
    Copy(host_.data(), data_, cudaMemcpyDeviceToHost);
    Check(world_, cudaStreamSynchronize(world_.stream), what.c_str());
    for (size_t i = 0; i < host_.size(); ++i) {
      const double got = ToDouble(host_[i]), wanted = ToDouble(of(i));
      if (std::abs(got - wanted) <= tolerance) continue;
      Die(world_, what,
          "element " + std::to_string(i) + " of " +
              std::to_string(host_.size()) + " is " + std::to_string(got) +
              ", not " + std::to_string(wanted));
    }
  }

 private:
  void Copy(T* to, const T* from, cudaMemcpyKind kind) {
    Check(world_,
          cudaMemcpyAsync(to, from, host_.size() * sizeof(T), kind,
                          world_.stream),
          "cudaMemcpyAsync");
  }

  const World& world_;
  std::vector<T> host_;
  T* data_ = nullptr;
};

}  // namespace nccl_cpu
