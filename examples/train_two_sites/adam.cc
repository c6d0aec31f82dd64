#include "adam.h"

#include <cmath>

namespace train {
namespace {

constexpr float kMeanDecay = 0.9F;
constexpr float kSquareDecay = 0.99F;
constexpr float kWeightDecay = 0.01F;
constexpr float kLeast = 1e-8F;  // of a divisor

}  // namespace

void Adam::Step(const std::vector<float>& gradient, float rate,
                std::vector<float>& parameters) {
  mean_left_ *= kMeanDecay;
  square_left_ *= kSquareDecay;
  const float mean_scale = rate / (1 - mean_left_);
  const float square_scale = 1 / (1 - square_left_);
  const float kept = 1 - rate * kWeightDecay;
  for (size_t i = 0; i < gradient.size(); ++i) {
    const float g = gradient[i];
    mean_[i] = kMeanDecay * mean_[i] + (1 - kMeanDecay) * g;
    square_[i] = kSquareDecay * square_[i] + (1 - kSquareDecay) * g * g;
    parameters[i] =
        kept * parameters[i] -
        mean_scale * mean_[i] / (std::sqrt(square_scale * square_[i]) + kLeast);
  }
}

}  // namespace train
