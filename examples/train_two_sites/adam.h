// AdamW (Loshchilov and Hutter, 2019): steps along the gradient's running mean,
// divided by the root of that of its square; weights decay by themselves.
//
// Every rank keeps one and feeds it the same gradient, so all have the same
// weights, bit by bit. Thread-compatible.
#pragma once

#include <cstddef>
#include <vector>

namespace train {

class Adam {
 public:
  explicit Adam(size_t count) : mean_(count), square_(count) {}

  void Step(const std::vector<float>& gradient, float rate,
            std::vector<float>& parameters);

 private:
  std::vector<float> mean_;
  std::vector<float> square_;
  float mean_left_ = 1;    ///< what is still missing of the running mean,
  float square_left_ = 1;  ///< which began at 0
};

}  // namespace train
