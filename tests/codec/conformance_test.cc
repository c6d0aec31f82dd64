// The suite that every codec passes on every SIMD target, for every type it
// takes: bit for bit what the reference gives.
#include <array>
#include <bit>
#include <optional>
#include <random>
#include <string>
#include <tuple>

#include "codec/codec.h"
#include "codec/dispatch.h"
#include "codec/reference.h"

namespace longhaul {
namespace {

constexpr uint8_t kGuard = 0xa5;
constexpr size_t kMargin = 70;  // more than a vector

// Bytes at an odd address between guards.
class Guarded {
 public:
  Guarded(size_t offset, size_t size)
      : bytes_(size + 2 * kMargin + offset, kGuard),
        at_(kMargin + offset),
        size_(size) {}
  uint8_t* data() { return bytes_.data() + at_; }
  size_t size() const { return size_; }
  std::vector<uint8_t> Inside() const {
    return {bytes_.begin() + static_cast<std::ptrdiff_t>(at_),
            bytes_.begin() + static_cast<std::ptrdiff_t>(at_ + size_)};
  }
  bool Intact() const {
    for (size_t i = 0; i < bytes_.size(); ++i) {
      if ((i < at_ || i >= at_ + size_) && bytes_[i] != kGuard) return false;
    }
    return true;
  }

 private:
  std::vector<uint8_t> bytes_;
  size_t at_;
  size_t size_;
};

// Vectors that reach every corner: each block (of 32) is of one kind.
class Values {
 public:
  void Fill(DataType type, uint8_t* out, size_t count) {
    Kind kind{};
    for (size_t i = 0; i < count; ++i) {
      if (i % 32 == 0) kind = static_cast<Kind>(random_() % kKinds);
      const float value = Of(kind);
      const auto bits = std::bit_cast<uint32_t>(value);
      const uint16_t f16 = F16FromF32(value);
      const auto bf16 = static_cast<uint16_t>(bits >> 16);
      const void* from = &bits;
      if (type == DataType::kFloat16) from = &f16;
      if (type == DataType::kBfloat16) from = &bf16;
      std::memcpy(out + i * SizeOf(type), from, SizeOf(type));
    }
  }
  uint64_t Next() { return random_(); }

 private:
  enum Kind {
    kGaussian,
    kGaussianToo,
    kIntegers,
    kZeros,
    kSubnormals,
    kSmall,
    kLarge,
    kLargest,
    kAnyBits,
    kRareNan,
    kRareInfinity,
    kKinds
  };

  float Of(Kind kind) {
    const auto bits = static_cast<uint32_t>(random_());
    const uint32_t sign = bits & 0x80000000u;
    const float gauss = gaussian_(random_);
    const bool rarely = random_() % 40 == 0;
    switch (kind) {
      case kIntegers:
        return std::round(gauss * 40);
      case kZeros:
        return std::bit_cast<float>(sign);
      case kSubnormals:
        return std::bit_cast<float>(sign | (bits & 0x7fffffu) >> (bits % 23));
      case kSmall:  // where scales begin to be subnormal
        return gauss * 0x1p-120F;
      case kLarge:
        return gauss * 0x1p125F;
      case kLargest:
        return rarely ? std::bit_cast<float>(sign | 0x7f7fffffu)
                      : gauss * 0x1p120F;
      case kAnyBits:
        return std::bit_cast<float>(bits);
      case kRareNan:
        return rarely ? std::bit_cast<float>(sign | 0x7f800001u | (bits & 7u))
                      : gauss;
      case kRareInfinity:
        return rarely ? std::bit_cast<float>(sign | 0x7f800000u) : gauss;
      default:
        return gauss;
    }
  }

