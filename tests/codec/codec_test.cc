#include "codec/codec.h"

#include <array>
#include <bit>
#include <cfenv>
#include <cmath>
#include <cstring>
#include <vector>

#include "codec/carried.h"
#include "codec/reference.h"
#include "support/counting_allocator.h"
#ifdef __x86_64__
#include <immintrin.h>
#endif

namespace longhaul {
namespace {

using test::Carried;
using test::EncodedBy;
using test::Gaussian;
using test::kFloatMax;
using test::kInfinity;
using test::kNan;
using test::Make;

// The whole range of f32, block by block: the promise of codec.h.
TEST(CodecTest, NoElementIsOffByMoreThanTheScaleAllows) {
  for (const char* text : {"int8", "int4", "int8:rounding=stochastic",
                           "int4:rounding=stochastic"}) {
    const CodecSpec spec = CodecSpec::Parse(text).value();
    const Codec codec = Make(text);
    const double most =
        spec.rounding == CodecRounding::kNearest ? 0.5001 : 1.0001;
    for (int exponent = -149; exponent <= 127; ++exponent) {
      std::vector<float> values = Gaussian(spec.block);
      for (float& value : values) {
        value = std::clamp(std::ldexp(value, exponent), -kFloatMax, kFloatMax);
      }
      const double scale = test::ScaleOf(spec.id, values.data(), values.size());
      const std::vector<float> decoded = Carried(codec, values, {9, 0});
      for (size_t i = 0; i < values.size(); ++i) {
        ASSERT_TRUE(std::isfinite(decoded[i])) << text << " 2^" << exponent;
        ASSERT_LE(std::fabs(double{decoded[i]} - values[i]), most * scale)
            << text << " " << std::hexfloat << values[i];
      }
    }
  }
}

TEST(CodecTest, WholeMultiplesOfAScaleAreExact) {
  for (const char* text : {"int8", "int4", "int8:rounding=stochastic",
                           "int4:rounding=stochastic"}) {
    const Codec codec = Make(text);
    const int largest = codec.spec().id == CodecId::kInt8 ? 127 : 7;
    for (const float scale : {1.0F, 0x1.02p-20F, 0x1.fep100F, 0x1.7cp-126F,
                              0x1p-133F, 0x1.4p-130F}) {
      std::vector<float> values(codec.granule() * 3 + 5);
      for (size_t i = 0; i < values.size(); ++i) {
        const int code =
            static_cast<int>(i * 7 % (2 * static_cast<size_t>(largest) + 1)) -
            largest;
        values[i] = static_cast<float>(i % 16 == 0 ? largest : code) * scale;
      }
      EXPECT_EQ(Carried(codec, values, {3, 0}), values)
          << text << " " << std::hexfloat << scale;
    }
  }
}

TEST(CodecTest, ZerosAreExactAndCostNoSign) {
  for (const char* text : {"int8", "int4", "int8:rounding=stochastic", "bf16",
                           "e4m3", "e5m2:rounding=stochastic"}) {
    const Codec codec = Make(text);
    const std::vector<float> zeros(300, 0.0F);
    EXPECT_EQ(Carried(codec, zeros, {1, 0}), zeros) << text;
    // Among numbers too.
    std::vector<float> values = Gaussian(300);
    for (size_t i = 0; i < values.size(); i += 3) values[i] = 0;
    const std::vector<float> decoded = Carried(codec, values);
    for (size_t i = 0; i < values.size(); i += 3) EXPECT_EQ(decoded[i], 0);
  }
  const std::vector<float> negative(64, -0.0F);
  EXPECT_FALSE(std::signbit(Carried(Make("int8"), negative)[0]));
  EXPECT_TRUE(std::signbit(Carried(Make("bf16"), negative)[0]));
}

TEST(CodecTest, NansAndInfinitiesSpoilTheirBlockAndNoOther) {
  for (const char* text : {"int8:block=64", "int4:block=64", "e4m3", "e5m2",
                           "int4:block=64,rounding=stochastic"}) {
    const Codec codec = Make(text);
    // Largest code, so that the scale is 1 and the others exact.
    const auto good = static_cast<float>(test::LargestCode(codec.spec().id));
    for (const float bad : {kNan, -kNan, kInfinity, -kInfinity}) {
      std::vector<float> values(64 * 3 + 10, good);
      values[64 + 17] = bad;
      values.back() = bad;
      const std::vector<float> decoded = Carried(codec, values);
      for (size_t i = 0; i < values.size(); ++i) {
        const bool spoilt = i / 64 == 1 || i / 64 == 3;
        ASSERT_EQ(std::isnan(decoded[i]), spoilt) << text << " " << i;
        if (!spoilt) {
          ASSERT_EQ(decoded[i], good);
        }
      }
      std::vector<float> sum(values.size(), 2.0F);
      const std::vector<uint8_t> bytes = EncodedBy(codec, values);
      ASSERT_TRUE(
          codec.DecodeAdd(bytes.data(), bytes.size(), sum.size(), sum.data()));
      EXPECT_EQ(std::bit_cast<uint32_t>(sum[64]), 0x7fc00000u);
      EXPECT_EQ(sum[63], good + 2.0F);
    }
  }
}

TEST(CodecTest, CastsKeepInfinitiesAndNans) {
  const std::vector<float> values = {kInfinity, -kInfinity, kNan, 65520.0F,
                                     1e-30F};
  const std::vector<float> f16 = Carried(Make("f16"), values);
  EXPECT_EQ(f16[0], kInfinity);
  EXPECT_EQ(f16[1], -kInfinity);
  EXPECT_TRUE(std::isnan(f16[2]));
  EXPECT_EQ(f16[3], kInfinity);  // beyond what f16 has
  EXPECT_EQ(f16[4], 0);
  const std::vector<float> bf16 = Carried(Make("bf16"), values);
  EXPECT_EQ(bf16[1], -kInfinity);
  EXPECT_TRUE(std::isnan(bf16[2]));
  EXPECT_EQ(bf16[3], 65536.0F);
}

TEST(CodecTest, TheEndsOfTheRangeStayFinite) {
  const std::vector<float> values = {kFloatMax, -kFloatMax, kFloatMax / 3,
                                     0.0F};
  for (const char* text : {"int8", "int4", "int4:rounding=stochastic", "e4m3",
                           "e5m2:rounding=stochastic"}) {
    const std::vector<float> decoded = Carried(Make(text), values);
    EXPECT_GT(decoded[0], 0.99F * kFloatMax);
    EXPECT_LT(decoded[1], -0.99F * kFloatMax);
    EXPECT_TRUE(std::isfinite(decoded[0] + decoded[1]));
  }
  // The scale is rounded up: 127 of them are more than f16 or bf16 can say.
  const std::array<uint16_t, 2> halves = {0x7bff, 0xfbff};  // +-65504
  const std::array<uint16_t, 2> brains = {0x7f7f, 0xff7f};
  for (const char* text : {"int8", "int4", "e4m3", "e5m2"}) {
    for (const auto& [type, source] :
         {std::pair(DataType::kFloat16, halves),
          std::pair(DataType::kBfloat16, brains)}) {
      const Codec codec = Make(text, type);
      std::vector<uint8_t> bytes(codec.EncodedSize(2));
      codec.Encode(source.data(), 2, bytes.data());
      std::array<uint16_t, 2> target{};
      ASSERT_TRUE(codec.Decode(bytes.data(), bytes.size(), 2, target.data()));
      EXPECT_EQ(target, source) << text << " " << NameOf(type);
    }
  }
}

// Scales are no smaller than 2^-133, as bf16 is no finer: what is lost is what
// a cast to bf16 would lose.
TEST(CodecTest, SubnormalsAreKeptAsFinelyAsBf16Is) {
  std::vector<float> values;
  for (uint32_t bits = 1; bits < 0x00800000u; bits = bits * 2 + 1) {
    values.push_back(std::bit_cast<float>(bits));
  }
  const std::vector<float> decoded = Carried(Make("int8"), values);
  for (size_t i = 0; i < values.size(); ++i) {
    EXPECT_LE(std::fabs(double{values[i]} - decoded[i]), 0x1p-133) << i;
  }
  EXPECT_GT(decoded.back(), 0);
}

TEST(CodecTest, StochasticRoundingIsRightOnAverage) {
  const Codec codec = Make("int4:rounding=stochastic");
  std::vector<float> values(32, 0.3F);
  values[0] = 7;  // the scale is 1
  std::vector<double> totals(values.size());
  constexpr int kTrials = 4000;
  for (int trial = 0; trial < kTrials; ++trial) {
    const std::vector<float> decoded =
        Carried(codec, values, {static_cast<uint64_t>(trial), 0});
    EXPECT_EQ(decoded[0], 7);
    for (size_t i = 1; i < values.size(); ++i) {
      ASSERT_TRUE(decoded[i] == 0 || decoded[i] == 1) << decoded[i];
      totals[i] += decoded[i];
    }
  }
  // The deviation of the mean is sqrt(0.3 * 0.7 / 4000) = 0.0072.
  double mean = 0;
  for (size_t i = 1; i < totals.size(); ++i) {
    EXPECT_NEAR(totals[i] / kTrials, 0.3, 5 * 0.0073) << "place " << i;
    mean += totals[i] / kTrials / 31;
  }
  EXPECT_NEAR(mean, 0.3, 5 * 0.0073 / std::sqrt(31));
}

// Neither elements beside each other, nor blocks, nor seeds that follow one
// another are rounded together.
TEST(CodecTest, StochasticRoundingOfNeighboursIsIndependent) {
  const Codec codec = Make("int8:rounding=stochastic");
  std::vector<float> values(64 * 2000, 0.5F);
  for (size_t i = 0; i < values.size(); i += 64) values[i] = 127;
  const std::vector<float> one = Carried(codec, values, {1, 0});
  const std::vector<float> two = Carried(codec, values, {2, 0});
  const auto agreement = [&](const std::vector<float>& other, size_t distance) {
    size_t same = 0;
    size_t all = 0;
    for (size_t i = 0; i + distance < values.size(); ++i) {
      if (i % 64 == 0 || (i + distance) % 64 == 0) continue;
      same += one[i] == other[i + distance] ? 1 : 0;
      ++all;
    }
    return static_cast<double>(same) / static_cast<double>(all);
  };
  // Five deviations of 0.5 / sqrt(124 000).
  for (const size_t distance : {1u, 2u, 4u, 8u, 16u, 32u, 64u, 128u}) {
    EXPECT_NEAR(agreement(one, distance), 0.5, 0.0072) << distance;
    EXPECT_NEAR(agreement(two, distance), 0.5, 0.0072) << distance;
  }
  EXPECT_NEAR(agreement(two, 0), 0.5, 0.0072);
}

TEST(CodecTest, SeedsDecideStochasticRoundingOnly) {
  const std::vector<float> values = Gaussian(1000);
  const Codec nearest = Make("int8");
  EXPECT_EQ(EncodedBy(nearest, values, {1, 0}),
            EncodedBy(nearest, values, {2, 64}));
  const Codec stochastic = Make("int8:rounding=stochastic");
  EXPECT_EQ(EncodedBy(stochastic, values, {1, 0}),
            EncodedBy(stochastic, values, {1, 0}));
  EXPECT_NE(EncodedBy(stochastic, values, {1, 0}),
            EncodedBy(stochastic, values, {2, 0}));
  EXPECT_NE(EncodedBy(stochastic, values, {1, 0}),
            EncodedBy(stochastic, values, {1, 64}));
}

// As decision 4 has it: the sender's own part enters the sum as the others see
// it.
TEST(CodecTest, BothSidesGetTheSameSum) {
  for (const char* text :
       {"none", "bf16", "f16", "int8", "int4:rounding=stochastic"}) {
    const Codec codec = Make(text);
    const std::vector<float> a = Gaussian(777, 1, 1);
    const std::vector<float> b = Gaussian(777, 1, 2);
    std::vector<uint8_t> bytes(codec.EncodedSize(777));
    std::vector<float> here(777);
    codec.EncodeDecode(a.data(), 777, bytes.data(), here.data(), {1, 0});
    const std::vector<uint8_t> other = EncodedBy(codec, b, {2, 0});
    ASSERT_TRUE(codec.DecodeAdd(other.data(), other.size(), 777, here.data()));

    std::vector<float> there(777);
    ASSERT_TRUE(codec.DecodeF32(bytes.data(), bytes.size(), 777, there.data()));
    std::vector<float> own(777);
    std::vector<uint8_t> again(other.size());
    codec.EncodeDecode(b.data(), 777, again.data(), own.data(), {2, 0});
    for (size_t i = 0; i < there.size(); ++i) there[i] += own[i];
    EXPECT_EQ(here, there) << text;
  }
}

TEST(CodecTest, ImpossibleBytesAreRefused) {
  for (const char* text : {"int8", "int4", "e4m3", "e5m2"}) {
    const Codec codec = Make(text);
    const size_t count = codec.granule() * 2 + 9;
    const std::vector<uint8_t> good = EncodedBy(codec, Gaussian(count));
    std::vector<float> target(count);
    const auto taken = [&](const std::vector<uint8_t>& bytes, size_t elements) {
      return codec.Decode(bytes.data(), bytes.size(), elements, target.data());
    };
    ASSERT_TRUE(taken(good, count));
    EXPECT_FALSE(taken(good, count + 1));
    EXPECT_FALSE(taken(good, count - 1));
    EXPECT_FALSE(taken(good, 0));
    EXPECT_FALSE(taken(good, SIZE_MAX));
    EXPECT_FALSE(taken(good, SIZE_MAX / 4 + 1));
    // A scale that is negative, infinite, another NaN, or so large that codes
    // would overflow; in a whole block and in the short one at the end.
    const size_t stride = codec.EncodedSize(codec.granule());
    for (const size_t at : {size_t{0}, stride, stride * 2}) {
      for (const unsigned scale :
           {0x8000u, 0xbf80u, 0x7f80u, 0x7fc1u, 0x7f7fu}) {
        std::vector<uint8_t> bad = good;
        bad[at] = static_cast<uint8_t>(scale);
        bad[at + 1] = static_cast<uint8_t>(scale >> 8);
        EXPECT_FALSE(taken(bad, count)) << text << " " << std::hex << scale;
      }
    }
  }
  const Codec raw = Make("none", DataType::kInt32);
  std::array<int32_t, 4> target{};
  EXPECT_FALSE(raw.Decode("abcdefg", 7, 2, target.data()));
  EXPECT_FALSE(raw.Decode("abcdefg", 7, 1, target.data()));
  EXPECT_FALSE(raw.Decode("abcdefg", 4, SIZE_MAX / 4 + 2, target.data()));
}

TEST(CodecTest, TypesThatACodecDoesNotTake) {
  for (int t = 0; t < kDataTypeCount; ++t) {
    const auto type = static_cast<DataType>(t);
    const bool narrow =
        type == DataType::kFloat16 || type == DataType::kBfloat16;
    const bool f32 = type == DataType::kFloat32;
    EXPECT_TRUE(Codec::Create({}, type).ok());
    for (const CodecId id :
         {CodecId::kBf16, CodecId::kF16, CodecId::kInt8, CodecId::kInt4,
          CodecId::kFp8E4m3, CodecId::kFp8E5m2}) {
      const bool cast = id == CodecId::kBf16 || id == CodecId::kF16;
      const Result<Codec> codec = Codec::Create(CodecSpec::Of(id), type);
      EXPECT_EQ(codec.ok(), f32 || (narrow && !cast));
      if (codec.ok()) continue;
      EXPECT_EQ(codec.status().code(), StatusCode::kUnsupported);
      EXPECT_THAT(codec.status().text(), testing::HasSubstr(NameOf(type)));
      EXPECT_THAT(codec.status().text(), testing::HasSubstr(NameOf(id)));
    }
  }
  CodecSpec bad = CodecSpec::Of(CodecId::kInt8);
  bad.block = 48;
  EXPECT_EQ(Codec::Create(bad, DataType::kFloat32).status().code(),
            StatusCode::kInvalidArgument);
}

TEST(CodecTest, IntegersPassAsTheyAreWithoutACodec) {
  const Codec codec = Make("none", DataType::kInt64);
  const std::array<int64_t, 3> source = {-1, 1LL << 60, 7};
  std::array<uint8_t, 24> bytes{};
  ASSERT_EQ(codec.EncodedSize(3), bytes.size());
  codec.Encode(source.data(), 3, bytes.data());
  std::array<int64_t, 3> target{};
  ASSERT_TRUE(codec.Decode(bytes.data(), bytes.size(), 3, target.data()));
  EXPECT_EQ(target, source);
}

TEST(CodecTest, NothingDependsOnTheCallersFloatMode) {
  std::vector<float> values = Gaussian(1000);
  for (size_t i = 0; i < 320; ++i) values[i] *= 0x1p-130F;
  for (const char* text : {"bf16", "f16", "int8", "int4:rounding=stochastic"}) {
    const Codec codec = Make(text);
    const std::vector<uint8_t> bytes = EncodedBy(codec, values, {1, 0});
    const std::vector<float> decoded = Carried(codec, values, {1, 0});
    std::fesetround(FE_UPWARD);
#ifdef __x86_64__
    const unsigned saved = _mm_getcsr();
    _mm_setcsr(saved | 0x8040);  // subnormals become zero
#endif
    const std::vector<uint8_t> other_bytes = EncodedBy(codec, values, {1, 0});
    const std::vector<float> other = Carried(codec, values, {1, 0});
#ifdef __x86_64__
    _mm_setcsr(saved);
#endif
    std::fesetround(FE_TONEAREST);
    EXPECT_EQ(other_bytes, bytes) << text;
    EXPECT_EQ(std::memcmp(other.data(), decoded.data(), decoded.size() * 4), 0)
        << text;
  }
}

TEST(CodecTest, NothingIsAllocated) {
  const std::vector<float> values = Gaussian(1000);
  for (const char* text :
       {"none", "bf16", "int8", "int4:rounding=stochastic"}) {
    const Codec codec = Make(text);
    std::vector<uint8_t> bytes(codec.EncodedSize(1000));
    std::vector<float> sum(1000);
    StartCountingAllocations();
    codec.EncodeDecode(values.data(), 1000, bytes.data(), sum.data(), {1, 0});
    const bool added =
        codec.DecodeAdd(bytes.data(), bytes.size(), 1000, sum.data());
    EXPECT_EQ(StopCountingAllocations(), 0) << text;
    EXPECT_TRUE(added);
  }
}

}  // namespace
}  // namespace longhaul
