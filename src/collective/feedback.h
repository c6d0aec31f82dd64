// Error feedback: what a codec leaves out of a tensor, its residual, is kept
// and added to what is encoded the next time, so that nothing is lost for good,
// only late (Seide et al., "1-bit stochastic gradient descent", 2014;
// Karimireddy et al., "Error feedback fixes SignSGD", 2019).
//
// A rank keeps residuals of what it encodes: of sums of its site, and of totals
// where a schedule encodes those as well. Who encodes an element changes with
// the algorithm and the shares; a residual that is left behind then waits until
// its element is encoded here again.
//
// Cost: four bytes per element that a rank encodes, and a pass over them in the
// cache. Memory is asked for where a tensor is first met, and becomes resident
// grain by grain, as grains are first encoded.
//
// Engine thread only.
#pragma once

#include <longhaul/status.h>
#include <longhaul/types.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <span>
#include <unordered_map>
#include <vector>

#include "codec/codec.h"

namespace longhaul {

/// Which tensor: by the name its owner gives it, or by where it lies.
struct TensorKey {
  uint64_t name = 0;     ///< 0: none
  uint64_t address = 0;  ///< if it has no name
  uint64_t count = 0;    ///< elements, likewise
  friend bool operator==(const TensorKey&, const TensorKey&) = default;
};

/// What a code stands for.
enum class Stage : uint8_t { kSum, kTotal };
inline constexpr size_t kStages = 2;

/// One tensor's residuals.
class Residuals {
 public:
  /// Elements that become resident together.
  static constexpr uint64_t kGrain = 4096;
  /// Elements of the longest tensor whose residuals are kept.
  static constexpr uint64_t kLongest = uint64_t{1} << 34;

  explicit Residuals(uint64_t count);

  uint64_t count() const { return count_; }
  /// Bytes that have become resident.
  uint64_t bytes() const { return bytes_; }
  /// All of a stage; zeros where none was kept.
  std::span<const float> Of(Stage stage) const;
  /// Grain `grain` has been kept.
  bool Has(Stage stage, uint64_t grain) const;
  /// Elements from `first` on, to be changed; null if there is no memory, or
  /// the tensor is too long.
  float* At(Stage stage, uint64_t first, uint64_t count);
  void Clear();

 private:
  struct Free {
    void operator()(float* p) const { std::free(p); }
  };
  struct Kept {
    std::unique_ptr<float, Free> values;
    std::vector<bool> grains;
  };

  Kept* Made(Stage stage);

  uint64_t count_;
  uint64_t bytes_ = 0;
  std::array<Kept, kStages> kept_;
};

class Feedback {
 public:
  /// Keeps residuals of up to `limit` bytes; what was used longest ago goes.
  explicit Feedback(uint64_t limit) : limit_(limit) {}

  /// A tensor that an operation encodes: stays until it is let go. A tensor
  /// whose length has changed is a new one.
  struct Tensor {
    TensorKey key;
    Residuals residuals;
    uint64_t used = 0;   ///< when last, counted in operations
    uint64_t bytes = 0;  ///< that it has in bytes_
    uint32_t held = 0;   ///< by operations
  };
  Tensor* Hold(const TensorKey& key, uint64_t count);
  void LetGo(Tensor& tensor);

  /// Forgets what was kept of all tensors, or of that name.
  void Reset();
  void Reset(uint64_t name);

  /// Of tensors with names, for Load (feedback_state.cc has the layout).
  std::vector<uint8_t> Save() const;
  /// In place of all that was kept. kCorrupt for what Save does not give,
  /// kExhausted for more than the limit; nothing has changed then.
  Status Load(std::span<const uint8_t> saved);

  uint64_t bytes() const { return bytes_; }
  size_t tensors() const { return tensors_.size(); }
  /// Tensors that were forgotten for others.
  uint64_t evicted() const { return evicted_; }

 private:
  struct Hash {
    size_t operator()(const TensorKey& key) const;
  };
  using Tensors = std::unordered_map<TensorKey, std::unique_ptr<Tensor>, Hash>;

  void Account(Tensor& tensor);
  void MakeRoom();

  uint64_t limit_;
  uint64_t uses_ = 0;
  uint64_t bytes_ = 0;
  uint64_t evicted_ = 0;
  Tensors tensors_;
};

/// `count` elements of `type` from `source`, and what was left out of them
/// before, encoded; what is left out now is kept. They are elements `first` and
/// on of the tensor. `codec` is one of f32, of a fixed rate. What is no number
/// leaves nothing behind, as does all where memory lacks.
void EncodeWithFeedback(const Codec& codec, DataType type, const void* source,
                        uint64_t first, size_t count, Stage stage,
                        uint64_t seed, Residuals& residuals,
                        uint8_t* encoded) noexcept;

}  // namespace longhaul
