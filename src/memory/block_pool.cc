#include "memory/block_pool.h"

#include <sys/mman.h>

#include <new>

#include "base/check.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define LH_ADDRESS_SANITIZER
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define LH_ADDRESS_SANITIZER
#endif
#ifdef LH_ADDRESS_SANITIZER
#include <sanitizer/asan_interface.h>
#endif

namespace longhaul {
namespace {

// Under AddressSanitizer a free block may not be touched, its link aside.
void Forbid([[maybe_unused]] void* memory, [[maybe_unused]] size_t size) {
#ifdef LH_ADDRESS_SANITIZER
  __asan_poison_memory_region(static_cast<uint8_t*>(memory) + sizeof(void*),
                              size - sizeof(void*));
#endif
}

void Allow([[maybe_unused]] void* memory, [[maybe_unused]] size_t size) {
#ifdef LH_ADDRESS_SANITIZER
  __asan_unpoison_memory_region(memory, size);
#endif
}

size_t ClassOf(size_t block_size, size_t smallest) {
  return static_cast<size_t>(std::countr_zero(block_size) -
                             std::countr_zero(smallest));
}

}  // namespace

// Lies at the start of its slab, which is aligned to kSlabSize; takes the place
// of the first block or of as many as it covers.
struct BlockPool::Slab {
  Slab* next = nullptr;
  Slab* previous = nullptr;
  FreeBlock* free = nullptr;
  size_t block_size = 0;
  size_t used = 0;
  size_t untouched = 0;  // where the part never cut into blocks begins

  bool Full() const { return free == nullptr && untouched == kSlabSize; }
};

BlockPool::~BlockPool() {
  LH_DCHECK(in_use_ == 0);
  Trim();
}

uint8_t* BlockPool::Take(size_t size) {
  if (size > kMaxBlock) return nullptr;
  const size_t block_size = BlockSize(size);
  if (block_size > limit_ - in_use_) return nullptr;
  uint8_t* block =
      block_size <= kMaxSmall ? TakeSmall(block_size) : TakeLarge(block_size);
  if (block == nullptr) return nullptr;
  Allow(block, block_size);
  in_use_ += block_size;
  return block;
}

void BlockPool::Give(uint8_t* memory, size_t size) {
  const size_t block_size = BlockSize(size);
  LH_DCHECK(block_size <= in_use_);
  in_use_ -= block_size;
  auto* block = reinterpret_cast<FreeBlock*>(memory);
  Forbid(block, block_size);
  if (block_size > kMaxSmall) {
    FreeBlock*& free = large_[ClassOf(block_size, 2 * kMaxSmall)];
    block->next = free;
    free = block;
    return;
  }
  Slab* slab = SlabOf(memory);
  LH_DCHECK(slab->block_size == block_size && slab->used > 0);
  if (slab->Full()) Link(slab);
  block->next = slab->free;
  slab->free = block;
  --slab->used;
}

void BlockPool::Trim() {
  for (size_t i = 0; i < kLargeClasses; ++i) {
    while (FreeBlock* block = large_[i]) {
      large_[i] = block->next;
      Unmap(block, (2 * kMaxSmall) << i);
    }
  }
  for (Slab* slab : slabs_) {
    while (slab != nullptr) {
      Slab* next = slab->next;
      if (slab->used == 0) {
        Unlink(slab);
        Unmap(slab, kSlabSize);
      }
      slab = next;
    }
  }
}

BlockPool::Slab* BlockPool::SlabOf(uint8_t* block) {
  return reinterpret_cast<Slab*>(block - reinterpret_cast<uintptr_t>(block) %
                                             kSlabSize);
}

uint8_t* BlockPool::TakeSmall(size_t block_size) {
  Slab* slab = slabs_[ClassOf(block_size, kMinBlock)];
  if (slab == nullptr) slab = MakeSlab(block_size);
  if (slab == nullptr) return nullptr;
  FreeBlock* block = slab->free;
  if (block != nullptr) {
    slab->free = block->next;
  } else {
    block = reinterpret_cast<FreeBlock*>(reinterpret_cast<uint8_t*>(slab) +
                                         slab->untouched);
    slab->untouched += block_size;
  }
  ++slab->used;
  if (slab->Full()) Unlink(slab);
  return reinterpret_cast<uint8_t*>(block);
}

uint8_t* BlockPool::TakeLarge(size_t block_size) {
  FreeBlock*& free = large_[ClassOf(block_size, 2 * kMaxSmall)];
  if (free == nullptr) return static_cast<uint8_t*>(Map(block_size));
  FreeBlock* block = free;
  free = block->next;
  return reinterpret_cast<uint8_t*>(block);
}

BlockPool::Slab* BlockPool::MakeSlab(size_t block_size) {
  void* memory = Map(kSlabSize);
  if (memory == nullptr) return nullptr;
  auto* slab = new (memory) Slab;
  slab->block_size = block_size;
  slab->untouched = (sizeof(Slab) + block_size - 1) / block_size * block_size;
  Link(slab);
  return slab;
}

void BlockPool::Link(Slab* slab) {
  Slab*& head = slabs_[ClassOf(slab->block_size, kMinBlock)];
  slab->previous = nullptr;
  slab->next = head;
  if (head != nullptr) head->previous = slab;
  head = slab;
}

void BlockPool::Unlink(Slab* slab) {
  if (slab->previous != nullptr) {
    slab->previous->next = slab->next;
  } else {
    slabs_[ClassOf(slab->block_size, kMinBlock)] = slab->next;
  }
  if (slab->next != nullptr) slab->next->previous = slab->previous;
}

// Aligned to its size up to kSlabSize. What is kept for nobody goes back first
// if the pool would otherwise hold more than its limit.
void* BlockPool::Map(size_t size) {
  if (reserved_ + size > limit_) Trim();
  const size_t padded = size + (size == kSlabSize ? kSlabSize : 0);
  void* mapped = ::mmap(nullptr, padded, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED) return nullptr;
  auto* start = static_cast<uint8_t*>(mapped);
  if (padded != size) {
    const size_t before =
        (kSlabSize - reinterpret_cast<uintptr_t>(start) % kSlabSize) %
        kSlabSize;
    if (before > 0) ::munmap(start, before);
    start += before;
    if (const size_t after = padded - size - before; after > 0) {
      ::munmap(start + size, after);
    }
  }
  reserved_ += size;
  return start;
}

void BlockPool::Unmap(void* memory, size_t size) {
  Allow(memory, size);
  ::munmap(memory, size);
  reserved_ -= size;
}

}  // namespace longhaul
