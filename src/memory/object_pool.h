// Objects of one type made and destroyed at the rate of the wire: slabs of them
// with a free list, so that after warm-up the heap is left alone. An object
// stays where it was made.
//
// Thread-compatible.
#pragma once

#include <cstddef>
#include <memory>
#include <new>
#include <utility>
#include <vector>

#include "base/check.h"

namespace longhaul {

template <typename T>
class ObjectPool {
 public:
  ObjectPool() = default;
  /// Every object must have been destroyed.
  ~ObjectPool() { LH_DCHECK(count_ == 0); }
  ObjectPool(const ObjectPool&) = delete;
  ObjectPool& operator=(const ObjectPool&) = delete;

  template <typename... Arguments>
  T* Make(Arguments&&... arguments) {
    if (free_ == nullptr) Grow();
    Node* node = free_;
    free_ = node->next;
    ++count_;
    return new (node->object) T(std::forward<Arguments>(arguments)...);
  }

  void Destroy(T* object) {
    LH_DCHECK(count_ > 0);
    object->~T();
    Free(reinterpret_cast<Node*>(object));
    --count_;
  }

  /// Makes room for `count` objects in all, so that making them asks the heap
  /// for nothing.
  void Reserve(size_t count) {
    while (slabs_.size() * kSlabObjects < count) Grow();
  }

  /// Objects alive.
  size_t count() const { return count_; }

 private:
  static constexpr size_t kSlabObjects = 64;
  union Node {
    Node* next;
    alignas(T) std::byte object[sizeof(T)];
  };

  void Free(Node* node) {
    node->next = free_;
    free_ = node;
  }
  void Grow() {
    slabs_.push_back(std::make_unique<Node[]>(kSlabObjects));
    for (size_t i = kSlabObjects; i > 0; --i) Free(&slabs_.back()[i - 1]);
  }

  std::vector<std::unique_ptr<Node[]>> slabs_;
  Node* free_ = nullptr;
  size_t count_ = 0;
};

}  // namespace longhaul
