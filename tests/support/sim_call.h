// One collective on every rank of a simulated job, on inputs that tell ranks
// and places apart, and whose result is exact in every type, in whatever order
// it is computed.
//
// One thread.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

#include "collective/block_call.h"
#include "compute/reduce.h"
#include "support/sim_job.h"

namespace longhaul {

struct CallSpec {
  Collective collective = Collective::kAllReduce;
  uint64_t count =
      0;  ///< elements; of all-gather and reduce-scatter, a block's
  DataType type = DataType::kInt64;
  ReduceOp op = ReduceOp::kSum;
  bool in_place = false;
  uint64_t salt = 0;  ///< other numbers for another salt
};

class SimCall {
 public:
  using Bytes = std::vector<uint8_t>;

  SimCall(SimJob& job, const CallSpec& spec)
      : job_(job), spec_(spec), operations_(Ranks(), nullptr) {
    for (size_t r = 0; r < Ranks(); ++r) {
      inputs_.push_back(Input(r));
      outputs_.emplace_back(spec_.in_place ? 0 : OutputSize(), kUnwritten);
      if (!spec_.in_place || !Gathers()) continue;
      Bytes whole(OutputSize(), kUnwritten);
      std::copy(inputs_[r].begin(), inputs_[r].end(),
                whole.begin() + Offset(r * spec_.count));
      inputs_[r] = std::move(whole);
    }
  }
  ~SimCall() {
    for (Operation* operation : operations_) {
      if (operation != nullptr) operation->Release();
    }
  }
  SimCall(const SimCall&) = delete;
  SimCall& operator=(const SimCall&) = delete;

  void Start() {
    for (Rank r = 0; r < job_.size(); ++r) StartOn(r);
  }
  void StartOn(Rank rank) {
    operations_[static_cast<size_t>(rank)] = job_.Start(rank, CallOf(rank));
  }

  bool Done() const {
    return std::all_of(operations_.begin(), operations_.end(),
                       [](const Operation* o) { return o && o->Done(); });
  }
  /// Once it is done there.
  const Status& status(Rank rank) const {
    return operations_[static_cast<size_t>(rank)]->status();
  }

  /// Ranks that report success, and whose output is not what it should be to
  /// the bit or whose input has changed.
  size_t Wrong() const {
    const Bytes vector = Vector();
    size_t wrong = 0;
    for (size_t r = 0; r < Ranks(); ++r) {
      if (!status(static_cast<Rank>(r)).ok()) continue;
      const bool changed = !spec_.in_place && inputs_[r] != Input(r);
      wrong += changed || !IsRight(r, vector);
    }
    return wrong;
  }

 private:
  static constexpr uint8_t kUnwritten = 0xee;
  /// Numbers repeat after so many, another period than ranks and blocks have.
  static constexpr uint64_t kPeriod = 11;

  size_t Ranks() const { return static_cast<size_t>(job_.size()); }
  size_t Size() const { return SizeOf(spec_.type); }
  std::ptrdiff_t Offset(uint64_t elements) const {
    return static_cast<std::ptrdiff_t>(elements * Size());
  }
  bool Gathers() const { return spec_.collective == Collective::kAllGather; }
  bool Scatters() const {
    return spec_.collective == Collective::kReduceScatter;
  }
  uint64_t VectorCount() const {
    return spec_.count * (Gathers() || Scatters() ? Ranks() : 1);
  }
  size_t OutputSize() const {
    return (Gathers() ? VectorCount() : spec_.count) * Size();
  }

  OperationCall CallOf(Rank rank) {
    const auto r = static_cast<size_t>(rank);
    Bytes& input = inputs_[r];
    uint8_t* out = spec_.in_place ? input.data() : outputs_[r].data();
    if (!Gathers() && !Scatters()) {
      return {spec_.collective, spec_.type, spec_.op,
              input.data(),     out,        spec_.count};
    }
    const uint8_t* in = input.data();
    const std::ptrdiff_t own = Offset(r * spec_.count);
    BlockArguments arguments;
    arguments.input = spec_.in_place && Gathers() ? in + own : in;
    arguments.output = spec_.in_place && Scatters() ? out + own : out;
    arguments.block = spec_.count;
    arguments.window = {0, VectorCount()};
    arguments.type = spec_.type;
    arguments.op = spec_.op;
    const Result<OperationCall> call =
        MakeBlockCall(spec_.collective, arguments, rank, job_.size());
    EXPECT_TRUE(call.ok()) << call.status().ToString();
    return *call;
  }

