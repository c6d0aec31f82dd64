// All-reduces that are encoded between sites, over the whole stack below the
// public API in virtual time: the same bits on every rank, what the codec makes
// of each site's sum added in site order, and everything else as it is.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "codec/codec.h"
#include "compute/convert.h"
#include "support/sim_call.h"
#include "support/sim_job.h"

namespace longhaul {
namespace {

using Bytes = std::vector<uint8_t>;
using Floats = std::vector<float>;

CodecSpec Spec(const char* text) {
  const Result<CodecSpec> spec = CodecSpec::Parse(text);
  EXPECT_TRUE(spec.ok()) << spec.status().ToString();
  return *spec;
}

// Numbers of both signs and of several magnitudes.
float Number(size_t rank, size_t i) {
  const double x = std::sin(static_cast<double>(rank * 7919 + i * 104729));
  return static_cast<float>(x * std::pow(2.0, static_cast<double>(i % 5)));
}

Bytes Narrowed(DataType type, const Floats& values) {
  Bytes bytes(values.size() * SizeOf(type));
  if (type == DataType::kFloat32) {
    std::memcpy(bytes.data(), values.data(), bytes.size());
  } else if (type == DataType::kFloat16) {
    ConvertF32ToF16(bytes.data(), values.data(), values.size());
  } else {
    ConvertF32ToBf16(bytes.data(), values.data(), values.size());
  }
  return bytes;
}

Floats Widened(DataType type, const Bytes& bytes) {
  Floats values(bytes.size() / SizeOf(type));
  if (type == DataType::kFloat32) {
    std::memcpy(values.data(), bytes.data(), bytes.size());
  } else if (type == DataType::kFloat16) {
    ConvertF16ToF32(values.data(), bytes.data(), values.size());
  } else {
    ConvertBf16ToF32(values.data(), bytes.data(), values.size());
  }
  return values;
}

struct Case {
  std::vector<Rank> sites;
  Algorithm algorithm = Algorithm::kHierarchical;
  const char* codec = "int8";
  DataType type = DataType::kFloat32;
  ReduceOp op = ReduceOp::kSum;
  size_t count = 1000;
  bool in_place = false;
};

// One all-reduce on every rank of a job of its own.
class CodedCall {
 public:
  explicit CodedCall(const Case& c) : case_(c), job_(3, ConfigOf(c)) {
    for (Rank r = 0; r < job_.size(); ++r) {
      Floats numbers;
      for (size_t i = 0; i < c.count; ++i) {
        numbers.push_back(Number(static_cast<size_t>(r), i));
      }
      inputs_.push_back(Narrowed(c.type, numbers));
      outputs_.push_back(inputs_.back());
    }
  }

  void Run() {
    std::vector<Operation*> operations;
    for (size_t r = 0; r < inputs_.size(); ++r) {
      OperationCall call;
      call.type = case_.type;
      call.op = case_.op;
      call.input = case_.in_place ? outputs_[r].data() : inputs_[r].data();
      call.output = outputs_[r].data();
      call.count = case_.count;
      operations.push_back(job_.Start(static_cast<Rank>(r), call));
    }
    ASSERT_TRUE(job_.world().RunUntil(
        [&] {
          return std::all_of(operations.begin(), operations.end(),
                             [](Operation* o) { return o->Done(); });
        },
        job_.world().now() + 60 * kSecond));
    for (Operation* operation : operations) {
      EXPECT_TRUE(operation->status().ok()) << operation->status().ToString();
      operation->Release();
    }
  }

  void Poison(size_t rank, size_t i) {
    Floats numbers = Widened(case_.type, inputs_[rank]);
    numbers[i] = NAN;
    outputs_[rank] = inputs_[rank] = Narrowed(case_.type, numbers);
  }

  SimJob& job() { return job_; }
  const std::vector<Bytes>& outputs() const { return outputs_; }

  /// Sum of a site's ranks as its first rank has it, in the operation's type.
  Bytes SumOf(const std::vector<size_t>& ranks) const {
    Bytes sum(inputs_[0].size());
    std::vector<const void*> sources;
    for (const size_t r : ranks) sources.push_back(inputs_[r].data());
    Reduce({case_.type, ReduceOp::kSum, 1}, sum.data(), sources, case_.count);
    return sum;
  }

