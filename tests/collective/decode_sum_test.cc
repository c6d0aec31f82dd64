// Codes added tile by tile are what they decode to, added.
#include "collective/decode_sum.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <optional>
#include <vector>

#include "compute/convert.h"
#include "compute/reduce.h"

namespace longhaul {
namespace {

using Bytes = std::vector<uint8_t>;

constexpr size_t kCount = 10'007;  // tiles, and a part of one

class DecodeSumTest : public ::testing::Test {
 protected:
  void Encode(const char* spec, DataType type, size_t codes) {
    codec_.emplace(*Codec::Create(*CodecSpec::Parse(spec), type));
    for (size_t c = 0; c < codes; ++c) {
      std::vector<float> numbers;
      for (size_t i = 0; i < kCount; ++i) {
        numbers.push_back(std::sin(static_cast<float>(i * 7 + c * 1000)));
      }
      Bytes vector(kCount * SizeOf(type));
      if (type == DataType::kFloat16) {
        ConvertF32ToF16(vector.data(), numbers.data(), kCount);
      } else {
        std::memcpy(vector.data(), numbers.data(), vector.size());
      }
      codes_.emplace_back(codec_->EncodedSize(kCount));
      codec_->Encode(vector.data(), kCount, codes_.back().data());
    }
  }

  std::vector<CodeView> Views() const {
    std::vector<CodeView> views;
    for (const Bytes& code : codes_)
      views.push_back({code.data(), code.size()});
    return views;
  }

  // As DecodeSum has it, of whole vectors.
  std::vector<float> Sum(uint32_t divisor) const {
    std::vector<float> sum(kCount);
    EXPECT_TRUE(codec_->DecodeF32(codes_[0].data(), codes_[0].size(), kCount,
                                  sum.data()));
    for (size_t c = 1; c < codes_.size(); ++c) {
      EXPECT_TRUE(codec_->DecodeAdd(codes_[c].data(), codes_[c].size(), kCount,
                                    sum.data()));
    }
    const void* source = sum.data();
    if (divisor > 1) {
      Reduce({DataType::kFloat32, ReduceOp::kAvg, divisor}, sum.data(),
             std::span(&source, 1), kCount);
    }
    return sum;
  }

  std::optional<Codec> codec_;
  std::vector<Bytes> codes_;
};

TEST_F(DecodeSumTest, TilesAddUpToTheWhole) {
  Encode("int8", DataType::kFloat32, 3);
  std::vector<float> got(kCount);
  std::vector<CodeView> views = Views();
  ASSERT_TRUE(DecodeSum(*codec_, views, kCount, 3,
                        reinterpret_cast<uint8_t*>(got.data())));
  EXPECT_EQ(got, Sum(3));
}

TEST_F(DecodeSumTest, ShortFloatsAreRoundedOnce) {
  Encode("int8:block=32", DataType::kFloat16, 2);
  Bytes got(kCount * 2);
  std::vector<CodeView> views = Views();
  ASSERT_TRUE(DecodeSum(*codec_, views, kCount, 1, got.data()));
  Bytes expected(kCount * 2);
  ConvertF32ToF16(expected.data(), Sum(1).data(), kCount);
  EXPECT_EQ(got, expected);
}

TEST_F(DecodeSumTest, ACodeTooLongOrShortIsTold) {
  Encode("int8", DataType::kFloat32, 2);
  std::vector<float> sum(kCount);
  auto* target = reinterpret_cast<uint8_t*>(sum.data());
  for (const int off : {-1, 1}) {
    codes_[1].resize(codes_[0].size() + 1);
    std::vector<CodeView> views = Views();
    views[1].size = codes_[0].size() + static_cast<size_t>(off);
    EXPECT_FALSE(DecodeSum(*codec_, views, kCount, 1, target)) << off;
  }
}

TEST_F(DecodeSumTest, ABadCodeIsTold) {
  Encode("int8", DataType::kFloat32, 2);
  // A scale that cannot be.
  bool told = false;
  for (size_t i = 0; i + 1 < codes_[1].size() && !told; ++i) {
    Bytes broken = codes_[1];
    broken[i] = broken[i + 1] = 0xff;
    std::vector<float> sum(kCount);
    std::vector<CodeView> codes = Views();
    codes[1].data = broken.data();
    told = !DecodeSum(*codec_, codes, kCount, 1,
                      reinterpret_cast<uint8_t*>(sum.data()));
  }
  EXPECT_TRUE(told);
}

}  // namespace
}  // namespace longhaul
