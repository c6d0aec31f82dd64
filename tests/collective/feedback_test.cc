// What codecs leave out comes later, and nothing else does.
#include "collective/feedback.h"

#include <gtest/gtest.h>
#include <longhaul/longhaul.h>

#include <array>
#include <cmath>
#include <limits>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "compute/convert.h"
#include "support/job.h"

namespace longhaul {
namespace {

using Floats = std::vector<float>;
using Bytes = std::vector<uint8_t>;

constexpr uint64_t kPlenty = uint64_t{1} << 30;
constexpr uint64_t kGrainBytes = Residuals::kGrain * sizeof(float);

Codec MakeCodec(const char* spec) {
  return *Codec::Create(*CodecSpec::Parse(spec), DataType::kFloat32);
}

Floats Numbers(size_t count) {
  Floats numbers;
  for (size_t i = 0; i < count; ++i) {
    numbers.push_back(std::sin(static_cast<float>(i * 17)) *
                      static_cast<float>(1 + i % 13));
  }
  return numbers;
}

// Encoded, and decoded again.
Floats Pass(const Codec& codec, DataType type, const void* source,
            uint64_t first, size_t count, Residuals& residuals,
            Stage stage = Stage::kSum) {
  Bytes code(codec.EncodedSize(count));
  EncodeWithFeedback(codec, type, source, first, count, stage, 1, residuals,
                     code.data());
  Floats decoded(count);
  EXPECT_TRUE(codec.DecodeF32(code.data(), code.size(), count, decoded.data()));
  return decoded;
}

double MeanError(const Floats& sum, const Floats& exact, double times) {
  double worst = 0;
  for (size_t i = 0; i < exact.size(); ++i) {
    worst = std::max(worst, std::abs(static_cast<double>(sum[i]) / times -
                                     static_cast<double>(exact[i])));
  }
  return worst;
}

TEST(Feedback, WhatIsLeftOutComesLater) {
  for (const char* spec :
       {"int4", "int8", "bf16", "int4:rounding=stochastic"}) {
    const Codec codec = MakeCodec(spec);
    const Floats exact = Numbers(10'007);
    Residuals residuals(exact.size());
    Floats sum(exact.size());
    const Floats once = Pass(codec, DataType::kFloat32, exact.data(), 0,
                             exact.size(), residuals);
    const double error = MeanError(once, exact, 1);
    residuals.Clear();
    constexpr int kTimes = 32;
    for (int t = 0; t < kTimes; ++t) {
      const Floats decoded = Pass(codec, DataType::kFloat32, exact.data(), 0,
                                  exact.size(), residuals);
      for (size_t i = 0; i < sum.size(); ++i) sum[i] += decoded[i];
    }
    EXPECT_GT(error, 0) << spec;
    EXPECT_LT(MeanError(sum, exact, kTimes), 3 * error / kTimes) << spec;
  }
}

TEST(Feedback, OfShortFloatsToo) {
  const Codec codec = MakeCodec("int8");
  const Floats exact = Numbers(5'000);
  Bytes halves(exact.size() * 2);
  ConvertF32ToBf16(halves.data(), exact.data(), exact.size());
  Floats rounded(exact.size());
  ConvertBf16ToF32(rounded.data(), halves.data(), exact.size());
  Residuals residuals(exact.size());
  const Floats decoded = Pass(codec, DataType::kBfloat16, halves.data(), 0,
                              exact.size(), residuals);
  const std::span<const float> kept = residuals.Of(Stage::kSum);
  for (size_t i = 0; i < exact.size(); ++i) {
    ASSERT_FLOAT_EQ(decoded[i] + kept[i], rounded[i]) << i;
  }
}

TEST(Feedback, StagesAndPlacesAreApart) {
  const Codec codec = MakeCodec("int4");
  const Floats exact = Numbers(3 * Residuals::kGrain);
  Residuals residuals(exact.size());
  const size_t some = Residuals::kGrain / 2;
  Pass(codec, DataType::kFloat32, exact.data(), Residuals::kGrain, some,
       residuals, Stage::kTotal);
  EXPECT_TRUE(residuals.Of(Stage::kSum).empty());
  EXPECT_FALSE(residuals.Has(Stage::kTotal, 0));
  EXPECT_TRUE(residuals.Has(Stage::kTotal, 1));
  EXPECT_FALSE(residuals.Has(Stage::kTotal, 2));
  EXPECT_EQ(residuals.bytes(), kGrainBytes);
}

TEST(Feedback, WhatIsNoNumberLeavesNothingBehind) {
  const Codec codec = MakeCodec("int8");
  Floats vector = Numbers(256);
  vector[3] = std::numeric_limits<float>::infinity();
  vector[70] = std::numeric_limits<float>::quiet_NaN();
  Residuals residuals(vector.size());
  const Floats bad = Pass(codec, DataType::kFloat32, vector.data(), 0,
                          vector.size(), residuals);
  EXPECT_TRUE(std::isnan(bad[3]));
  EXPECT_TRUE(std::isnan(bad[70]));
  for (const float kept : residuals.Of(Stage::kSum)) {
    ASSERT_TRUE(std::isfinite(kept));
  }
  vector = Numbers(256);
  for (const float x : Pass(codec, DataType::kFloat32, vector.data(), 0,
                            vector.size(), residuals)) {
    ASSERT_TRUE(std::isfinite(x));
  }
}

// As an operation does that encodes one grain of it.
void Use(Feedback& feedback, const TensorKey& key, uint64_t count = 5000) {
  Feedback::Tensor* tensor = feedback.Hold(key, count);
  ASSERT_NE(tensor, nullptr);
  tensor->residuals.At(Stage::kSum, 0, 10)[0] = 1;
  feedback.LetGo(*tensor);
}

float FirstOf(Feedback& feedback, const TensorKey& key, uint64_t count = 5000) {
  Feedback::Tensor* tensor = feedback.Hold(key, count);
  const std::span<const float> kept = tensor->residuals.Of(Stage::kSum);
  const float first = kept.empty() ? 0 : kept[0];
  feedback.LetGo(*tensor);
  return first;
}

TEST(Feedback, TheTensorUsedLongestAgoGoesFirst) {
  Feedback feedback(2 * kGrainBytes);
  Use(feedback, {1, 0, 0});
  Use(feedback, {2, 0, 0});
  Use(feedback, {1, 0, 0});
  Use(feedback, {3, 0, 0});
  EXPECT_EQ(feedback.evicted(), 1U);
  EXPECT_EQ(feedback.bytes(), 2 * kGrainBytes);
  EXPECT_EQ(FirstOf(feedback, {1, 0, 0}), 1);
  EXPECT_EQ(FirstOf(feedback, {3, 0, 0}), 1);
  EXPECT_EQ(FirstOf(feedback, {2, 0, 0}), 0);
}

TEST(Feedback, WhatIsInUseStays) {
  Feedback feedback(kGrainBytes);
  Feedback::Tensor* tensor = feedback.Hold({1, 0, 0}, 5000);
  tensor->residuals.At(Stage::kSum, 0, 10)[0] = 1;
  Use(feedback, {2, 0, 0});
  Use(feedback, {3, 0, 0});
  EXPECT_EQ(tensor->residuals.Of(Stage::kSum)[0], 1);
  feedback.LetGo(*tensor);
}

TEST(Feedback, AnotherLengthIsAnotherTensor) {
  Feedback feedback(kPlenty);
  Use(feedback, {1, 0, 0}, 5000);
  EXPECT_EQ(FirstOf(feedback, {1, 0, 0}, 5001), 0);
  Feedback::Tensor* tensor = feedback.Hold({1, 0, 0}, 5001);
  EXPECT_EQ(feedback.Hold({1, 0, 0}, 7), nullptr);
  feedback.LetGo(*tensor);
}

TEST(Feedback, ResetForgets) {
  Feedback feedback(kPlenty);
  Use(feedback, {1, 0, 0});
  Use(feedback, {2, 0, 0});
  feedback.Reset(1);
  feedback.Reset(77);
  EXPECT_EQ(FirstOf(feedback, {1, 0, 0}), 0);
  EXPECT_EQ(FirstOf(feedback, {2, 0, 0}), 1);
  feedback.Reset();
  EXPECT_EQ(FirstOf(feedback, {2, 0, 0}), 0);
  EXPECT_EQ(feedback.bytes(), 0U);
}

TEST(Feedback, IsSavedAndLoaded) {
  Feedback feedback(kPlenty);
  Use(feedback, {1, 0, 0});
  Use(feedback, {2, 0, 0}, 3 * Residuals::kGrain + 1);
  Use(feedback, {0, 0x1000, 5000}, 5000);
  const Bytes saved = feedback.Save();
  Feedback other(kPlenty);
  Use(other, {9, 0, 0});
  ASSERT_TRUE(other.Load(saved).ok());
  EXPECT_EQ(other.tensors(), 2U);
  EXPECT_EQ(other.bytes(), 2 * kGrainBytes);
  EXPECT_EQ(FirstOf(other, {1, 0, 0}), 1);
  EXPECT_EQ(FirstOf(other, {2, 0, 0}, 3 * Residuals::kGrain + 1), 1);
  EXPECT_EQ(FirstOf(other, {9, 0, 0}), 0);
}

void Seal(Bytes& saved) {
  StoreLittle<uint32_t>(saved.data() + 4,
                        Crc32c(saved.data() + 8, saved.size() - 8));
}

TEST(Feedback, NothingElseIsLoaded) {
  Feedback source(kPlenty);
  Use(source, {1, 0, 0});
  const Bytes good = source.Save();
  Feedback feedback(kPlenty);
  Use(feedback, {5, 0, 0});
  const auto refused = [&](Bytes saved, StatusCode code) {
    EXPECT_EQ(feedback.Load(saved).code(), code);
    EXPECT_EQ(FirstOf(feedback, {5, 0, 0}), 1);
  };
  refused({}, StatusCode::kCorrupt);
  for (size_t size = 0; size < good.size(); size += 97) {
    Bytes cut(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(size));
    if (size >= 16) Seal(cut);
    refused(cut, StatusCode::kCorrupt);
  }
  Bytes flipped = good;
  flipped[100] ^= 1;
  refused(flipped, StatusCode::kCorrupt);
  Bytes longer = good;
  longer.push_back(0);
  Seal(longer);
  refused(longer, StatusCode::kCorrupt);
  Bytes endless = good;  // a length that no memory has
  StoreLittle<uint64_t>(endless.data() + 24, uint64_t{1} << 53);
  Seal(endless);
  refused(endless, StatusCode::kCorrupt);
  Bytes beyond = good;  // a grain behind the end
  StoreLittle<uint64_t>(beyond.data() + 40, 2);
  Seal(beyond);
  refused(beyond, StatusCode::kCorrupt);
  Bytes nan = good;
  StoreLittle<uint32_t>(nan.data() + 48, 0x7fc00000);
  Seal(nan);
  refused(nan, StatusCode::kCorrupt);

  Feedback small(kGrainBytes - 1);
  EXPECT_EQ(small.Load(good).code(), StatusCode::kExhausted);
}

// ---- whole jobs ------------------------------------------------------------

struct Repeated {
  std::vector<int> sites;
  Algorithm algorithm;
};

class FeedbackJobTest : public ::testing::TestWithParam<Repeated> {
 protected:
  static constexpr size_t kCount = 20'011;
  static constexpr int kTimes = 24;

  static void Run(const std::function<void(Communicator&)>& body,
                  bool feedback) {
    RunJob(GetParam().sites, body, [feedback](Options& options) {
      options.compress = *CodecSpec::Parse("int4");
      options.error_feedback = feedback;
      options.algo = GetParam().algorithm;
    });
  }

  static Floats InputOf(int rank) {
    Floats input = Numbers(kCount);
    for (float& x : input) x *= static_cast<float>(1 + rank);
    return input;
  }

  static Floats Reduced(Communicator& world, const AllReduceOptions& options) {
    const Floats input = InputOf(world.rank());
    Floats output(kCount);
    const Status status =
        world
            .AllReduce(input.data(), output.data(), kCount, DataType::kFloat32,
                       ReduceOp::kSum, options)
            .Wait();
    EXPECT_TRUE(status.ok()) << status.ToString();
    return output;
  }

  // Of what ranks have on average, after some all-reduces of the same.
  static double ErrorOfMean(bool feedback) {
    std::atomic<double> worst = 0;
    Run(
        [&](Communicator& world) {
          Floats exact(kCount);
          for (int r = 0; r < world.size(); ++r) {
            const Floats input = InputOf(r);
            for (size_t i = 0; i < kCount; ++i) exact[i] += input[i];
          }
          Floats sum(kCount);
          for (int t = 0; t < kTimes; ++t) {
            const Floats output = Reduced(world, {.tensor = 3});
            for (size_t i = 0; i < kCount; ++i) sum[i] += output[i];
          }
          const double mine = MeanError(sum, exact, kTimes);
          double seen = worst;
          while (mine > seen && !worst.compare_exchange_weak(seen, mine)) {
          }
        },
        feedback);
    return worst;
  }
};

TEST_P(FeedbackJobTest, SumsAreRightOnAverage) {
  const double without = ErrorOfMean(false);
  const double with = ErrorOfMean(true);
  EXPECT_GT(without, 0.5);  // a scale is up to 13 * 6 / 7
  EXPECT_LT(with, without / 6);
}

TEST_P(FeedbackJobTest, GoesOnWhereItWasSaved) {
  Run(
      [](Communicator& world) {
        const Floats first = Reduced(world, {.tensor = 3});
        const Bytes saved = world.SaveFeedback();
        const Floats second = Reduced(world, {.tensor = 3});
        EXPECT_TRUE(first != second);
        ASSERT_TRUE(world.LoadFeedback(saved).ok());
        EXPECT_TRUE(Reduced(world, {.tensor = 3}) == second);
        EXPECT_TRUE(Reduced(world, {.tensor = 4}) == first);
        world.ResetFeedback(3);
        EXPECT_TRUE(Reduced(world, {.tensor = 3}) == first);
        world.ResetFeedback();
        EXPECT_TRUE(Reduced(world, {.tensor = 4}) == first);
      },
      true);
}

TEST_P(FeedbackJobTest, TensorsWithoutNamesAreToldByTheirPlace) {
  Run(
      [](Communicator& world) {
        const Floats input = InputOf(world.rank());
        const Floats elsewhere = input;
        const std::array from = {&input, &input, &elsewhere};
        std::array<Floats, 3> outputs;
        for (size_t i = 0; i < outputs.size(); ++i) {
          outputs[i].resize(kCount);
          EXPECT_TRUE(world
                          .AllReduce(from[i]->data(), outputs[i].data(), kCount,
                                     DataType::kFloat32, ReduceOp::kSum)
                          .Wait()
                          .ok());
        }
        EXPECT_TRUE(outputs[0] != outputs[1]);
        EXPECT_TRUE(outputs[0] == outputs[2]);
      },
      true);
}

INSTANTIATE_TEST_SUITE_P(
    Jobs, FeedbackJobTest,
    ::testing::Values(Repeated{{2, 2}, Algorithm::kHierarchical},
                      Repeated{{1, 1, 2}, Algorithm::kSharded}),
    [](const auto& test) {
      return test.param.algorithm == Algorithm::kSharded ? "Sharded"
                                                         : "Hierarchical";
    });

}  // namespace
}  // namespace longhaul
