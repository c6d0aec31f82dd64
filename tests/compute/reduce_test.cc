#include "compute/reduce.h"

#include <array>
#include <bit>
#include <cfenv>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>

#include "compute/dispatch.h"
#include "compute/reference.h"
#ifdef __x86_64__
#include <immintrin.h>
#endif

namespace longhaul {
namespace {

constexpr size_t kMaxElements = 700;
constexpr size_t kMaxOffset = 9;
constexpr unsigned char kGuard = 0xa5;

// Bit patterns where float arithmetic has corners, for a type of `size` bytes.
std::vector<uint64_t> SpecialPatterns(DataType type) {
  int mantissa = 0;
  switch (type) {
    case DataType::kFloat64:
      mantissa = 52;
      break;
    case DataType::kFloat32:
      mantissa = 23;
      break;
    case DataType::kFloat16:
      mantissa = 10;
      break;
    case DataType::kBfloat16:
      mantissa = 7;
      break;
    default:
      return {
          0,    1,          2,          ~uint64_t{0},      0x80,
          0x7f, 0x80000000, 0x7fffffff, uint64_t{1} << 63, ~uint64_t{0} >> 1};
  }
  const uint64_t sign = uint64_t{1} << (SizeOf(type) * 8 - 1);
  const uint64_t one_ulp = 1;
  const uint64_t least_normal = uint64_t{1} << mantissa;
  const uint64_t infinity = (sign - 1) >> mantissa << mantissa;
  const uint64_t one = (infinity >> 1) >> mantissa << mantissa;
  std::vector<uint64_t> patterns;
  for (const uint64_t magnitude :
       {uint64_t{0}, one_ulp, least_normal - 1, least_normal, one, one + 1,
        infinity - 1, infinity, infinity + 1, infinity | least_normal >> 1,
        sign - 1}) {
    patterns.push_back(magnitude);
    patterns.push_back(magnitude | sign);
  }
  return patterns;
}

class Values {
 public:
  explicit Values(DataType type)
      : type_(type), special_(SpecialPatterns(type)) {}

  void Fill(unsigned char* bytes, size_t count) {
    const size_t size = SizeOf(type_);
    for (size_t i = 0; i < count; ++i) {
      uint64_t pattern = random_();
      if (pattern % 4 == 0) {
        pattern = special_[(pattern >> 8) % special_.size()];
      } else if (pattern % 4 == 1) {
        pattern = Near1(pattern);
      }
      std::memcpy(bytes + i * size, &pattern, size);  // little-endian
    }
  }

  uint64_t Below(uint64_t bound) { return random_() % bound; }

 private:
  // Of like exponents, so that sums round rather than swallow.
  uint64_t Near1(uint64_t random) const {
    const double value = static_cast<double>(random >> 12) * 0x1p-51 - 1;
    switch (type_) {
      case DataType::kFloat64:
        return std::bit_cast<uint64_t>(value);
      case DataType::kFloat32:
        return std::bit_cast<uint32_t>(static_cast<float>(value));
      case DataType::kFloat16:
        return test::NearestTo(test::kF16, value);
      case DataType::kBfloat16:
        return test::NearestTo(test::kBf16, value);
      default:
        return random;
    }
  }

  DataType type_;
  std::vector<uint64_t> special_;
  std::mt19937_64 random_{42};
};

std::string Name(const Reduction& r) {
  return std::string(NameOf(r.type)) + " " + NameOf(r.op) + "/" +
         std::to_string(r.divisor);
}

// A vector at an odd address between guards.
class Guarded {
 public:
  Guarded() { Place(0, 0); }

  void Place(size_t offset, size_t bytes) {
    bytes_.fill(kGuard);
    offset_ = 16 + offset;
    size_ = bytes;
  }
  unsigned char* data() { return bytes_.data() + offset_; }
  bool Intact() const {
    for (size_t i = 0; i < bytes_.size(); ++i) {
      const bool inside = i >= offset_ && i < offset_ + size_;
      if (!inside && bytes_[i] != kGuard) return false;
    }
    return true;
  }

