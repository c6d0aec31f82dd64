// How much smaller vectors become, and how precise they stay.
#include <bit>
#include <cmath>
#include <string>
#include <tuple>
#include <utility>

#include "codec/carried.h"
#include "codec/reference.h"

namespace longhaul {
namespace {

using test::BytesSaved;
using test::Carried;
using test::EncodedBy;
using test::Gaussian;
using test::kFloatMax;
using test::kNan;
using test::Make;
using test::RelativeError;

constexpr const char* kAllSpecs[] = {"bf16",
                                     "f16",
                                     "int8:block=32",
                                     "int8",
                                     "int8:block=128",
                                     "int8:block=256",
                                     "e4m3",
                                     "e4m3:block=256",
                                     "e4m3:rounding=stochastic",
                                     "e5m2",
                                     "e5m2:rounding=stochastic",
                                     "int8:rotate",
                                     "int8:block=256,rotate",
                                     "int8:rounding=stochastic",
                                     "int4",
                                     "int4:block=64",
                                     "int4:block=256",
                                     "int4:rotate",
                                     "int4:block=64,rotate",
                                     "int4:rounding=stochastic",
                                     "int4:rounding=stochastic,rotate"};

TEST(CodecPrecisionTest, BytesAgainstF32) {
  EXPECT_EQ(BytesSaved("none"), 1);
  EXPECT_EQ(BytesSaved("bf16"), 2);
  EXPECT_EQ(BytesSaved("f16"), 2);
  EXPECT_GE(BytesSaved("int8"), 3.85);
  EXPECT_GE(BytesSaved("e4m3"), 3.85);
  EXPECT_GE(BytesSaved("int4"), 7.0);
  EXPECT_GE(BytesSaved("int4:block=256"), 7.85);
}

// An error uniform over a scale has the deviation scale / sqrt(12), and the
// mean square of the largest of 32, 64 or 256 gaussian values is 5.8, 7.0
// or 9.6: int4 comes to sqrt(5.8 / 12) / 7 = 0.0993, int8 to 0.0060 and 0.0070.
// The bounds leave 3 %, more than the rounding of scales costs.
TEST(CodecPrecisionTest, RelativeErrorOfGaussianVectors) {
  const std::vector<float> values = Gaussian(200'000, 0.01F);
  const auto error = [&](const char* spec) {
    return RelativeError(values, Carried(Make(spec), values, {1, 0}));
  };
  EXPECT_LT(error("bf16"), 0.0018);
  EXPECT_LT(error("f16"), 0.0003);
  EXPECT_LT(error("int8"), 0.0062);
  EXPECT_LT(error("int8:block=256"), 0.0072);
  EXPECT_LT(error("int4"), 0.1000);
  EXPECT_LT(error("int4:block=128"), 0.1200);
  // Chance doubles the variance.
  EXPECT_LT(error("int8:rounding=stochastic"), 0.0088);
  EXPECT_LT(error("int4:rounding=stochastic"), 0.1415);
  // And none of them is a copy.
  EXPECT_GT(error("int8"), 0.0040);
  EXPECT_GT(error("int4"), 0.0700);
}

// Values that are far out more often than a normal distribution has them: of
// one million, some are beyond 50 deviations.
std::vector<float> HeavyTailed(size_t count) {
  std::mt19937_64 random(6);
  std::student_t_distribution<float> student(3);
  std::vector<float> values(count);
  for (float& value : values) value = student(random) * 0.01F;
  return values;
}

// What is large in a few elements is spread over their block: what is left of
// a heavy-tailed vector is as good as of a gaussian one.
TEST(CodecPrecisionTest, RotationMakesOutliersCheap) {
  const std::vector<float> plain = Gaussian(200'000, 0.01F);
  const std::vector<float> tailed = HeavyTailed(200'000);
  const auto error = [&](const char* spec, const std::vector<float>& values) {
    return RelativeError(values, Carried(Make(spec), values));
  };
  EXPECT_LE(error("int8:rotate", plain), 0.007);
  EXPECT_LE(error("int8:rotate", tailed), 0.007);
  EXPECT_LE(error("int4:rotate", plain), 0.1);
  EXPECT_LE(error("int4:rotate", tailed), 0.1);
  EXPECT_GE(BytesSaved("int8:rotate"), 3.85);
  EXPECT_GE(BytesSaved("int4:rotate"), 7.0);
  // One element in a hundred is 30 times as large.
  std::vector<float> values = plain;
  for (size_t i = 7; i < values.size(); i += 100) values[i] *= 30;
  for (const char* spec : {"int4:block=128", "int8:block=128"}) {
    const std::string rotated = spec + std::string(",rotate");
    EXPECT_LT(error(rotated.c_str(), values), 0.75 * error(spec, values));
  }
}

// The promise for floats of 8 bits, for elements of all sizes in one block.
TEST(CodecPrecisionTest, SmallElementsKeepTheirPrecisionInFp8) {
  for (const auto& [text, most, least, top] :
       {std::tuple("e4m3", 0x1p-4, 0x1p-10, 448),
        std::tuple("e5m2", 0x1p-3, 0x1p-17, 57344)}) {
    std::vector<float> values;
    for (int i = 0; i < 64; ++i) {
      values.push_back(std::ldexp(
          i % 2 == 0 ? 1.0F + 0.013F * static_cast<float>(i) : -1.9F, -i / 2));
    }
    const std::vector<float> decoded = Carried(Make(text), values);
    const double scale = 2.0 / top;  // no less than the scale
    for (size_t i = 0; i < values.size(); ++i) {
      const double x = std::fabs(values[i]);
      EXPECT_LE(std::fabs(decoded[i] - values[i]),
                std::max(x * most, scale * least) * 1.0001)
          << text << " " << i;
    }
  }
}

// What is summed is decoded from every site, as decision 4 has it: the errors
// of sums of gradients are no larger than those of one.
TEST(CodecPrecisionTest, SumsOfTwoSitesAreAsPreciseAsEach) {
  const std::vector<float> a = HeavyTailed(200'000);
  const std::vector<float> b = Gaussian(200'000, 0.01F, 2);
  for (const auto& [spec, bound] :
       {std::pair("int8:rotate", 0.007), std::pair("int4:rotate", 0.1)}) {
    const Codec codec = Make(spec);
    std::vector<float> sum = a;
    std::vector<float> decoded = Carried(codec, a);
    const std::vector<uint8_t> other = EncodedBy(codec, b);
    ASSERT_TRUE(
        codec.DecodeAdd(other.data(), other.size(), b.size(), decoded.data()));
    for (size_t i = 0; i < sum.size(); ++i) sum[i] += b[i];
    EXPECT_LE(RelativeError(sum, decoded), bound) << spec;
  }
}

// The promise for rotated blocks is about their norm.
TEST(CodecPrecisionTest, NoRotatedBlockIsOffByMoreThanItsScaleAllows) {
  for (const char* text : {"int8:rotate", "int4:rotate"}) {
    const Codec codec = Make(text);
    const size_t block = codec.granule();
    const std::vector<float> values = HeavyTailed(block * 500);
    const std::vector<uint8_t> bytes = EncodedBy(codec, values);
    const std::vector<float> decoded = Carried(codec, values);
    for (size_t at = 0; at < values.size(); at += block) {
      const size_t code = at / block * codec.EncodedSize(block);
      const auto scale = std::bit_cast<float>(
          (uint32_t{bytes[code]} | (bytes[code + 1] & 0x7fU) << 8) << 16);
      double square = 0;
      for (size_t i = at; i < at + block; ++i) {
        square += std::pow(double{decoded[i]} - values[i], 2);
      }
      ASSERT_LE(std::sqrt(square / static_cast<double>(block)), 0.5001 * scale);
    }
  }
}

// Codecs are chosen by it.
TEST(CodecPrecisionTest, TypicalErrorsAreWhatIsMeasured) {
  const std::vector<float> values = Gaussian(200'000, 0.01F);
  for (const char* text : kAllSpecs) {
    const double error =
        RelativeError(values, Carried(Make(text), values, {1, 0}));
    EXPECT_NEAR(CodecSpec::Parse(text)->TypicalError() / error, 1, 0.15)
        << text << " " << error;
  }
  EXPECT_EQ(CodecSpec().TypicalError(), 0);
}

TEST(CodecPrecisionTest, RotationKeepsWhatCountsAtTheEnds) {
  const Codec codec = Make("int8:rotate");
  std::vector<float> values(64 * 4, 0.0F);
  values[64] = kNan;
  values[128] = kFloatMax;
  values[192] = 0x1p-149F;
  const std::vector<float> decoded = Carried(codec, values);
  for (size_t i = 0; i < 64; ++i) {
    EXPECT_EQ(decoded[i], 0);
    EXPECT_TRUE(std::isnan(decoded[64 + i]));
    EXPECT_TRUE(std::isfinite(decoded[128 + i]));
    EXPECT_LT(std::fabs(decoded[192 + i]), 0x1p-130F);
  }
  EXPECT_GT(decoded[128], 0.99F * kFloatMax);
  // Elements up to where blocks are no longer rotated.
  std::vector<float> large(64, 0x1.fffffep111F);
  for (const float value : Carried(codec, large)) {
    EXPECT_NEAR(value / 0x1p112F, 1, 0.01);
  }
}

}  // namespace
}  // namespace longhaul
