// Inputs reduce to what the check expects, computed here in another way; and
// the check sees what can go wrong with a collective.
#include "harness/pattern.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <string>
#include <vector>

namespace longhaul::bench {
namespace {

constexpr size_t kCount = 5000;

// Any element as a double: every value of a Pattern fits, but 64-bit products.
double Load(DataType type, const uint8_t* at) {
  const auto read = [&]<typename T>(T value) {
    std::memcpy(&value, at, sizeof value);
    return value;
  };
  switch (type) {
    case DataType::kInt8:
      return read(int8_t{});
    case DataType::kUint8:
      return read(uint8_t{});
    case DataType::kInt32:
      return read(int32_t{});
    case DataType::kUint32:
      return read(uint32_t{});
    case DataType::kInt64:
      return static_cast<double>(read(int64_t{}));
    case DataType::kUint64:
      return static_cast<double>(read(uint64_t{}));
    case DataType::kFloat32:
      return static_cast<double>(read(float{}));
    case DataType::kFloat64:
      return read(double{});
    case DataType::kBfloat16:
      return static_cast<double>(
          std::bit_cast<float>(uint32_t{read(uint16_t{})} << 16));
    case DataType::kFloat16:
      break;
  }
  const auto bits = read(uint16_t{});
  const int exponent = (bits >> 10) & 31;
  const double fraction = (bits & 1023) / 1024.0;
  const double size = exponent == 0 ? std::ldexp(fraction, -14)
                                    : std::ldexp(1 + fraction, exponent - 15);
  return (bits & 0x8000) != 0 ? -size : size;
}

double Combine(ReduceOp op, double a, double b) {
  switch (op) {
    case ReduceOp::kProd:
      return a * b;
    case ReduceOp::kMax:
      return std::max(a, b);
    case ReduceOp::kMin:
      return std::min(a, b);
    default:
      return a + b;
  }
}

using Bytes = std::vector<uint8_t>;

class Inputs {
 public:
  Inputs(DataType type, ReduceOp op, int ranks, uint32_t round)
      : type_(type), op_(op) {
    const Pattern pattern(type, op, ranks);
    for (int r = 0; r < ranks; ++r) {
      all_.emplace_back(kCount * SizeOf(type));
      pattern.Fill(r, round, all_.back().data(), kCount);
    }
  }
  double At(size_t rank, size_t index) const {
    return Load(type_, &all_[rank][index * SizeOf(type_)]);
  }
  // What the ranks from `first` on reduce to, leaving out one.
  double Reduced(size_t index, size_t left_out = SIZE_MAX) const {
    bool any = false;
    double value = 0;
    for (size_t r = 0; r < all_.size(); ++r) {
      if (r == left_out) continue;
      value = any ? Combine(op_, value, At(r, index)) : At(r, index);
      any = true;
    }
    return op_ == ReduceOp::kAvg
               ? std::trunc(value / static_cast<double>(all_.size()))
               : value;
  }

