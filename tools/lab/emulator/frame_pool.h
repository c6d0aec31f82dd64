// Memory for frames between reading and writing. Frames of unequal size are
// packed into slabs; a slab is used again, the most recently used (warm) first,
// once none of its frames is left.
// Thread-compatible.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

namespace longhaul::lab {

class FramePool {
 public:
  class Slab;

  // Holds at most about `limit` bytes, at least one slab of 2 MiB.
  explicit FramePool(uint64_t limit);
  ~FramePool();
  FramePool(const FramePool&) = delete;
  FramePool& operator=(const FramePool&) = delete;

  // Room for one frame of any size, or null when the limit is reached. The same
  // until Keep().
  uint8_t* Room();
  // The frame put into Room() takes `size` bytes and stays while references to
  // the slab last; it starts with none.
  Slab* Keep(uint32_t size);

  void Ref(Slab* slab);
  void Unref(Slab* slab);

 private:
  bool Renew();

  size_t limit_;  // in slabs
  Slab* current_ = nullptr;
  std::vector<std::unique_ptr<Slab>> slabs_;
  std::vector<Slab*> idle_;
};

}  // namespace longhaul::lab
