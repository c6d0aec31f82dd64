// The model: what character comes next, judged by those before it.
//
//   characters -> embeddings, side by side -> dense, rectified
//              -> dense, rectified -> dense -> a probability of each character
//
// All its parameters are one vector of f32, and so is their gradient.
// Thread-compatible: it keeps what lies between the layers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "dense.h"

namespace train {

struct Shape {
  size_t vocabulary = 0;  ///< characters there are
  size_t context = 24;    ///< of them, before the one asked for
  size_t embedding = 16;  ///< numbers that stand for one
  size_t hidden = 448;    ///< width of both layers between
};

/// Some places of a text, as numbers of characters.
struct Batch {
  size_t size = 0;
  std::vector<uint8_t> contexts;  ///< size x Shape::context
  std::vector<uint8_t> targets;   ///< what comes next
};

class Model {
 public:
  explicit Model(const Shape& shape);

  const Shape& shape() const { return shape_; }
  size_t parameter_count() const { return last_.end(); }

  std::vector<float> Initial(uint64_t seed) const;

  /// Mean of -log(probability of the target), in nats.
  double Loss(const std::vector<float>& parameters, const Batch& batch);
  /// The same, and writes its derivatives by the parameters.
  double LossAndGradient(const std::vector<float>& parameters,
                         const Batch& batch, std::vector<float>& gradient);

 private:
  void Embed(const std::vector<float>& parameters, const Batch& batch);
  void EmbedBackward(const Batch& batch, std::vector<float>& gradient) const;
  /// Scores become the loss's derivatives by them; the mean loss.
  double Judge(const Batch& batch);

  Shape shape_;
  Dense first_;
  Dense second_;
  Dense last_;
  std::vector<float> embedded_;
  std::vector<float> hidden_first_;
  std::vector<float> hidden_second_;
  std::vector<float> scores_;
  std::vector<float> derivatives_[2];  ///< taking turns, from layer to layer
};

}  // namespace train