  bool IsRight(size_t rank, const Bytes& vector) const {
    const Bytes& got = spec_.in_place ? inputs_[rank] : outputs_[rank];
    const std::ptrdiff_t own = Offset(rank * spec_.count);
    if (!Scatters()) return got == vector;
    const auto begin = vector.begin() + own;
    return std::equal(begin, begin + Offset(spec_.count),
                      got.begin() + (spec_.in_place ? own : 0));
  }

  Bytes Input(size_t rank) const {
    return Gathers() ? Numbers(rank, spec_.count)
                     : Numbers(rank, VectorCount());
  }
  // What all-reduce gives, reduce-scatter cuts in blocks, all-gather gathers.
  Bytes Vector() const {
    if (Gathers()) {
      Bytes all;
      for (size_t r = 0; r < Ranks(); ++r) {
        const Bytes block = Numbers(r, spec_.count);
        all.insert(all.end(), block.begin(), block.end());
      }
      return all;
    }
    std::vector<Bytes> once;
    std::vector<const void*> sources;
    for (size_t r = 0; r < Ranks(); ++r) once.push_back(Numbers(r, kPeriod));
    for (const Bytes& bytes : once) sources.push_back(bytes.data());
    Bytes sum(kPeriod * Size());
    const bool divide = spec_.op == ReduceOp::kAvg;
    Reduce({spec_.type, spec_.op, divide ? static_cast<uint32_t>(Ranks()) : 1},
           sum.data(), sources, kPeriod);
    return Repeated(sum, VectorCount());
  }

  // Sums of a few dozen of these, and products of a few powers of two, are
  // exact in every type.
  Bytes Numbers(size_t rank, uint64_t count) const {
    const uint64_t most = spec_.op == ReduceOp::kProd ? 2 : kPeriod;
    Bytes once;
    for (uint64_t i = 0; i < kPeriod; ++i) {
      Append((rank * 7 + i * 3 + spec_.salt) % most + 1, once);
    }
    return Repeated(once, count);
  }
  Bytes Repeated(const Bytes& once, uint64_t count) const {
    Bytes bytes(count * Size());
    for (size_t at = 0; at < bytes.size(); at += once.size()) {
      std::memcpy(&bytes[at], once.data(),
                  std::min(once.size(), bytes.size() - at));
    }
    return bytes;
  }
  void Append(uint64_t number, Bytes& to) const {
    const auto f64 = static_cast<double>(number);
    const auto f32 = static_cast<float>(number);
    uint32_t bits = 0;
    std::memcpy(&bits, &f32, sizeof bits);
    // These numbers are exact in 16 bits: bf16 is the upper half of f32, f16
    // has its exponent rebased and the upper ten bits of its fraction.
    uint64_t value = number;
    if (spec_.type == DataType::kFloat64) std::memcpy(&value, &f64, 8);
    if (spec_.type == DataType::kFloat32) value = bits;
    if (spec_.type == DataType::kBfloat16) value = bits >> 16;
    if (spec_.type == DataType::kFloat16) {
      value = ((bits >> 23) - 127 + 15) << 10 | (bits >> 13 & 0x3ff);
    }
    for (size_t b = 0; b < Size(); ++b) {
      to.push_back(static_cast<uint8_t>(value >> (8 * b)));
    }
  }

  SimJob& job_;
  const CallSpec spec_;
  std::vector<Bytes> inputs_;   // and outputs, where in place
  std::vector<Bytes> outputs_;  // where not
  std::vector<Operation*> operations_;
};

}  // namespace longhaul
