#include "model.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace train {
namespace {

constexpr uint64_t kPurpose = 1;           // of random numbers
constexpr float kRectifiedGain = 1.4142F;  // half of the outputs become 0

}  // namespace

Model::Model(const Shape& shape)
    : shape_(shape),
      first_(shape.vocabulary * shape.embedding,
             shape.context * shape.embedding, shape.hidden),
      second_(first_.end(), shape.hidden, shape.hidden),
      last_(second_.end(), shape.hidden, shape.vocabulary) {}

std::vector<float> Model::Initial(uint64_t seed) const {
  std::vector<float> parameters(parameter_count());
  Random random(seed, kPurpose);
  for (size_t i = 0; i < shape_.vocabulary * shape_.embedding; ++i) {
    parameters[i] = random.Signed();
  }
  first_.Initialise(random, kRectifiedGain, parameters.data());
  second_.Initialise(random, kRectifiedGain, parameters.data());
  // Small, so that at first no character is much likelier than others.
  last_.Initialise(random, 0.1F, parameters.data());
  return parameters;
}

void Model::Embed(const std::vector<float>& parameters, const Batch& batch) {
  const size_t length = shape_.embedding;
  embedded_.resize(batch.contexts.size() * length);
  for (size_t i = 0; i < batch.contexts.size(); ++i) {
    std::copy_n(parameters.data() + batch.contexts[i] * length, length,
                embedded_.data() + i * length);
  }
}

void Model::EmbedBackward(const Batch& batch,
                          std::vector<float>& gradient) const {
  const size_t length = shape_.embedding;
  std::fill_n(gradient.data(), shape_.vocabulary * length, 0.0F);
  for (size_t i = 0; i < batch.contexts.size(); ++i) {
    float* row = gradient.data() + batch.contexts[i] * length;
    const float* derivatives = derivatives_[1].data() + i * length;
    for (size_t j = 0; j < length; ++j) row[j] += derivatives[j];
  }
}

double Model::Judge(const Batch& batch) {
  const size_t width = shape_.vocabulary;
  const float share = 1.0F / static_cast<float>(batch.size);
  double loss = 0;
  for (size_t i = 0; i < batch.size; ++i) {
    float* row = scores_.data() + i * width;
    const float highest = *std::max_element(row, row + width);
    const float target = row[batch.targets[i]] - highest;
    float sum = 0;
    for (size_t j = 0; j < width; ++j) {
      row[j] = std::exp(row[j] - highest);
      sum += row[j];
    }
    loss += std::log(static_cast<double>(sum)) - static_cast<double>(target);
    for (size_t j = 0; j < width; ++j) row[j] *= share / sum;
    row[batch.targets[i]] -= share;
  }
  return loss / static_cast<double>(batch.size);
}

double Model::Loss(const std::vector<float>& parameters, const Batch& batch) {
  Embed(parameters, batch);
  first_.Forward(parameters.data(), embedded_, batch.size, hidden_first_);
  Rectify(hidden_first_);
  second_.Forward(parameters.data(), hidden_first_, batch.size, hidden_second_);
  Rectify(hidden_second_);
  last_.Forward(parameters.data(), hidden_second_, batch.size, scores_);
  return Judge(batch);
}

double Model::LossAndGradient(const std::vector<float>& parameters,
                              const Batch& batch,
                              std::vector<float>& gradient) {
  const double loss = Loss(parameters, batch);
  const float* weights = parameters.data();
  auto& [one, other] = derivatives_;
  last_.Backward(weights, hidden_second_, scores_, batch.size, gradient.data(),
                 one);
  RectifyBackward(hidden_second_, one);
  second_.Backward(weights, hidden_first_, one, batch.size, gradient.data(),
                   other);
  RectifyBackward(hidden_first_, other);
  std::swap(one, other);
  first_.Backward(weights, embedded_, one, batch.size, gradient.data(), other);
  EmbedBackward(batch, gradient);
  return loss;
}

}  // namespace train
