// Deadlines of pollables: a binary heap with each pollable's place in it, so
// that a deadline moves in O(log n) and allocates nothing once warmed.
//
// Engine thread only.
#pragma once

#include <vector>

#include "engine/pollable.h"

namespace longhaul {

class TimerQueue {
 public:
  void Set(Pollable& item, TimePoint deadline);
  void Remove(Pollable& item);
  /// kNever if empty.
  TimePoint Next() const {
    return heap_.empty() ? kNever : heap_.front()->deadline_;
  }
  /// Takes out a pollable whose deadline is not after `now`, or nullptr.
  Pollable* TakeDue(TimePoint now);

 private:
  void Place(size_t index, Pollable* item) {
    heap_[index] = item;
    item->heap_index_ = index;
  }
  void Up(size_t index);
  void Down(size_t index);

  std::vector<Pollable*> heap_;
};

}  // namespace longhaul