  std::mt19937_64 random_{7};
  std::normal_distribution<float> gaussian_;
};

const char* const kSpecs[] = {"none",
                              "bf16",
                              "f16",
                              "int8",
                              "int8:block=32",
                              "int8:block=256",
                              "int8:rounding=stochastic",
                              "int4",
                              "int4:block=64",
                              "int4:block=256",
                              "int4:rounding=stochastic",
                              "int4:block=128,rounding=stochastic",
                              "e4m3",
                              "e4m3:block=32",
                              "e4m3:block=256,rounding=stochastic",
                              "e5m2",
                              "e5m2:block=128,rounding=stochastic",
                              "int8:rotate",
                              "int8:block=256,rotate",
                              "int4:rotate",
                              "int4:block=128,rounding=stochastic,rotate"};

using Parameter = std::tuple<const CodecKernels*, const char*, DataType>;

std::vector<Parameter> AllParameters() {
  std::vector<Parameter> all;
  for (const CodecKernels* kernels : AvailableCodecKernels()) {
    for (const char* spec : kSpecs) {
      for (const DataType type :
           {DataType::kFloat32, DataType::kFloat16, DataType::kBfloat16}) {
        if (Codec::Create(CodecSpec::Parse(spec).value(), type).ok()) {
          all.emplace_back(kernels, spec, type);
        }
      }
    }
  }
  return all;
}

std::string NameOfParameter(const testing::TestParamInfo<Parameter>& info) {
  std::string name = std::string(std::get<0>(info.param)->name) + "_" +
                     std::get<1>(info.param) + "_" +
                     NameOf(std::get<2>(info.param));
  for (char& c : name) {
    if (std::isalnum(static_cast<unsigned char>(c)) == 0) c = '_';
  }
  return name;
}

class CodecConformanceTest : public testing::TestWithParam<Parameter> {
 protected:
  void SetUp() override {
    const auto& [kernels, text, type] = GetParam();
    spec_ = CodecSpec::Parse(text).value();
    type_ = type;
    codec_.emplace(Codec::Create(spec_, type, *kernels).value());
  }

  size_t Offset() { return values_.Next() % 9; }

  // A source of random values between guards.
  Guarded Source(size_t count) {
    Guarded source(Offset(), count * SizeOf(type_));
    values_.Fill(type_, source.data(), count);
    return source;
  }

  void CheckEncoding(size_t count);
  void CheckDecoding(size_t count);
  void CheckAdding(size_t count, const Guarded& in,
                   const std::vector<float>& decoded);

  std::vector<size_t> Counts() const {
    std::vector<size_t> counts = {0, 1, 2, 7, 15, 16, 17, 31, 32, 33, 1000};
    for (const size_t block : {codec_->granule(), codec_->granule() * 3}) {
      for (const size_t count : {block - 1, block, block + 1, block + 17}) {
        counts.push_back(count);
      }
    }
    return counts;
  }

  static constexpr CodecSeed kSeed = {0x123456789abcdef, 512};

