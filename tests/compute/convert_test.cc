#include "compute/convert.h"

#include <bit>
#include <cfenv>
#include <cmath>
#include <cstring>
#include <limits>

#include "compute/dispatch.h"
#include "compute/reference.h"

namespace longhaul {
namespace {

using test::Format;
using test::kBf16;
using test::kF16;

// The bits a 16-bit value must widen to. NaNs apart, through double.
uint32_t ExpectedWide(Format format, uint16_t bits) {
  const uint32_t sign = (bits & 0x8000U) << 16;
  const uint32_t magnitude = bits & 0x7fffU;
  if (magnitude <= format.Infinity()) {
    return std::bit_cast<uint32_t>(
        static_cast<float>(test::ValueOf(format, bits)));
  }
  const uint32_t payload = magnitude - format.Infinity();
  const uint32_t quiet = format.mantissa_bits == 10 ? 0x400000U : 0;
  return sign | 0x7f800000U | payload << (23 - format.mantissa_bits) | quiet;
}

uint16_t ExpectedNarrow(Format format, float value) {
  if (!std::isnan(value)) return test::NearestTo(format, value);
  const auto bits = std::bit_cast<uint32_t>(value);
  const uint32_t payload = (bits & 0x7fffffU) >> (23 - format.mantissa_bits);
  return static_cast<uint16_t>((bits >> 16 & 0x8000U) | format.Infinity() |
                               format.QuietBit() | payload);
}

std::vector<uint16_t> AllHalves() {
  std::vector<uint16_t> all(65536);
  for (size_t i = 0; i < all.size(); ++i) all[i] = static_cast<uint16_t>(i);
  return all;
}

// Every 16-bit value as f32 and, around the midpoint to its neighbour, the
// float halfway and those on either side; NaNs with low payload bits only; f32
// subnormals.
std::vector<float> RoundingBoundaries(Format format) {
  std::vector<float> values;
  for (uint32_t bits = 0; bits < 65536; ++bits) {
    const uint32_t here = ExpectedWide(format, static_cast<uint16_t>(bits));
    const uint32_t half_step =
        ((bits & 0x7fffU) < format.Infinity() && (bits & 0x7fffU) != 0)
            ? (ExpectedWide(format, static_cast<uint16_t>(bits + 1)) - here) / 2
            : 0x1000U;
    for (const uint32_t offset :
         {0U, half_step - 1, half_step, half_step + 1}) {
      values.push_back(std::bit_cast<float>(here + offset));
    }
    // In bits, the middle between 0 and the least subnormal is not the middle.
    if ((bits & 0x7fffU) < format.Infinity()) {
      const double middle =
          (test::ValueOf(format, static_cast<uint16_t>(bits)) +
           test::ValueOf(format, static_cast<uint16_t>(bits + 1))) /
          2;
      const auto rounded = static_cast<float>(middle);
      values.push_back(rounded);
      values.push_back(std::nextafterf(rounded, 0));
      values.push_back(std::nextafterf(rounded, rounded * 2));
    }
  }
  for (uint32_t bits = 1; bits < 0x00800000U; bits = bits * 3 + 1) {
    values.push_back(std::bit_cast<float>(bits));
    values.push_back(std::bit_cast<float>(bits | 0x80000000U));
    values.push_back(std::bit_cast<float>(bits | 0x7f800000U));
  }
  return values;
}

TEST(ConvertTest, WideningIsExactForEveryValue) {
  for (const uint16_t bits : AllHalves()) {
    ASSERT_EQ(std::bit_cast<uint32_t>(F32FromF16(bits)),
              ExpectedWide(kF16, bits))
        << bits;
    ASSERT_EQ(std::bit_cast<uint32_t>(F32FromBf16(bits)),
              ExpectedWide(kBf16, bits))
        << bits;
  }
}

TEST(ConvertTest, NarrowingUndoesWideningButQuietsNans) {
  for (const uint16_t bits : AllHalves()) {
    const bool f16_nan = (bits & 0x7fffU) > kF16.Infinity();
    const bool bf16_nan = (bits & 0x7fffU) > kBf16.Infinity();
    ASSERT_EQ(F16FromF32(F32FromF16(bits)),
              bits | (f16_nan ? kF16.QuietBit() : 0));
    ASSERT_EQ(Bf16FromF32(F32FromBf16(bits)),
              bits | (bf16_nan ? kBf16.QuietBit() : 0));
  }
}

TEST(ConvertTest, NarrowingRoundsToNearestEvenAtEveryBoundary) {
  for (const float value : RoundingBoundaries(kF16)) {
    ASSERT_EQ(F16FromF32(value), ExpectedNarrow(kF16, value))
        << std::hexfloat << value;
  }
  for (const float value : RoundingBoundaries(kBf16)) {
    ASSERT_EQ(Bf16FromF32(value), ExpectedNarrow(kBf16, value))
        << std::hexfloat << value;
  }
}

TEST(ConvertTest, LargeNumbersOverflowToInfinity) {
  EXPECT_EQ(F16FromF32(65519.996F), 0x7bff);
  EXPECT_EQ(F16FromF32(65520.0F), 0x7c00);
  EXPECT_EQ(F16FromF32(-1e30F), 0xfc00);
  EXPECT_EQ(Bf16FromF32(std::numeric_limits<float>::max()), 0x7f80);
}

// Every set of kernels against the scalars, which the tests above check.
class ConvertKernelsTest : public testing::TestWithParam<const KernelSet*> {};

INSTANTIATE_TEST_SUITE_P(, ConvertKernelsTest,
                         testing::ValuesIn(AvailableKernels().begin(),
                                           AvailableKernels().end()),
                         [](const auto& kernels) {
                           return std::string(kernels.param->name);
                         });

template <typename From, typename To>
void ExpectSameAsScalar(KernelSet::ConvertFunction convert, To (*scalar)(From),
                        const std::vector<From>& values) {
  using Bits = std::conditional_t<sizeof(To) == 4, uint32_t, uint16_t>;
  // Odd addresses and a length that leaves a part of a vector.
  const size_t count = values.size() - 3;
  std::vector<unsigned char> from(values.size() * sizeof(From) + 1);
  std::memcpy(from.data() + 1, values.data(), count * sizeof(From));
  std::vector<unsigned char> to(count * sizeof(To) + 2, 0xa5);
  convert(to.data() + 1, from.data() + 1, count);
  for (size_t i = 0; i < count; ++i) {
    Bits bits;
    std::memcpy(&bits, to.data() + 1 + i * sizeof bits, sizeof bits);
    ASSERT_EQ(bits, std::bit_cast<Bits>(scalar(values[i]))) << "element " << i;
  }
  EXPECT_EQ(to.front(), 0xa5);
  EXPECT_EQ(to.back(), 0xa5);
}

TEST_P(ConvertKernelsTest, GiveTheBitsOfTheScalars) {
  const KernelSet& kernels = *GetParam();
  ExpectSameAsScalar(kernels.f16_to_f32, F32FromF16, AllHalves());
  ExpectSameAsScalar(kernels.bf16_to_f32, F32FromBf16, AllHalves());
  ExpectSameAsScalar(kernels.f32_to_f16, F16FromF32, RoundingBoundaries(kF16));
  ExpectSameAsScalar(kernels.f32_to_bf16, Bf16FromF32,
                     RoundingBoundaries(kBf16));
}

TEST(ConvertTest, ArraysMatchScalarsWhateverTheRoundingMode) {
  std::fesetround(FE_UPWARD);
  ExpectSameAsScalar(ConvertF16ToF32, F32FromF16, AllHalves());
  ExpectSameAsScalar(ConvertBf16ToF32, F32FromBf16, AllHalves());
  std::vector<float> values;
  for (int i = -1000; i < 1000; ++i) {
    values.push_back(std::ldexp(1.0F + static_cast<float>(i) / 4096, i / 20));
  }
  ExpectSameAsScalar(ConvertF32ToF16, F16FromF32, values);
  ExpectSameAsScalar(ConvertF32ToBf16, Bf16FromF32, values);
  EXPECT_EQ(std::fegetround(), FE_UPWARD);
  std::fesetround(FE_TONEAREST);
}

}  // namespace
}  // namespace longhaul
