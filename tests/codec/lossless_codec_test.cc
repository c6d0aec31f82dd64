// The lossless codec by the interface that all codecs have.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <vector>

#include "codec/codec.h"
#include "compute/convert.h"

namespace longhaul {
namespace {

using Bytes = std::vector<uint8_t>;
using Floats = std::vector<float>;

constexpr size_t kCount = 10'001;  // blocks, and a part of one

class LosslessCodecTest : public ::testing::TestWithParam<DataType> {
 protected:
  LosslessCodecTest()
      : codec_(*Codec::Create(*CodecSpec::Parse("lossless"), GetParam())) {
    Floats numbers;
    for (size_t i = 0; i < kCount; ++i) {
      numbers.push_back(std::sin(static_cast<float>(i * 31)));
    }
    vector_.resize(kCount * SizeOf(GetParam()));
    wide_ = numbers;
    if (GetParam() == DataType::kFloat32) {
      std::memcpy(vector_.data(), numbers.data(), vector_.size());
    } else if (GetParam() == DataType::kFloat16) {
      ConvertF32ToF16(vector_.data(), numbers.data(), kCount);
      ConvertF16ToF32(wide_.data(), vector_.data(), kCount);
    } else {
      ConvertF32ToBf16(vector_.data(), numbers.data(), kCount);
      ConvertBf16ToF32(wide_.data(), vector_.data(), kCount);
    }
    code_.resize(codec_.EncodedSize(kCount));
    code_.resize(codec_.Encode(vector_.data(), kCount, code_.data()));
  }

  Codec codec_;
  Bytes vector_;
  Floats wide_;
  Bytes code_;
};

TEST_P(LosslessCodecTest, IsShorterThanTheVector) {
  EXPECT_FALSE(codec_.fixed_rate());
  EXPECT_LT(code_.size(), vector_.size());
  EXPECT_LT(codec_.TypicalShare(), 1);
}

TEST_P(LosslessCodecTest, DecodesToTheVector) {
  Bytes decoded(vector_.size());
  ASSERT_TRUE(
      codec_.Decode(code_.data(), code_.size(), kCount, decoded.data()));
  EXPECT_EQ(decoded, vector_);
  Floats wide(kCount);
  ASSERT_TRUE(
      codec_.DecodeF32(code_.data(), code_.size(), kCount, wide.data()));
  EXPECT_EQ(wide, wide_);
  ASSERT_TRUE(
      codec_.DecodeAdd(code_.data(), code_.size(), kCount, wide.data()));
  for (size_t i = 0; i < kCount; ++i) ASSERT_EQ(wide[i], 2 * wide_[i]) << i;
}

TEST_P(LosslessCodecTest, SaysWhatItDecodesTo) {
  Bytes code(codec_.EncodedSize(kCount));
  Floats decoded(kCount);
  codec_.EncodeDecode(vector_.data(), kCount, code.data(), decoded.data());
  EXPECT_EQ(decoded, wide_);
}

TEST_P(LosslessCodecTest, IsDecodedInStretches) {
  CodeView rest = {code_.data(), code_.size()};
  Floats wide(kCount);
  const size_t some = codec_.granule();
  ASSERT_TRUE(codec_.DecodeNext(&rest, some, false, wide.data()));
  ASSERT_TRUE(
      codec_.DecodeNext(&rest, kCount - some, false, wide.data() + some));
  EXPECT_EQ(rest.size, 0U);
  EXPECT_EQ(wide, wide_);
  EXPECT_FALSE(codec_.DecodeNext(&rest, 1, false, wide.data()));
}

TEST_P(LosslessCodecTest, RefusesWhatIsCutOrLonger) {
  Floats wide(kCount);
  Bytes elements(vector_.size());
  Bytes longer = code_;
  longer.push_back(0);
  for (const size_t size :
       {size_t{0}, code_.size() / 2, code_.size() - 1, longer.size()}) {
    EXPECT_FALSE(codec_.Decode(longer.data(), size, kCount, elements.data()));
    EXPECT_FALSE(codec_.DecodeF32(longer.data(), size, kCount, wide.data()));
    EXPECT_FALSE(codec_.DecodeAdd(longer.data(), size, kCount, wide.data()));
  }
}

INSTANTIATE_TEST_SUITE_P(, LosslessCodecTest,
                         ::testing::Values(DataType::kFloat32,
                                           DataType::kFloat16,
                                           DataType::kBfloat16),
                         [](const auto& test) { return NameOf(test.param); });

}  // namespace
}  // namespace longhaul
