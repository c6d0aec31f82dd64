// A doubly linked list through its members, so that queues on data paths
// neither allocate nor search: T derives from ListLink<Tag>.
//
// Thread-compatible.
#pragma once

#include "base/check.h"

namespace longhaul {

template <typename Tag>
struct ListLink {
  ListLink* previous = nullptr;
  ListLink* next = nullptr;
  bool linked() const { return next != nullptr; }
};

template <typename T, typename Tag>
class IntrusiveList {
 public:
  using Link = ListLink<Tag>;

  IntrusiveList() { head_.previous = head_.next = &head_; }
  IntrusiveList(const IntrusiveList&) = delete;
  IntrusiveList& operator=(const IntrusiveList&) = delete;

  bool empty() const { return head_.next == &head_; }
  T* front() const { return empty() ? nullptr : Get(head_.next); }
  T* back() const { return empty() ? nullptr : Get(head_.previous); }
  /// The element after `item`, or nullptr.
  T* After(const T& item) const {
    const Link* next = static_cast<const Link&>(item).next;
    return next == &head_ ? nullptr : Get(const_cast<Link*>(next));
  }

  void PushBack(T& item) { InsertBefore(head_, item); }
  void PushFront(T& item) { InsertBefore(*head_.next, item); }
  /// After `place`, which is in this list; at the front if it is nullptr.
  void InsertAfter(T* place, T& item) {
    InsertBefore(
        place == nullptr ? *head_.next : *static_cast<Link*>(place)->next,
        item);
  }
  /// The element before `item`, or nullptr.
  T* Before(const T& item) const {
    Link* previous = static_cast<const Link&>(item).previous;
    return previous == &head_ ? nullptr : Get(previous);
  }
  T* PopFront() {
    T* item = front();
    if (item != nullptr) Remove(*item);
    return item;
  }
  static void Remove(T& item) {
    Link& link = item;
    LH_DCHECK(link.linked() && link.previous != nullptr);
    link.previous->next = link.next;
    link.next->previous = link.previous;
    link.previous = link.next = nullptr;
  }

 private:
  static T* Get(Link* link) { return static_cast<T*>(link); }
  static void InsertBefore(Link& place, T& item) {
    Link& link = item;
    LH_DCHECK(!link.linked() && place.previous != nullptr);
    link.previous = place.previous;
    link.next = &place;
    place.previous->next = &link;
    place.previous = &link;
  }

  Link head_;
};

}  // namespace longhaul
