// Memory for frames on their way and chunks retained until acknowledged: blocks
// in powers of two, taken and given back at the rate of the wire.
//
// Small blocks are cut from slabs of 1 MiB, large ones have a mapping of their
// own; both come from mmap and are kept for the next taker, so that after
// warm-up neither the heap nor the kernel is asked for anything. Blocks have no
// header and are aligned to their size, up to a page.
//
// Engine thread only.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace longhaul {

class BlockPool {
 public:
  static constexpr size_t kMinBlock = 256;
  static constexpr size_t kMaxBlock = size_t{16} << 20;

  /// At most `limit_bytes` are in use at a time.
  explicit BlockPool(size_t limit_bytes) : limit_(limit_bytes) {}
  /// Every block must have been given back.
  ~BlockPool();
  BlockPool(const BlockPool&) = delete;
  BlockPool& operator=(const BlockPool&) = delete;

  /// A block of at least `size` bytes, uninitialised; nullptr if the limit
  /// would be passed (or the system is out of memory), or if `size` is over
  /// kMaxBlock.
  uint8_t* Take(size_t size);
  /// Takes back a block; `size` is what it was taken with.
  void Give(uint8_t* block, size_t size);
  /// Hands the system whatever holds no block in use.
  void Trim();

  /// What a block for `size` bytes counts as; `size` at most kMaxBlock.
  static constexpr size_t BlockSize(size_t size) {
    return size <= kMinBlock ? kMinBlock : std::bit_ceil(size);
  }

  size_t limit_bytes() const { return limit_; }
  /// The blocks in use, by BlockSize.
  size_t bytes_in_use() const { return in_use_; }
  /// What is mapped: the blocks in use, those kept, and the slabs' headers.
  size_t bytes_reserved() const { return reserved_; }

 private:
  static constexpr size_t kSlabSize = size_t{1} << 20;
  static constexpr size_t kMaxSmall = size_t{64} << 10;
  static constexpr size_t kSmallClasses = 9;  // 256 B .. 64 KiB
  static constexpr size_t kLargeClasses = 8;  // 128 KiB .. 16 MiB
  static_assert(kMinBlock << (kSmallClasses - 1) == kMaxSmall);
  static_assert(kMaxSmall << kLargeClasses == kMaxBlock);

  struct FreeBlock {
    FreeBlock* next;
  };
  struct Slab;

  static Slab* SlabOf(uint8_t* block);
  uint8_t* TakeSmall(size_t block_size);
  uint8_t* TakeLarge(size_t block_size);
  Slab* MakeSlab(size_t block_size);
  void Link(Slab* slab);
  void Unlink(Slab* slab);
  void* Map(size_t size);
  void Unmap(void* memory, size_t size);

  std::array<Slab*, kSmallClasses> slabs_{};       // those with a free block
  std::array<FreeBlock*, kLargeClasses> large_{};  // free
  size_t limit_;
  size_t in_use_ = 0;
  size_t reserved_ = 0;
};

}  // namespace longhaul
