// A hash table through its members: T derives from MapLink<T>, and
// Traits::KeyOf / Traits::Hash / equality say how it is found. Grows by
// doubling its array of buckets and otherwise never allocates.
//
// Thread-compatible.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/check.h"

namespace longhaul {

template <typename T>
struct MapLink {
  T* map_next = nullptr;
};

template <typename T, typename Traits>
class IntrusiveMap {
 public:
  IntrusiveMap() : buckets_(kFirstBuckets) {}
  IntrusiveMap(const IntrusiveMap&) = delete;
  IntrusiveMap& operator=(const IntrusiveMap&) = delete;

  size_t size() const { return size_; }

  template <typename Key>
  T* Find(const Key& key) const {
    for (T* at = buckets_[Index(Traits::Hash(key))]; at != nullptr;
         at = at->map_next) {
      if (Traits::KeyOf(*at) == key) return at;
    }
    return nullptr;
  }
  /// `item`'s key must not be in the table.
  void Insert(T& item) {
    if (size_ >= buckets_.size()) Grow();
    Link(item);
    ++size_;
  }
  void Remove(T& item) {
    T** at = &buckets_[Index(Traits::Hash(Traits::KeyOf(item)))];
    while (*at != &item) {
      LH_DCHECK(*at != nullptr);
      at = &(*at)->map_next;
    }
    *at = item.map_next;
    item.map_next = nullptr;
    --size_;
  }
  /// Calls `visit(T&)` for every element; it may remove that element.
  template <typename Visit>
  void ForEach(Visit visit) {
    for (T* first : buckets_) {
      for (T* at = first; at != nullptr;) {
        T* next = at->map_next;
        visit(*at);
        at = next;
      }
    }
  }

 private:
  static constexpr size_t kFirstBuckets = 64;

  size_t Index(uint64_t hash) const {
    return static_cast<size_t>(hash) & (buckets_.size() - 1);
  }
  void Link(T& item) {
    T*& first = buckets_[Index(Traits::Hash(Traits::KeyOf(item)))];
    item.map_next = first;
    first = &item;
  }
  void Grow() {
    std::vector<T*> before(2 * buckets_.size());
    before.swap(buckets_);
    for (T* at : before) {
      while (at != nullptr) {
        T* next = at->map_next;
        Link(*at);
        at = next;
      }
    }
  }

  std::vector<T*> buckets_;
  size_t size_ = 0;
};

}  // namespace longhaul