  CodecSpec spec_;
  DataType type_{};
  std::optional<Codec> codec_;
  Values values_;
};

INSTANTIATE_TEST_SUITE_P(, CodecConformanceTest,
                         testing::ValuesIn(AllParameters()), NameOfParameter);

void CodecConformanceTest::CheckEncoding(size_t count) {
  Guarded source = Source(count);
  const std::vector<uint8_t> before = source.Inside();
  const test::Encoded expected =
      test::Encode(spec_, type_, source.data(), count, kSeed);
  ASSERT_EQ(codec_->EncodedSize(count), expected.bytes.size());

  Guarded encoded(Offset(), expected.bytes.size());
  codec_->Encode(source.data(), count, encoded.data(), kSeed);
  ASSERT_EQ(encoded.Inside(), expected.bytes);
  ASSERT_TRUE(encoded.Intact());

  Guarded again(Offset(), expected.bytes.size());
  Guarded decoded(Offset(), count * 4);
  codec_->EncodeDecode(source.data(), count, again.data(), decoded.data(),
                       kSeed);
  ASSERT_EQ(again.Inside(), expected.bytes);
  std::vector<uint8_t> wide(count * 4);
  if (count > 0) std::memcpy(wide.data(), expected.decoded.data(), wide.size());
  ASSERT_EQ(decoded.Inside(), wide);
  ASSERT_TRUE(again.Intact() && decoded.Intact());
  ASSERT_EQ(source.Inside(), before);

  if (type_ == DataType::kFloat32) {  // in place
    codec_->EncodeDecode(source.data(), count, again.data(), source.data(),
                         kSeed);
    ASSERT_EQ(again.Inside(), expected.bytes);
    ASSERT_EQ(source.Inside(), wide);
  }
}

void CodecConformanceTest::CheckAdding(size_t count, const Guarded& in,
                                       const std::vector<float>& decoded) {
  Guarded sum(Offset(), count * 4);
  values_.Fill(DataType::kFloat32, sum.data(), count);
  std::vector<uint32_t> expected(count);
  const std::vector<float> before =
      test::Widened(DataType::kFloat32, sum.data(), count);
  for (size_t i = 0; i < count; ++i) {
    const float total = before[i] + decoded[i];
    expected[i] =
        std::isnan(total) ? 0x7fc00000u : std::bit_cast<uint32_t>(total);
  }
  Guarded copy = in;
  ASSERT_TRUE(codec_->DecodeAdd(copy.data(), copy.size(), count, sum.data()));
  for (size_t i = 0; i < count; ++i) {
    uint32_t bits;
    std::memcpy(&bits, sum.data() + i * 4, 4);
    ASSERT_EQ(bits, expected[i]) << "element " << i << " of " << count;
  }
  ASSERT_TRUE(sum.Intact());
}

void CodecConformanceTest::CheckDecoding(size_t count) {
  Guarded source = Source(count);
  const test::Encoded expected =
      test::Encode(spec_, type_, source.data(), count, kSeed);
  Guarded in(Offset(), expected.bytes.size());
  if (count > 0) {
    std::memcpy(in.data(), expected.bytes.data(), expected.bytes.size());
  }

  Guarded elements(Offset(), count * SizeOf(type_));
  ASSERT_TRUE(codec_->Decode(in.data(), in.size(), count, elements.data()));
  ASSERT_EQ(elements.Inside(), test::Elements(spec_, type_, expected));
  ASSERT_TRUE(elements.Intact());

  Guarded wide(Offset(), count * 4);
  ASSERT_TRUE(codec_->DecodeF32(in.data(), in.size(), count, wide.data()));
  for (size_t i = 0; i < count; ++i) {
    uint32_t bits;
    std::memcpy(&bits, wide.data() + i * 4, 4);
    ASSERT_EQ(bits, std::bit_cast<uint32_t>(expected.decoded[i]))
        << "element " << i << " of " << count;
  }
  ASSERT_TRUE(wide.Intact());
  CheckAdding(count, in, expected.decoded);
}

TEST_P(CodecConformanceTest, EncodesToTheBytesOfTheReference) {
  for (int round = 0; round < 4; ++round) {
    for (const size_t count : Counts()) {
      CheckEncoding(count);
      if (HasFatalFailure()) return;
    }
  }
}

TEST_P(CodecConformanceTest, DecodesToTheBitsOfTheReference) {
  for (int round = 0; round < 4; ++round) {
    for (const size_t count : Counts()) {
      CheckDecoding(count);
      if (HasFatalFailure()) return;
    }
  }
}

TEST_P(CodecConformanceTest, PiecesGiveTheBytesOfTheWhole) {
  const size_t count = codec_->granule() * 5 + 3;
  Guarded source = Source(count);
  std::vector<uint8_t> whole(codec_->EncodedSize(count));
  codec_->Encode(source.data(), count, whole.data(), kSeed);
  const size_t cut = codec_->granule() * 2;
  std::vector<uint8_t> pieces(whole.size());
  const size_t middle = codec_->EncodedSize(cut);
  CodecSeed second = kSeed;
  second.first_element += cut;
  codec_->Encode(source.data(), cut, pieces.data(), kSeed);
  codec_->Encode(source.data() + cut * SizeOf(type_), count - cut,
                 pieces.data() + middle, second);
  EXPECT_EQ(pieces, whole);
  std::vector<float> tail(count - cut);
  ASSERT_TRUE(codec_->DecodeF32(&whole[middle], whole.size() - middle,
                                count - cut, tail.data()));
}

// Whatever the bytes, the same answer and the same bits from every target (the
// fuzz target compares them too); another size than theirs is refused.
TEST_P(CodecConformanceTest, AnyBytesAreDecodedAlikeOrRefused) {
  const Codec first =
      Codec::Create(spec_, type_, *AvailableCodecKernels().front()).value();
  for (int round = 0; round < 200; ++round) {
    const size_t count = values_.Next() % 300;
    std::vector<uint8_t> in(codec_->EncodedSize(count));
    for (uint8_t& byte : in) byte = static_cast<uint8_t>(values_.Next());
    const size_t stride = codec_->EncodedSize(codec_->granule());
    const uint8_t possible = spec_.rotate ? 0xbb : 0x7b;  // as a scale
    for (size_t at = 0; spec_.block != 0 && at < in.size(); at += stride) {
      if (values_.Next() % 8 != 0) in[at + 1] &= possible;
    }
    Guarded target(Offset(), count * 4);
    std::vector<float> other(count);
    const bool taken =
        codec_->DecodeF32(in.data(), in.size(), count, target.data());
    ASSERT_TRUE(target.Intact());
    ASSERT_EQ(first.DecodeF32(in.data(), in.size(), count, other.data()),
              taken);
    if (taken && count > 0) {
      ASSERT_EQ(std::memcmp(target.data(), other.data(), count * 4), 0);
    }
    in.push_back(0);
    ASSERT_FALSE(codec_->DecodeF32(in.data(), in.size(), count, target.data()));
    if (count > 0) {
      ASSERT_FALSE(
          codec_->Decode(in.data(), in.size() - 2, count, target.data()));
    }
  }
}

}  // namespace
}  // namespace longhaul
