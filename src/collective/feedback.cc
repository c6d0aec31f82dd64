#include "collective/feedback.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "collective/fingerprint.h"
#include "collective/schedule.h"
#include "compute/convert.h"

namespace longhaul {
namespace {

constexpr uint64_t GrainsOf(uint64_t count) {
  return (count + Residuals::kGrain - 1) / Residuals::kGrain;
}

void Widen(DataType type, const uint8_t* source, size_t count, float* wide) {
  switch (type) {
    case DataType::kFloat16:
      ConvertF16ToF32(wide, source, count);
      return;
    case DataType::kBfloat16:
      ConvertBf16ToF32(wide, source, count);
      return;
    default:
      LH_DCHECK(type == DataType::kFloat32);
      std::memcpy(wide, source, count * sizeof(float));
  }
}

void AddTo(float* sums, const float* residuals, size_t count) {
  for (size_t i = 0; i < count; ++i) sums[i] += residuals[i];
}

// A NaN that stayed would be in every sum from now on.
void LeaveOut(const float* meant, const float* decoded, size_t count,
              float* residuals) {
  for (size_t i = 0; i < count; ++i) {
    const float rest = meant[i] - decoded[i];
    residuals[i] = rest - rest == 0 ? rest : 0;
  }
}

}  // namespace

Residuals::Residuals(uint64_t count) : count_(count) {}

Residuals::Kept* Residuals::Made(Stage stage) {
  Kept& kept = kept_[static_cast<size_t>(stage)];
  if (kept.values == nullptr) {
    if (count_ > kLongest) return nullptr;
    // Zeros that take no memory until they are touched.
    kept.values.reset(static_cast<float*>(
        std::calloc(std::max<uint64_t>(count_, 1), sizeof(float))));
    if (kept.values == nullptr) return nullptr;
    kept.grains.resize(GrainsOf(count_));
  }
  return &kept;
}

std::span<const float> Residuals::Of(Stage stage) const {
  const Kept& kept = kept_[static_cast<size_t>(stage)];
  if (kept.values == nullptr) return {};
  return {kept.values.get(), count_};
}

bool Residuals::Has(Stage stage, uint64_t grain) const {
  const Kept& kept = kept_[static_cast<size_t>(stage)];
  return kept.values != nullptr && kept.grains[grain];
}

float* Residuals::At(Stage stage, uint64_t first, uint64_t count) {
  LH_DCHECK(first + count <= count_);
  Kept* made = Made(stage);
  if (made == nullptr) return nullptr;
  for (uint64_t g = first / kGrain; count > 0 && g * kGrain < first + count;
       ++g) {
    if (!made->grains[g]) bytes_ += kGrain * sizeof(float);
    made->grains[g] = true;
  }
  return made->values.get() + first;
}

void Residuals::Clear() {
  kept_ = {};
  bytes_ = 0;
}

size_t Feedback::Hash::operator()(const TensorKey& key) const {
  return HashOf({key.name, key.address, key.count});
}

Feedback::Tensor* Feedback::Hold(const TensorKey& key, uint64_t count) {
  std::unique_ptr<Tensor>& tensor = tensors_[key];
  if (tensor == nullptr) {
    tensor = std::make_unique<Tensor>(Tensor{key, Residuals(count)});
  } else if (tensor->residuals.count() != count) {
    // Another operation may still write where the old ones lie.
    if (tensor->held > 0) return nullptr;
    tensor->residuals = Residuals(count);
  }
  tensor->used = ++uses_;
  ++tensor->held;
  return tensor.get();
}

void Feedback::LetGo(Tensor& tensor) {
  LH_CHECK(tensor.held > 0);
  --tensor.held;
  Account(tensor);
  if (bytes_ > limit_) MakeRoom();
}

void Feedback::Account(Tensor& tensor) {
  bytes_ -= tensor.bytes;
  tensor.bytes = tensor.residuals.bytes();
  bytes_ += tensor.bytes;
}

void Feedback::MakeRoom() {
  while (bytes_ > limit_) {
    auto oldest = tensors_.end();
    for (auto it = tensors_.begin(); it != tensors_.end(); ++it) {
      if (it->second->held > 0) continue;
      if (oldest == tensors_.end() || it->second->used < oldest->second->used) {
        oldest = it;
      }
    }
    if (oldest == tensors_.end()) return;
    bytes_ -= oldest->second->bytes;
    tensors_.erase(oldest);
    ++evicted_;
  }
}

// What operations hold stays, empty.
void Feedback::Reset() {
  for (auto& [key, tensor] : tensors_) {
    tensor->residuals.Clear();
    Account(*tensor);
  }
  std::erase_if(tensors_, [](const auto& t) { return t.second->held == 0; });
}

void Feedback::Reset(uint64_t name) {
  const auto found = tensors_.find({name, 0, 0});
  if (found == tensors_.end()) return;
  found->second->residuals.Clear();
  Account(*found->second);
}

void EncodeWithFeedback(const Codec& codec, DataType type, const void* source,
                        uint64_t first, size_t count, Stage stage,
                        uint64_t seed, Residuals& residuals,
                        uint8_t* encoded) noexcept {
  constexpr size_t kTile = 4096;
  static_assert(kTile % kCodeGrain == 0);
  alignas(64) std::array<float, kTile> meant;
  alignas(64) std::array<float, kTile> decoded;
  float* kept = residuals.At(stage, first, count);
  const auto* from = static_cast<const uint8_t*>(source);
  for (size_t done = 0; done < count; done += kTile) {
    const size_t some = std::min(kTile, count - done);
    Widen(type, from + done * SizeOf(type), some, meant.data());
    if (kept != nullptr) AddTo(meant.data(), kept + done, some);
    codec.EncodeDecode(meant.data(), some, encoded + codec.EncodedSize(done),
                       decoded.data(), {seed, done});
    if (kept == nullptr) continue;
    LeaveOut(meant.data(), decoded.data(), some, kept + done);
  }
}

}  // namespace longhaul
