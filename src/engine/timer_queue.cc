#include "engine/timer_queue.h"

#include <utility>

namespace longhaul {

void TimerQueue::Set(Pollable& item, TimePoint deadline) {
  if (deadline == kNever) {
    Remove(item);
    return;
  }
  const TimePoint before = item.deadline_;
  item.deadline_ = deadline;
  if (item.heap_index_ == Pollable::kNotQueued) {
    heap_.push_back(&item);
    item.heap_index_ = heap_.size() - 1;
    Up(item.heap_index_);
  } else if (deadline < before) {
    Up(item.heap_index_);
  } else {
    Down(item.heap_index_);
  }
}

void TimerQueue::Remove(Pollable& item) {
  const size_t index = item.heap_index_;
  item.deadline_ = kNever;
  if (index == Pollable::kNotQueued) return;
  item.heap_index_ = Pollable::kNotQueued;
  Pollable* last = heap_.back();
  heap_.pop_back();
  if (last == &item) return;
  Place(index, last);
  Up(index);
  Down(last->heap_index_);
}

Pollable* TimerQueue::TakeDue(TimePoint now) {
  if (heap_.empty() || heap_.front()->deadline_ > now) return nullptr;
  Pollable* item = heap_.front();
  Remove(*item);
  return item;
}

void TimerQueue::Up(size_t index) {
  Pollable* item = heap_[index];
  while (index > 0) {
    const size_t parent = (index - 1) / 2;
    if (heap_[parent]->deadline_ <= item->deadline_) break;
    Place(index, heap_[parent]);
    index = parent;
  }
  Place(index, item);
}

void TimerQueue::Down(size_t index) {
  Pollable* item = heap_[index];
  for (;;) {
    size_t child = 2 * index + 1;
    if (child >= heap_.size()) break;
    if (child + 1 < heap_.size() &&
        heap_[child + 1]->deadline_ < heap_[child]->deadline_) {
      ++child;
    }
    if (heap_[child]->deadline_ >= item->deadline_) break;
    Place(index, heap_[child]);
    index = child;
  }
  Place(index, item);
}

}  // namespace longhaul