 private:
  static SimJobConfig ConfigOf(const Case& c) {
    SimJobConfig config;
    config.sites = c.sites;
    config.algorithm = c.algorithm;
    config.codec = Spec(c.codec);
    return config;
  }

  const Case case_;
  SimJob job_;
  std::vector<Bytes> inputs_;
  std::vector<Bytes> outputs_;
};

std::vector<Case> Cases() {
  std::vector<Case> cases;
  for (const char* codec :
       {"bf16", "f16", "int8", "int4:rounding=stochastic"}) {
    for (const Algorithm algorithm :
         {Algorithm::kHierarchical, Algorithm::kSharded}) {
      for (const std::vector<Rank>& sites :
           {std::vector<Rank>{1, 1}, {2, 2}, {2, 1, 3}, {1, 1, 1, 1}}) {
        for (const size_t count : {1U, 1000U, 70'001U}) {
          Case c;
          c.sites = sites;
          c.algorithm = algorithm;
          c.codec = codec;
          c.count = count;
          c.in_place = count % 2 == 0;
          cases.push_back(c);
        }
      }
    }
  }
  return cases;
}

// An element's sites are each off by a step of their block at most, and the
// total again if that is encoded.
double Tolerance(const Case& c) {
  const double largest = 16.0 * 6;  // of any sum
  const std::string codec = c.codec;
  const double step = codec.starts_with("int4")   ? largest / 7
                      : codec.starts_with("int8") ? largest / 127
                      : codec == "bf16"           ? largest / 256
                                                  : largest / 2048;
  return step * 1.1 * static_cast<double>(c.sites.size() + 1);
}

TEST(CodedOperationsTest, EveryRankHasTheSameBitsNearTheSum) {
  for (const Case& c : Cases()) {
    CodedCall call(c);
    call.Run();
    const std::string where = std::string(c.codec) + " " + NameOf(c.algorithm) +
                              " " + ::testing::PrintToString(c.sites) + " " +
                              std::to_string(c.count);
    const Floats got = Widened(c.type, call.outputs()[0]);
    double worst = 0;
    for (size_t i = 0; i < c.count; ++i) {
      double sum = 0;
      for (size_t r = 0; r < call.outputs().size(); ++r) sum += Number(r, i);
      worst = std::max(worst, std::abs(sum - static_cast<double>(got[i])));
    }
    EXPECT_LE(worst, Tolerance(c)) << where;
    for (const Bytes& output : call.outputs()) {
      EXPECT_EQ(output, call.outputs()[0]) << where;
    }
  }
}

// To the bit: with one rank with WAN access per site and one segment, a site's
// sum is encoded as a whole.
TEST(CodedOperationsTest, TotalsAreWhatTheSitesCodesDecodeTo) {
  for (const DataType type :
       {DataType::kFloat32, DataType::kFloat16, DataType::kBfloat16}) {
    for (const ReduceOp op : {ReduceOp::kSum, ReduceOp::kAvg}) {
      Case c;
      c.sites = {1, 1, 1};
      c.type = type;
      c.op = op;
      c.codec = "int8:block=32";
      CodedCall call(c);
      call.Run();
      const Codec codec = *Codec::Create(Spec(c.codec), type);
      Floats total(c.count, 0);
      for (size_t site = 0; site < 3; ++site) {
        Bytes code(codec.EncodedSize(c.count));
        codec.Encode(call.SumOf({site}).data(), c.count, code.data());
        if (site == 0) {
          ASSERT_TRUE(
              codec.DecodeF32(code.data(), code.size(), c.count, total.data()));
        } else {
          ASSERT_TRUE(
              codec.DecodeAdd(code.data(), code.size(), c.count, total.data()));
        }
      }
      if (op == ReduceOp::kAvg) {
        const void* source = total.data();
        Reduce({DataType::kFloat32, op, 3}, total.data(), std::span(&source, 1),
               c.count);
      }
      EXPECT_EQ(call.outputs()[2], Narrowed(type, total)) << NameOf(type);
    }
  }
}

// What is not lost is added in the same order as without a codec.
TEST(CodedOperationsTest, LosslessHasTheBitsThatNoneHas) {
  for (const DataType type :
       {DataType::kFloat32, DataType::kFloat16, DataType::kBfloat16}) {
    for (const Algorithm algorithm :
         {Algorithm::kHierarchical, Algorithm::kSharded}) {
      Case c;
      c.sites = {2, 1, 3};
      c.algorithm = algorithm;
      c.type = type;
      c.count = 70'001;
      c.codec = "none";
      CodedCall plain(c);
      plain.Run();
      c.codec = "lossless";
      CodedCall coded(c);
      coded.Run();
      EXPECT_EQ(plain.outputs(), coded.outputs())
          << NameOf(type) << " " << NameOf(algorithm);
    }
  }
}

TEST(CodedOperationsTest, WhatACodecDoesNotTakeIsExact) {
  struct Other {
    DataType type;
    ReduceOp op;
  };
  for (const Other& other : {Other{DataType::kInt32, ReduceOp::kSum},
                             {DataType::kFloat64, ReduceOp::kSum},
                             {DataType::kFloat32, ReduceOp::kMax},
                             {DataType::kFloat32, ReduceOp::kProd}}) {
    SimJobConfig config;
    config.sites = {2, 2};
    config.codec = Spec("int4");
    SimJob job(4, config);
    SimCall call(job, {Collective::kAllReduce, 5000, other.type, other.op});
    call.Start();
    ASSERT_TRUE(job.world().RunUntil([&] { return call.Done(); },
                                     job.world().now() + 60 * kSecond));
    EXPECT_EQ(call.Wrong(), 0U) << NameOf(other.type) << NameOf(other.op);
  }
}

TEST(CodedOperationsTest, NothingIsEncodedInsideASite) {
  SimJobConfig config;
  config.sites = {3};
  config.codec = Spec("int4");
  SimJob job(4, config);
  SimCall call(job, {Collective::kAllReduce, 5000, DataType::kFloat32});
  call.Start();
  ASSERT_TRUE(job.world().RunUntil([&] { return call.Done(); },
                                   job.world().now() + 60 * kSecond));
  EXPECT_EQ(call.Wrong(), 0U);
}

TEST(CodedOperationsTest, CrossingTakesAsManyBytesAsTheCodec) {
  const size_t count = 1 << 20;
  for (const auto& [codec, ratio] :
       {std::pair{"none", 1.0}, {"bf16", 2.0}, {"int8", 3.85}, {"int4", 7.0}}) {
    Case c;
    c.sites = {1, 1};
    c.codec = codec;
    c.count = count;
    CodedCall call(c);
    call.Run();
    const uint64_t sent = call.job().Find(0, 1)->Counters().out.bytes;
    const double most = 4.0 * count / ratio * 1.01;
    EXPECT_LE(static_cast<double>(sent), most) << codec;
  }
}

TEST(CodedOperationsTest, RanksThatDisagreeOnTheCodecFindOut) {
  SimJobConfig config;
  config.sites = {1, 1};
  config.codec = Spec("int8");
  config.odd_rank = 1;
  config.odd_codec = Spec("int8:rounding=stochastic");
  SimJob job(4, config);
  SimCall call(job, {Collective::kAllReduce, 5000, DataType::kFloat32});
  call.Start();
  ASSERT_TRUE(job.world().RunUntil([&] { return call.Done(); },
                                   job.world().now() + 60 * kSecond));
  for (const Rank rank : {0, 1}) {
    EXPECT_EQ(call.status(rank).code(), StatusCode::kInvalidArgument);
    EXPECT_NE(call.status(rank).text().find("codec"), std::string::npos)
        << call.status(rank).text();
  }
}

TEST(CodedOperationsTest, ANanReachesEveryRank) {
  for (const char* codec : {"bf16", "int8", "int4"}) {
    Case c;
    c.sites = {1, 1};
    c.codec = codec;
    CodedCall call(c);
    call.Poison(1, 500);
    call.Run();
    for (const Bytes& output : call.outputs()) {
      EXPECT_TRUE(std::isnan(Widened(c.type, output)[500])) << codec;
      EXPECT_FALSE(std::isnan(Widened(c.type, output)[0])) << codec;
    }
  }
}

}  // namespace
}  // namespace longhaul
