// What tests of codecs do with vectors.
#pragma once

#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

#include "codec/codec.h"

namespace longhaul::test {

inline Codec Make(const char* spec, DataType type = DataType::kFloat32) {
  return Codec::Create(CodecSpec::Parse(spec).value(), type).value();
}

inline std::vector<float> Gaussian(size_t count, float sigma = 1,
                                   unsigned seed = 5) {
  std::mt19937_64 random(seed);
  std::normal_distribution<float> gaussian(0, sigma);
  std::vector<float> values(count);
  for (float& value : values) value = gaussian(random);
  return values;
}

inline std::vector<uint8_t> EncodedBy(const Codec& codec,
                                      const std::vector<float>& values,
                                      const CodecSeed& seed = {}) {
  std::vector<uint8_t> bytes(codec.EncodedSize(values.size()));
  codec.Encode(values.data(), values.size(), bytes.data(), seed);
  return bytes;
}

// What is left of f32s on the other side.
inline std::vector<float> Carried(const Codec& codec,
                                  const std::vector<float>& values,
                                  const CodecSeed& seed = {}) {
  const std::vector<uint8_t> bytes = EncodedBy(codec, values, seed);
  std::vector<float> decoded(values.size());
  EXPECT_TRUE(
      codec.Decode(bytes.data(), bytes.size(), values.size(), decoded.data()));
  return decoded;
}

inline double RelativeError(const std::vector<float>& values,
                            const std::vector<float>& decoded) {
  double error = 0;
  double norm = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    error += std::pow(double{decoded[i]} - values[i], 2);
    norm += std::pow(double{values[i]}, 2);
  }
  return std::sqrt(error / norm);
}

inline double BytesSaved(const char* spec) {
  constexpr size_t kCount = size_t{1} << 20;
  return static_cast<double>(kCount * 4) /
         static_cast<double>(Make(spec).EncodedSize(kCount));
}

}  // namespace longhaul::test