 private:
  DataType type_;
  ReduceOp op_;
  std::vector<Bytes> all_;
};

Bytes Store(DataType type, const std::vector<double>& values) {
  Bytes bytes(values.size() * SizeOf(type));
  for (size_t i = 0; i < values.size(); ++i) {
    uint8_t* at = &bytes[i * SizeOf(type)];
    const auto put = [&](auto value) { std::memcpy(at, &value, sizeof value); };
    const double v = values[i];
    switch (type) {
      case DataType::kInt8:
        put(static_cast<int8_t>(static_cast<int64_t>(v)));
        break;
      case DataType::kUint8:
        put(static_cast<uint8_t>(static_cast<int64_t>(v)));
        break;
      case DataType::kInt32:
        put(static_cast<int32_t>(v));
        break;
      case DataType::kUint32:
        put(static_cast<uint32_t>(v));
        break;
      case DataType::kInt64:
        put(static_cast<int64_t>(v));
        break;
      case DataType::kUint64:
        put(static_cast<uint64_t>(v));
        break;
      case DataType::kFloat32:
        put(static_cast<float>(v));
        break;
      case DataType::kFloat64:
        put(v);
        break;
      case DataType::kBfloat16:
        put(static_cast<uint16_t>(
            std::bit_cast<uint32_t>(static_cast<float>(v)) >> 16));
        break;
      case DataType::kFloat16: {
        int exponent = 0;
        const double fraction = std::frexp(std::fabs(v), &exponent);
        const auto bits = v == 0
                              ? 0
                              : ((exponent + 14) << 10) |
                                    static_cast<int>((fraction * 2 - 1) * 1024);
        put(static_cast<uint16_t>(bits | (v < 0 ? 0x8000 : 0)));
        break;
      }
    }
  }
  return bytes;
}

struct Case {
  DataType type;
  ReduceOp op;
};

// All but products of integers, which wrap beyond what a double can follow.
std::vector<Case> Cases() {
  std::vector<Case> cases;
  for (int type = 0; type < kDataTypeCount; ++type) {
    for (int op = 0; op < kReduceOpCount; ++op) {
      const bool whole = type < static_cast<int>(DataType::kFloat16);
      const auto reduction = static_cast<ReduceOp>(op);
      if (whole && reduction == ReduceOp::kProd) continue;
      cases.push_back({static_cast<DataType>(type), reduction});
    }
  }
  return cases;
}

class PatternTest : public testing::TestWithParam<Case> {
 protected:
  static Bytes Result(int ranks, uint32_t round, size_t left_out = SIZE_MAX) {
    const Case& c = GetParam();
    const Inputs inputs(c.type, c.op, ranks, round);
    std::vector<double> values(kCount);
    for (size_t i = 0; i < kCount; ++i) values[i] = inputs.Reduced(i, left_out);
    return Store(c.type, values);
  }
  static size_t Wrong(int ranks, uint32_t round, const Bytes& result,
                      size_t* first = nullptr) {
    return Pattern(GetParam().type, GetParam().op, ranks)
        .CountWrong(round, result.data(), kCount, first);
  }
};

TEST_P(PatternTest, AcceptsTheReductionOnly) {
  const size_t size = SizeOf(GetParam().type);
  for (int ranks : {1, 2, 3, 4, 8, 17}) {
    SCOPED_TRACE(ranks);
    Bytes result = Result(ranks, 7);
    EXPECT_EQ(Wrong(ranks, 7, result), 0U);
    EXPECT_GT(Wrong(ranks, 8, result), kCount / 5) << "of an earlier round";
    result[1234 * size + size - 1] ^= 1;
    size_t first = 0;
    EXPECT_EQ(Wrong(ranks, 7, result, &first), 1U);
    EXPECT_EQ(first, 1234U);
  }
}

TEST_P(PatternTest, SeesSwappedChunks) {
  for (int ranks : {1, 2, 17}) {
    SCOPED_TRACE(ranks);
    Bytes result = Result(ranks, 7);
    const auto middle =
        result.begin() + static_cast<std::ptrdiff_t>(result.size() / 2);
    std::swap_ranges(result.begin(), middle, middle);
    EXPECT_GT(Wrong(ranks, 7, result), kCount / 5);
  }
}

// An extreme is missed only where it was the extreme; a factor of 1 costs
// nothing; a truncated quotient may hide small terms.
TEST_P(PatternTest, SeesAMissingContribution) {
  for (int ranks : {2, 3, 4, 8, 17}) {
    SCOPED_TRACE(ranks);
    const Bytes result = Result(ranks, 7, static_cast<size_t>(ranks) - 1);
    EXPECT_GT(Wrong(ranks, 7, result), kCount / 60);
  }
}

TEST_P(PatternTest, RanksDiffer) {
  for (int ranks : {2, 17}) {
    SCOPED_TRACE(ranks);
    const Inputs inputs(GetParam().type, GetParam().op, ranks, 7);
    size_t same = 0;
    for (size_t i = 0; i < kCount; ++i) {
      if (inputs.At(0, i) == inputs.At(1, i)) ++same;
    }
    EXPECT_LT(same, kCount / 2);
  }
}

std::string CaseName(const testing::TestParamInfo<Case>& info) {
  return std::string(NameOf(info.param.type)) + "_" + NameOf(info.param.op);
}
INSTANTIATE_TEST_SUITE_P(All, PatternTest, testing::ValuesIn(Cases()),
                         CaseName);

template <typename T>
void CheckProducts(DataType type, int ranks) {
  const Pattern pattern(type, ReduceOp::kProd, ranks);
  std::vector<T> product(kCount, 1);
  std::vector<T> last(kCount);
  for (int r = 0; r < ranks; ++r) {
    pattern.Fill(r, 3, last.data(), kCount);
    for (size_t i = 0; i < kCount; ++i) {
      product[i] = static_cast<T>(static_cast<uint64_t>(product[i]) *
                                  static_cast<uint64_t>(last[i]));
    }
  }
  EXPECT_EQ(pattern.CountWrong(3, product.data(), kCount), 0U);
  EXPECT_GT(pattern.CountWrong(4, product.data(), kCount), kCount * 9 / 10);
}

TEST(Pattern, IntegerProductsWrap) {
  CheckProducts<int8_t>(DataType::kInt8, 5);
  CheckProducts<uint8_t>(DataType::kUint8, 5);
  CheckProducts<int32_t>(DataType::kInt32, 5);
  CheckProducts<uint32_t>(DataType::kUint32, 17);
  CheckProducts<int64_t>(DataType::kInt64, 5);
  CheckProducts<uint64_t>(DataType::kUint64, 17);
}

TEST(Pattern, ManyRanksStayExactInNarrowTypes) {
  for (DataType type : {DataType::kInt8, DataType::kBfloat16}) {
    const int ranks = 300;
    const Inputs inputs(type, ReduceOp::kSum, ranks, 1);
    double most = 0;
    for (size_t i = 0; i < kCount; ++i) {
      most = std::max(most, inputs.Reduced(i));
    }
    EXPECT_LE(most, type == DataType::kInt8 ? 127 : 256);
  }
}

TEST(Pattern, NothingIsRight) {
  EXPECT_EQ(
      Pattern(DataType::kFloat32, ReduceOp::kSum, 4).CountWrong(1, nullptr, 0),
      0U);
}

}  // namespace
}  // namespace longhaul::bench
