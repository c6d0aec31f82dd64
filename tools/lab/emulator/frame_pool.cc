#include "lab/emulator/frame_pool.h"

#include <algorithm>

#include "lab/emulator/frame.h"

namespace longhaul::lab {
namespace {

constexpr uint32_t kSlabSize = 2U << 20;
constexpr uint32_t kLine = 64;

}  // namespace

class FramePool::Slab {
 public:
  Slab() : bytes_(new uint8_t[kSlabSize]) {}

  uint8_t* free_space() { return bytes_.get() + used; }

  uint32_t used = 0;
  uint32_t references = 0;

 private:
  std::unique_ptr<uint8_t[]> bytes_;  // uninitialised: untouched pages are free
};

FramePool::FramePool(uint64_t limit)
    : limit_(std::max<uint64_t>(1, limit / kSlabSize)) {}

FramePool::~FramePool() = default;

uint8_t* FramePool::Room() {
  const bool fits =
      current_ != nullptr && current_->used + kMaxFrame <= kSlabSize;
  if (!fits && !Renew()) return nullptr;
  return current_->free_space();
}

bool FramePool::Renew() {
  if (current_ != nullptr) {
    Slab* const full = current_;
    current_ = nullptr;
    Unref(full);
  }
  if (!idle_.empty()) {
    current_ = idle_.back();
    idle_.pop_back();
  } else {
    if (slabs_.size() >= limit_) return false;
    slabs_.push_back(std::make_unique<Slab>());
    current_ = slabs_.back().get();
  }
  current_->used = 0;
  current_->references = 1;  // being filled
  return true;
}

FramePool::Slab* FramePool::Keep(uint32_t size) {
  current_->used += (size + kLine - 1) & ~(kLine - 1);
  return current_;
}

void FramePool::Ref(Slab* slab) { ++slab->references; }

void FramePool::Unref(Slab* slab) {
  if (--slab->references == 0) idle_.push_back(slab);
}

}  // namespace longhaul::lab
