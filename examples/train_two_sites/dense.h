// One dense layer: outputs = inputs x weights + bias, and its derivatives.
//
// Weights and gradients of all layers lie in one vector each, so that one
// all-reduce carries them; a layer knows its place there. Thread-compatible.
#pragma once

#include <cstddef>
#include <vector>

#include "random.h"

namespace train {

class Dense {
 public:
  /// Its parameters begin at element `place` of the vector.
  Dense(size_t place, size_t inputs, size_t outputs)
      : place_(place), inputs_(inputs), outputs_(outputs) {}

  size_t inputs() const { return inputs_; }
  size_t outputs() const { return outputs_; }
  /// The first element after its parameters.
  size_t end() const { return place_ + (inputs_ + 1) * outputs_; }

  /// Uniform weights whose outputs vary as `gain` squared times the inputs do.
  void Initialise(Random& random, float gain, float* parameters) const;

  /// `in` has rows x inputs() elements, `out` becomes rows x outputs().
  void Forward(const float* parameters, const std::vector<float>& in,
               size_t rows, std::vector<float>& out) const;

  /// From the loss's derivatives by the outputs: those by the parameters,
  /// written to this layer's place in `gradient`, and those by the inputs.
  void Backward(const float* parameters, const std::vector<float>& in,
                const std::vector<float>& out_derivatives, size_t rows,
                float* gradient, std::vector<float>& in_derivatives);

 private:
  size_t place_;
  size_t inputs_;
  size_t outputs_;
  std::vector<float> turned_;  ///< a transposed operand
};

/// Negative elements become 0.
void Rectify(std::vector<float>& values);
/// Derivatives of what Rectify has made 0 become 0.
void RectifyBackward(const std::vector<float>& rectified,
                     std::vector<float>& derivatives);

}  // namespace train
