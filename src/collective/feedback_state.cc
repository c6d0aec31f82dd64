// Residuals as bytes, for a job's checkpoints. Little-endian:
//
//   u32 "LHFB", u32 CRC32C of what follows, u32 version, u32 number of tensors
//   a tensor: u64 name, u64 elements, and for each stage
//     u64 number of grains, and of each: u64 its number, f32 its elements
//
// A grain has Residuals::kGrain elements, the last of a tensor what is left.
#include <bit>
#include <cstring>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "collective/feedback.h"
#include "collective/segment_plan.h"

namespace longhaul {
namespace {

constexpr uint32_t kMagic = 0x4246484cu;  // "LHFB"
constexpr uint32_t kVersion = 1;
constexpr size_t kHeader = 16;
constexpr size_t kChecked = 8;  // where what is checked begins

uint64_t GrainsOf(uint64_t count) {
  return (count + Residuals::kGrain - 1) / Residuals::kGrain;
}

uint64_t LengthOf(uint64_t count, uint64_t grain) {
  return std::min(Residuals::kGrain, count - grain * Residuals::kGrain);
}

class Writer {
 public:
  template <typename T>
  void Put(T value) {
    bytes_.resize(bytes_.size() + sizeof value);
    StoreLittle<T>(bytes_.data() + bytes_.size() - sizeof value, value);
  }
  void Put(const Residuals& residuals, Stage stage) {
    const std::span<const float> all = residuals.Of(stage);
    const uint64_t grains = all.empty() ? 0 : GrainsOf(residuals.count());
    uint64_t kept = 0;
    for (uint64_t g = 0; g < grains; ++g) {
      kept += residuals.Has(stage, g) ? 1 : 0;
    }
    Put<uint64_t>(kept);
    for (uint64_t g = 0; g < grains; ++g) {
      if (!residuals.Has(stage, g)) continue;
      Put<uint64_t>(g);
      for (const float value :
           all.subspan(g * Residuals::kGrain, LengthOf(residuals.count(), g))) {
        Put(std::bit_cast<uint32_t>(value));
      }
    }
  }
  std::vector<uint8_t> Take() {
    StoreLittle<uint32_t>(bytes_.data() + 4, Crc32c(bytes_.data() + kChecked,
                                                    bytes_.size() - kChecked));
    return std::move(bytes_);
  }

 private:
  std::vector<uint8_t> bytes_;
};

// Sticks at the end: what is read then is zero, and ok() is false.
class Reader {
 public:
  explicit Reader(std::span<const uint8_t> bytes) : bytes_(bytes) {}
  template <typename T>
  T Get() {
    if (bytes_.size() < sizeof(T)) {
      ok_ = false;
      return 0;
    }
    const T value = LoadLittle<T>(bytes_.data());
    bytes_ = bytes_.subspan(sizeof(T));
    return value;
  }
  bool Get(Residuals& residuals, Stage stage) {
    const uint64_t grains = GrainsOf(residuals.count());
    const auto kept = Get<uint64_t>();
    uint64_t next = 0;
    for (uint64_t i = 0; i < kept; ++i) {
      const auto grain = Get<uint64_t>();
      if (!ok_ || grain < next || grain >= grains) return false;
      next = grain + 1;
      const uint64_t length = LengthOf(residuals.count(), grain);
      if (bytes_.size() / sizeof(float) < length) return false;
      float* to = residuals.At(stage, grain * Residuals::kGrain, length);
      if (to == nullptr) return false;
      for (uint64_t e = 0; e < length; ++e) {
        to[e] = std::bit_cast<float>(Get<uint32_t>());
        if (to[e] - to[e] != 0) return false;  // no number
      }
    }
    return ok_;
  }
  bool ok() const { return ok_; }
  bool AtEnd() const { return bytes_.empty(); }

 private:
  std::span<const uint8_t> bytes_;
  bool ok_ = true;
};

Status Corrupt(const char* what) {
  return {StatusCode::kCorrupt,
          std::string("error feedback to be loaded: ") + what};
}

}  // namespace

std::vector<uint8_t> Feedback::Save() const {
  Writer out;
  uint32_t named = 0;
  for (const auto& [key, tensor] : tensors_) named += key.name != 0 ? 1 : 0;
  out.Put(kMagic);
  out.Put<uint32_t>(0);  // the checksum
  out.Put(kVersion);
  out.Put(named);
  for (const auto& [key, tensor] : tensors_) {
    if (key.name == 0) continue;
    out.Put(key.name);
    out.Put(tensor->residuals.count());
    out.Put(tensor->residuals, Stage::kSum);
    out.Put(tensor->residuals, Stage::kTotal);
  }
  return out.Take();
}

Status Feedback::Load(std::span<const uint8_t> saved) {
  if (saved.size() < kHeader) return Corrupt("too short");
  Reader in(saved);
  if (in.Get<uint32_t>() != kMagic) return Corrupt("that is something else");
  if (in.Get<uint32_t>() !=
      Crc32c(saved.data() + kChecked, saved.size() - kChecked)) {
    return Corrupt("wrong checksum");
  }
  if (in.Get<uint32_t>() != kVersion) return Corrupt("another version");
  const auto named = in.Get<uint32_t>();
  Tensors tensors;
  uint64_t bytes = 0;
  for (uint32_t i = 0; i < named; ++i) {
    const TensorKey key = {in.Get<uint64_t>(), 0, 0};
    const auto count = in.Get<uint64_t>();
    if (!in.ok() || key.name == 0 || count > kMaxCount ||
        tensors.contains(key)) {
      return Corrupt("a tensor without name or length");
    }
    auto tensor = std::make_unique<Tensor>(Tensor{key, Residuals(count)});
    if (!in.Get(tensor->residuals, Stage::kSum) ||
        !in.Get(tensor->residuals, Stage::kTotal)) {
      return Corrupt("residuals that cannot be");
    }
    bytes += tensor->bytes = tensor->residuals.bytes();
    tensors.emplace(key, std::move(tensor));
  }
  if (!in.AtEnd()) return Corrupt("bytes behind its end");
  if (bytes > limit_) {
    return {StatusCode::kExhausted,
            "error feedback to be loaded: more than LONGHAUL_FEEDBACK_MEMORY"};
  }
  for (const auto& [key, tensor] : tensors_) {
    if (tensor->held > 0) {
      return {StatusCode::kInvalidArgument,
              "error feedback to be loaded while operations run that use it"};
    }
  }
  tensors_ = std::move(tensors);
  bytes_ = bytes;
  return {};
}

}  // namespace longhaul
