// The lossless codec: every vector comes back bit for bit, by every SIMD target
// from the same bytes, and bytes from afar do no harm.
#include "codec/lossless.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <random>
#include <string>
#include <tuple>
#include <vector>

#include "compute/convert.h"
#include "support/counting_allocator.h"

namespace longhaul {
namespace {

using Bytes = std::vector<uint8_t>;

constexpr uint8_t kGuard = 0xa5;
constexpr size_t kMargin = 70;
constexpr DataType kTypes[] = {DataType::kFloat32, DataType::kFloat16,
                               DataType::kBfloat16};

Bytes AsElements(DataType type, const std::vector<float>& values) {
  Bytes bytes(values.size() * SizeOf(type));
  if (values.empty()) return bytes;
  if (type == DataType::kFloat16) {
    ConvertF32ToF16(bytes.data(), values.data(), values.size());
  } else if (type == DataType::kBfloat16) {
    ConvertF32ToBf16(bytes.data(), values.data(), values.size());
  } else {
    std::memcpy(bytes.data(), values.data(), bytes.size());
  }
  return bytes;
}

enum class Pattern : uint8_t {
  kGaussian,
  kHeavyTails,
  kManyScales,
  kZeros,
  kHalfZeros,
  kHalfNegativeZeros,
  kConstant,
  kSpecials,
  kSubnormals,
  kCounting,
  kRandomBits,
  kEvenExponents,
};
constexpr Pattern kPatterns[] = {
    Pattern::kGaussian, Pattern::kHeavyTails, Pattern::kManyScales,
    Pattern::kZeros,    Pattern::kHalfZeros,  Pattern::kHalfNegativeZeros,
    Pattern::kConstant, Pattern::kSpecials,   Pattern::kSubnormals,
    Pattern::kCounting, Pattern::kRandomBits, Pattern::kEvenExponents};

// One element of a pattern of numbers.
class Numbers {
 public:
  float Of(Pattern pattern, size_t i) {
    const float gauss = gaussian_(random_) * 0.01F;
    switch (pattern) {
      case Pattern::kHeavyTails:
        return student_(random_) * 1e-4F;
      case Pattern::kManyScales:
        return std::ldexp(gauss, -static_cast<int>(i / 700 % 8) * 2);
      case Pattern::kZeros:
        return 0;
      case Pattern::kHalfZeros:
        return random_() % 2 == 0 ? 0 : gauss;
      case Pattern::kHalfNegativeZeros:
        return random_() % 2 == 0 ? -0.0F : gauss;
      case Pattern::kConstant:
        return 0.1F;
      default:
        return gauss;
    }
  }

 private:
  std::mt19937_64 random_{3};
  std::normal_distribution<float> gaussian_;
  std::student_t_distribution<float> student_{3};
};

// One element as bits.
uint32_t BitsOf(Pattern pattern, DataType type, size_t i, uint32_t random) {
  const unsigned width = type == DataType::kFloat32 ? 32 : 16;
  const unsigned mantissa = type == DataType::kFloat32   ? 23
                            : type == DataType::kFloat16 ? 10
                                                         : 7;
  const uint32_t exponents = ((1U << (width - 1)) - 1) >> mantissa << mantissa;
  switch (pattern) {
    case Pattern::kSpecials:  // infinities and NaNs of any payload
      return random % 3 == 0 ? exponents | (random & 1U << (width - 1))
                             : exponents | random;
    case Pattern::kSubnormals:
      return random & ~exponents;
    case Pattern::kCounting:  // all patterns of 16 bits
      return static_cast<uint32_t>(i) * (width == 32 ? 65537U : 1U);
    case Pattern::kEvenExponents:  // a different number of each
      return static_cast<uint32_t>((i * i % 4093 % 97) << mantissa & exponents);
    default:
      return random;
  }
}

Bytes MakeVector(DataType type, Pattern pattern, size_t count) {
  if (pattern < Pattern::kSpecials) {
    Numbers numbers;
    std::vector<float> values(count);
    for (size_t i = 0; i < count; ++i) values[i] = numbers.Of(pattern, i);
    return AsElements(type, values);
  }
  std::mt19937 random(5);
  Bytes bytes(count * SizeOf(type));
  for (size_t i = 0; i < count; ++i) {
    const uint32_t bits =
        BitsOf(pattern, type, i, static_cast<uint32_t>(random()));
    std::memcpy(bytes.data() + i * SizeOf(type), &bits, SizeOf(type));
  }
  return bytes;
}

Bytes Encode(DataType type, const Bytes& elements,
             const LosslessKernels& kernels) {
  const size_t count = elements.size() / SizeOf(type);
  Bytes out(LosslessBound(type, count));
  out.resize(LosslessEncode(type, elements.data(), count, out.data(), kernels));
  return out;
}

Bytes Encode(DataType type, const Bytes& elements) {
  return Encode(type, elements, *AvailableLosslessKernels().back());
}

double Ratio(DataType type, const Bytes& elements) {
  return static_cast<double>(elements.size()) /
         static_cast<double>(Encode(type, elements).size());
}

// Bytes at an address of choice, between guards.
class Guarded {
 public:
  Guarded(size_t offset, size_t size)
      : bytes_(size + 2 * kMargin + offset, kGuard),
        at_(kMargin + offset),
        size_(size) {}
  uint8_t* data() { return bytes_.data() + at_; }
  Bytes First(size_t size) const {
    const auto from = bytes_.begin() + static_cast<std::ptrdiff_t>(at_);
    return {from, from + static_cast<std::ptrdiff_t>(size)};
  }
  bool IntactBeyond(size_t size) const {
    for (size_t i = 0; i < bytes_.size(); ++i) {
      if ((i < at_ || i >= at_ + size) && bytes_[i] != kGuard) return false;
    }
    return true;
  }
  bool Intact() const { return IntactBeyond(size_); }

