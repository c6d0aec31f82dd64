#include "dense.h"

#include <algorithm>
#include <cmath>

#include "matrix.h"

namespace train {

void Dense::Initialise(Random& random, float gain, float* parameters) const {
  // A uniform number between -1 and 1 has a variance of a third.
  const float width = gain * std::sqrt(3.0F / static_cast<float>(inputs_));
  float* weights = parameters + place_;
  for (size_t i = 0; i < inputs_ * outputs_; ++i) {
    weights[i] = width * random.Signed();
  }
  std::fill_n(weights + inputs_ * outputs_, outputs_, 0.0F);
}

void Dense::Forward(const float* parameters, const std::vector<float>& in,
                    size_t rows, std::vector<float>& out) const {
  const float* weights = parameters + place_;
  const float* bias = weights + inputs_ * outputs_;
  out.resize(rows * outputs_);
  for (size_t i = 0; i < rows; ++i) {
    std::copy_n(bias, outputs_, out.data() + i * outputs_);
  }
  AddProduct(in.data(), weights, out.data(), rows, inputs_, outputs_);
}

void Dense::Backward(const float* parameters, const std::vector<float>& in,
                     const std::vector<float>& out_derivatives, size_t rows,
                     float* gradient, std::vector<float>& in_derivatives) {
  const size_t weights = inputs_ * outputs_;
  turned_.resize(std::max(weights, rows * inputs_));
  std::fill_n(gradient + place_, weights + outputs_, 0.0F);
  Transpose(in.data(), turned_.data(), rows, inputs_);
  AddProduct(turned_.data(), out_derivatives.data(), gradient + place_, inputs_,
             rows, outputs_);
  float* bias = gradient + place_ + weights;
  for (size_t i = 0; i < rows; ++i) {
    for (size_t j = 0; j < outputs_; ++j) {
      bias[j] += out_derivatives[i * outputs_ + j];
    }
  }
  Transpose(parameters + place_, turned_.data(), inputs_, outputs_);
  in_derivatives.assign(rows * inputs_, 0.0F);
  AddProduct(out_derivatives.data(), turned_.data(), in_derivatives.data(),
             rows, outputs_, inputs_);
}

void Rectify(std::vector<float>& values) {
  for (float& value : values) value = std::max(value, 0.0F);
}

void RectifyBackward(const std::vector<float>& rectified,
                     std::vector<float>& derivatives) {
  for (size_t i = 0; i < rectified.size(); ++i) {
    derivatives[i] = rectified[i] > 0 ? derivatives[i] : 0.0F;
  }
}

}  // namespace train
