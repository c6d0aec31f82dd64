#include "collective/codecs.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/check.h"
#include "base/clock.h"
#include "collective/schedule.h"

namespace longhaul {
namespace {

// What a bound on the error may be kept with, by error. Others of the same
// rate err more.
constexpr const char* kOffered[] = {"lossless", "bf16", "int8", "int4:rotate"};

std::vector<CodecOffer> OffersFor(const CodecSpec& spec) {
  std::vector<CodecOffer> offers;
  if (spec.id == CodecId::kNone) return offers;
  if (spec.id != CodecId::kAuto) {
    offers.emplace_back(spec);
    return offers;
  }
  for (const char* text : kOffered) {
    const Result<CodecSpec> offered = CodecSpec::Parse(text);
    LH_CHECK(offered.ok());
    if (offered->TypicalError() <= spec.MaxError()) {
      offers.emplace_back(*offered);
    }
  }
  return offers;
}

// Gaussian enough for the branches that codecs have.
std::vector<float> Sample(size_t count) {
  std::vector<float> sample(count);
  for (size_t i = 0; i < count; ++i) {
    sample[i] = std::sin(static_cast<float>(i * 2654435761U % 10007));
  }
  return sample;
}

// The best of a few tries: what others do on the processor says nothing.
CodecSpeed SpeedOf(const Codec& codec) {
  constexpr size_t kMany = 16 * kCodeGrain;
  constexpr int kTries = 4;
  const std::vector<float> vector = Sample(kMany);
  std::vector<float> sum(kMany);
  std::vector<uint8_t> code(codec.EncodedSize(kMany));
  Duration encode = kSecond;
  Duration decode = kSecond;
  for (int i = 0; i < kTries; ++i) {
    const TimePoint start = Now();
    const size_t size = codec.Encode(vector.data(), kMany, code.data());
    const TimePoint encoded = Now();
    LH_CHECK(codec.DecodeAdd(code.data(), size, kMany, sum.data()));
    encode = std::min(encode, encoded - start);
    decode = std::min(decode, Now() - encoded);
  }
  const auto rate = [](Duration time) {
    return static_cast<double>(kMany) * static_cast<double>(kSecond) /
           static_cast<double>(std::max<Duration>(time, 1));
  };
  return {rate(encode), rate(decode)};
}

}  // namespace

CodecOffer::CodecOffer(const CodecSpec& spec) : spec_(spec) {
  for (size_t type = 0; type < by_type_.size(); ++type) {
    const Result<Codec> codec =
        Codec::Create(spec, static_cast<DataType>(type));
    if (codec.ok()) by_type_[type] = *codec;
  }
}

const Codec* CodecOffer::For(DataType type, ReduceOp op) const {
  if (op != ReduceOp::kSum && op != ReduceOp::kAvg) return nullptr;
  const std::optional<Codec>& codec = by_type_[static_cast<size_t>(type)];
  return codec ? &*codec : nullptr;
}

const Codec* CodecOffer::ForFeedback() const {
  const std::optional<Codec>& codec =
      by_type_[static_cast<size_t>(DataType::kFloat32)];
  return codec && codec->fixed_rate() ? &*codec : nullptr;
}

Codecs::Codecs(const CodecSpec& spec) : spec_(spec), offers_(OffersFor(spec)) {}

std::vector<double> Codecs::MeasureSpeeds() const {
  std::vector<double> speeds;
  for (const CodecOffer& offer : offers_) {
    const Codec* codec = offer.For(DataType::kFloat32, ReduceOp::kSum);
    const CodecSpeed speed = codec == nullptr ? CodecSpeed() : SpeedOf(*codec);
    speeds.push_back(speed.encode);
    speeds.push_back(speed.decode);
  }
  return speeds;
}

void Codecs::SetSpeeds(std::span<const double> speeds) {
  LH_CHECK(speeds.size() == 2 * offers_.size());
  for (size_t i = 0; i < offers_.size(); ++i) {
    offers_[i].speed = {speeds[2 * i], speeds[2 * i + 1]};
  }
}

double CodeShare(const Codec& codec) { return codec.TypicalShare(); }

}  // namespace longhaul