 private:
  Bytes bytes_;
  size_t at_;
  size_t size_;
};

using Parameter = std::tuple<const LosslessKernels*, DataType>;

class LosslessTest : public testing::TestWithParam<Parameter> {
 protected:
  const LosslessKernels& kernels() const { return *std::get<0>(GetParam()); }
  DataType type() const { return std::get<1>(GetParam()); }

  void CheckRoundTrip(Pattern pattern, size_t count, size_t offset);
};

void LosslessTest::CheckRoundTrip(Pattern pattern, size_t count,
                                  size_t offset) {
  SCOPED_TRACE(testing::Message() << "pattern " << static_cast<int>(pattern)
                                  << ", " << count << " elements");
  const Bytes elements = MakeVector(type(), pattern, count);
  Guarded source(offset, elements.size());
  std::copy(elements.begin(), elements.end(), source.data());
  Guarded encoded(offset / 2, LosslessBound(type(), count));
  const size_t size =
      LosslessEncode(type(), source.data(), count, encoded.data(), kernels());
  ASSERT_LE(size, LosslessBound(type(), count));
  EXPECT_TRUE(encoded.Intact());
  EXPECT_EQ(encoded.First(size),
            Encode(type(), elements, *AvailableLosslessKernels().front()));

  // In memory of its own size, so that AddressSanitizer sees reads beyond.
  const Bytes travelled = encoded.First(size);
  Guarded target(offset, elements.size());
  ASSERT_TRUE(LosslessDecode(type(), travelled.data(), size, count,
                             target.data(), kernels()));
  EXPECT_TRUE(target.First(elements.size()) == elements);
  EXPECT_TRUE(target.Intact());
}

TEST_P(LosslessTest, EveryVectorComesBackBitForBit) {
  size_t offset = 0;
  for (const Pattern pattern : kPatterns) {
    for (const size_t count : {0, 1, 2, 7, 8, 31, 32, 33, 255, 256, 257, 1000,
                               4095, 4096, 4097, 65536, 100000}) {
      CheckRoundTrip(pattern, count, offset++ % 9);
    }
  }
}

TEST_P(LosslessTest, StretchesAreThoseOfTheWhole) {
  const size_t count = 3 * kLosslessBlock + 17;
  const Bytes elements = MakeVector(type(), Pattern::kHeavyTails, count);
  const Bytes encoded = Encode(type(), elements);
  LosslessReader reader(type(), encoded.data(), encoded.size(), count,
                        kernels());
  Bytes target(elements.size());
  uint8_t* to = target.data();
  for (const size_t stretch :
       {2 * kLosslessBlock, size_t{0}, kLosslessBlock, size_t{17}}) {
    ASSERT_TRUE(reader.Next(stretch, to));
    to += stretch * SizeOf(type());
  }
  EXPECT_EQ(reader.left(), 0U);
  EXPECT_TRUE(target == elements);
}

TEST_P(LosslessTest, TruncatedAndLongerBytesAreRefused) {
  for (const Pattern pattern :
       {Pattern::kGaussian, Pattern::kHalfZeros, Pattern::kRandomBits}) {
    const size_t count = 300;
    Bytes target(count * SizeOf(type()));
    const Bytes encoded = Encode(type(), MakeVector(type(), pattern, count));
    for (size_t size = 0; size < encoded.size(); ++size) {
      const Bytes part(encoded.begin(),
                       encoded.begin() + static_cast<std::ptrdiff_t>(size));
      EXPECT_FALSE(LosslessDecode(type(), part.data(), size, count,
                                  target.data(), kernels()))
          << size;
    }
    Bytes longer = encoded;
    longer.push_back(0);
    EXPECT_FALSE(LosslessDecode(type(), longer.data(), longer.size(), count,
                                target.data(), kernels()));
  }
}

// What a peer that means ill may send: faults are found, or do no harm, and are
// the same to every processor.
TEST_P(LosslessTest, FlippedBytesStayWithinBounds) {
  std::mt19937 random(11);
  for (const Pattern pattern :
       {Pattern::kGaussian, Pattern::kHalfZeros, Pattern::kHeavyTails}) {
    const size_t count = 777;
    const Bytes encoded = Encode(type(), MakeVector(type(), pattern, count));
    for (int round = 0; round < 1000; ++round) {
      Bytes bad = encoded;
      // Headers are at the front: they are hit most.
      const size_t reach = random() % 2 == 0 ? 40 : bad.size();
      for (size_t hits = 1 + random() % 4; hits > 0; --hits) {
        bad[random() % reach] = static_cast<uint8_t>(random());
      }
      Guarded target(1, count * SizeOf(type()));
      Bytes plain(count * SizeOf(type()));
      const bool taken = LosslessDecode(type(), bad.data(), bad.size(), count,
                                        target.data(), kernels());
      EXPECT_TRUE(target.Intact());
      ASSERT_EQ(taken, LosslessDecode(type(), bad.data(), bad.size(), count,
                                      plain.data(),
                                      *AvailableLosslessKernels().front()));
      if (taken) {
        EXPECT_TRUE(target.First(plain.size()) == plain);
      }
    }
  }
}

TEST_P(LosslessTest, AReaderThatFailedKeepsFailing) {
  const size_t count = 2 * kLosslessBlock;
  Bytes encoded = Encode(type(), MakeVector(type(), Pattern::kGaussian, count));
  encoded[0] = 0x77;
  LosslessReader reader(type(), encoded.data(), encoded.size(), count,
                        kernels());
  Bytes target(count * SizeOf(type()));
  EXPECT_FALSE(reader.Next(kLosslessBlock, target.data()));
  EXPECT_FALSE(reader.Next(kLosslessBlock, target.data()));
}

TEST_P(LosslessTest, NothingIsAllocated) {
  const Bytes elements = MakeVector(type(), Pattern::kHalfZeros, 10000);
  Bytes encoded(LosslessBound(type(), 10000));
  Bytes target(elements.size());
  StartCountingAllocations();
  const size_t size =
      LosslessEncode(type(), elements.data(), 10000, encoded.data(), kernels());
  const bool taken = LosslessDecode(type(), encoded.data(), size, 10000,
                                    target.data(), kernels());
  EXPECT_EQ(StopCountingAllocations(), 0U);
  EXPECT_TRUE(taken);
}

std::vector<Parameter> AllParameters() {
  std::vector<Parameter> all;
  for (const LosslessKernels* kernels : AvailableLosslessKernels()) {
    for (const DataType type : kTypes) all.emplace_back(kernels, type);
  }
  return all;
}

std::string NameOfParameter(const testing::TestParamInfo<Parameter>& info) {
  return std::string(std::get<0>(info.param)->name) + "_" +
         NameOf(std::get<1>(info.param));
}

INSTANTIATE_TEST_SUITE_P(All, LosslessTest, testing::ValuesIn(AllParameters()),
                         NameOfParameter);

constexpr size_t kMany = 1 << 20;

TEST(LosslessRatioTest, GaussiansShrink) {
  EXPECT_GT(Ratio(DataType::kBfloat16,
                  MakeVector(DataType::kBfloat16, Pattern::kGaussian, kMany)),
            1.45);
  EXPECT_GT(Ratio(DataType::kFloat32,
                  MakeVector(DataType::kFloat32, Pattern::kGaussian, kMany)),
            1.18);
  EXPECT_GT(Ratio(DataType::kFloat16,
                  MakeVector(DataType::kFloat16, Pattern::kGaussian, kMany)),
            1.14);
}

TEST(LosslessRatioTest, ZerosAreLeftOut) {
  for (const DataType type : kTypes) {
    EXPECT_GT(Ratio(type, MakeVector(type, Pattern::kZeros, kMany)), 1000);
    EXPECT_GT(Ratio(type, MakeVector(type, Pattern::kHalfZeros, kMany)), 2);
  }
}

TEST(LosslessRatioTest, RandomBitsCostNextToNothing) {
  for (const DataType type : kTypes) {
    EXPECT_GT(Ratio(type, MakeVector(type, Pattern::kRandomBits, kMany)),
              0.998);
  }
}

TEST(LosslessDeathTest, OtherTypesAreRefused) {
  const int64_t element = 0;
  Bytes out(100);
  EXPECT_DEATH(LosslessEncode(DataType::kInt64, &element, 1, out.data()),
               "type");
}

}  // namespace
}  // namespace longhaul