 private:
  std::array<unsigned char, kMaxElements * 8 + 32 + kMaxOffset> bytes_;
  size_t offset_ = 0;
  size_t size_ = 0;
};

/// One reduction of random values of `count` elements: where the vectors lie
/// and which sources are the target is random too.
void CheckOnce(const KernelSet& kernels, const Reduction& reduction,
               size_t source_count, size_t count, Values& values) {
  static std::array<Guarded, 6> vectors;  // large; reused by every check
  const size_t size = SizeOf(reduction.type);
  const size_t bytes = count * size;
  Guarded& separate = vectors[5];
  separate.Place(values.Below(kMaxOffset), bytes);
  std::vector<unsigned char*> places;
  for (size_t s = 0; s < source_count; ++s) {
    // Aligned vectors in half of the checks.
    vectors[s].Place(values.Below(2) * values.Below(kMaxOffset), bytes);
    values.Fill(vectors[s].data(), count);
    places.push_back(vectors[s].data());
  }
  // Out of place, in place of one source, or of two that are the same.
  const size_t in_place = values.Below(source_count * 2);
  unsigned char* target = separate.data();
  if (in_place < source_count) {
    target = places[in_place];
    if (values.Below(4) == 0) places[values.Below(source_count)] = target;
  }
  const std::vector<const unsigned char*> sources(places.begin(), places.end());
  std::vector<unsigned char> expected(bytes);
  const test::Reference reference(reduction.op, reduction.divisor, sources);
  for (size_t i = 0; i < count; ++i) {
    reference.Element(reduction.type, i, expected.data() + i * size);
  }

  const std::vector<const void*> arguments(places.begin(), places.end());
  ReduceWith(kernels, reduction, target, arguments, count);

  for (size_t i = 0; i < bytes; ++i) {
    ASSERT_EQ(target[i], expected[i])
        << Name(reduction) << " of " << source_count << " sources, element "
        << i / size << " of " << count << ", byte " << i % size;
  }
  for (const Guarded& vector : vectors) ASSERT_TRUE(vector.Intact());
}

// The suite every set of kernels passes: bit for bit what the reference gives.
class ReduceKernelsTest : public testing::TestWithParam<const KernelSet*> {
 protected:
  static std::vector<Reduction> AllReductions() {
    std::vector<Reduction> all;
    for (int type = 0; type < kDataTypeCount; ++type) {
      for (int op = 0; op < kReduceOpCount; ++op) {
        all.push_back({static_cast<DataType>(type), static_cast<ReduceOp>(op)});
      }
      for (const uint32_t divisor : {2U, 3U, 200U, 0xfffffff1U}) {
        all.push_back({static_cast<DataType>(type), ReduceOp::kAvg, divisor});
      }
    }
    return all;
  }
};

INSTANTIATE_TEST_SUITE_P(, ReduceKernelsTest,
                         testing::ValuesIn(AvailableKernels().begin(),
                                           AvailableKernels().end()),
                         [](const auto& kernels) {
                           return std::string(kernels.param->name);
                         });

TEST_P(ReduceKernelsTest, GiveTheBitsOfTheReference) {
  for (const Reduction& reduction : AllReductions()) {
    Values values(reduction.type);
    for (size_t sources = 1; sources <= 5; ++sources) {
      for (const int count : {0, 1, 2, 7, 15, 33, 64, 129, 263, 640}) {
        CheckOnce(*GetParam(), reduction, sources, static_cast<size_t>(count),
                  values);
        if (HasFatalFailure()) return;
      }
    }
  }
}

TEST_P(ReduceKernelsTest, EveryLengthUpToSeveralBlocks) {
  for (const Reduction& reduction :
       {Reduction{DataType::kUint8, ReduceOp::kSum},
        Reduction{DataType::kBfloat16, ReduceOp::kSum}}) {
    Values values(reduction.type);
    for (size_t count = 0; count < kMaxElements; ++count) {
      CheckOnce(*GetParam(), reduction, 2, count, values);
      if (HasFatalFailure()) return;
    }
  }
}

TEST_P(ReduceKernelsTest, SixtyFourSources) {
  std::vector<std::array<float, 37>> vectors(64);
  std::vector<const void*> sources;
  for (size_t s = 0; s < vectors.size(); ++s) {
    vectors[s].fill(static_cast<float>(s));
    sources.push_back(vectors[s].data());
  }
  std::array<float, 37> target{};
  ReduceWith(*GetParam(), {DataType::kFloat32, ReduceOp::kAvg, 64},
             target.data(), sources, target.size());
  for (const float value : target) EXPECT_EQ(value, 31.5F);
}

// Ten thousand f16 values of 1 and an f16 accumulator would stop at 2048.
TEST_P(ReduceKernelsTest, HalvesAccumulateInF32) {
  const std::array<uint16_t, 3> big = {0x6800, 0x6800, 0x6800};  // 2048
  const std::array<uint16_t, 3> one = {0x3c00, 0x3c00, 0x3c00};
  std::array<uint16_t, 3> target{};
  const std::array<const void*, 3> sources = {big.data(), one.data(),
                                              one.data()};
  ReduceWith(*GetParam(), {DataType::kFloat16, ReduceOp::kSum}, target.data(),
             sources, target.size());
  for (const uint16_t value : target) EXPECT_EQ(value, 0x6801);  // 2050
}

TEST_P(ReduceKernelsTest, NansAreCanonicalAndZerosOrdered) {
  const float infinity = std::numeric_limits<float>::infinity();
  const auto signalling = std::bit_cast<float>(0xffa12345U);
  const std::array<float, 4> a = {infinity, signalling, -0.0F, 0.0F};
  const std::array<float, 4> b = {-infinity, 1.0F, 0.0F, -0.0F};
  const std::array<const void*, 2> sources = {a.data(), b.data()};
  std::array<uint32_t, 4> bits{};
  ReduceWith(*GetParam(), {DataType::kFloat32, ReduceOp::kSum}, bits.data(),
             sources, 4);
  EXPECT_THAT(bits, testing::ElementsAre(0x7fc00000U, 0x7fc00000U, 0U, 0U));
  ReduceWith(*GetParam(), {DataType::kFloat32, ReduceOp::kMax}, bits.data(),
             sources, 4);
  EXPECT_THAT(bits, testing::ElementsAre(0x7f800000U, 0x7fc00000U, 0U, 0U));
  ReduceWith(*GetParam(), {DataType::kFloat32, ReduceOp::kMin}, bits.data(),
             sources, 4);
  EXPECT_THAT(bits, testing::ElementsAre(0xff800000U, 0x7fc00000U, 0x80000000U,
                                         0x80000000U));
}

#ifdef __x86_64__
TEST_P(ReduceKernelsTest, CallersFloatModeIsIgnoredAndKept) {
  const unsigned saved = _mm_getcsr();
  const unsigned flush_and_round_up = 0x1f80U | 0x8040U | 0x4000U;
  for (const DataType type : {DataType::kFloat32, DataType::kFloat64,
                              DataType::kFloat16, DataType::kBfloat16}) {
    for (const ReduceOp op : {ReduceOp::kSum, ReduceOp::kMax, ReduceOp::kAvg}) {
      const Reduction reduction{type, op, op == ReduceOp::kAvg ? 3U : 1U};
      Values values(type);
      std::array<std::array<unsigned char, 512>, 2> vectors;
      values.Fill(vectors[0].data(), 512 / SizeOf(type));
      values.Fill(vectors[1].data(), 512 / SizeOf(type));
      const std::array<const void*, 2> sources = {vectors[0].data(),
                                                  vectors[1].data()};
      std::array<unsigned char, 512> expected;
      std::array<unsigned char, 512> target;
      ReduceWith(*GetParam(), reduction, expected.data(), sources,
                 512 / SizeOf(type));
      _mm_setcsr(flush_and_round_up);
      ReduceWith(*GetParam(), reduction, target.data(), sources,
                 512 / SizeOf(type));
      const unsigned after = _mm_getcsr();
      _mm_setcsr(saved);
      EXPECT_EQ(after, flush_and_round_up);
      EXPECT_EQ(target, expected) << Name(reduction);
    }
  }
}
#endif

TEST(ReduceTest, UsesTheLastAvailableSet) {
  ASSERT_FALSE(AvailableKernels().empty());
  EXPECT_EQ(&BestKernels(), AvailableKernels().back());
  EXPECT_STREQ(AvailableKernels().front()->name, "baseline");
  const std::array<int32_t, 2> a = {1, std::numeric_limits<int32_t>::max()};
  const std::array<int32_t, 2> b = {-3, 1};
  std::array<int32_t, 2> target{};
  const std::array<const void*, 2> sources = {a.data(), b.data()};
  Reduce({DataType::kInt32, ReduceOp::kAvg, 2}, target.data(), sources, 2);
  EXPECT_THAT(target, testing::ElementsAre(-1, -(1 << 30)));
}

}  // namespace
}  // namespace longhaul
