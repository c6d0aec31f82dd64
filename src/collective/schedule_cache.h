// The schedules of the shapes lately used, ready to run: a training step
// repeats the same few shapes, so after the first step nothing is built.
//
// Thread-compatible.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <unordered_map>
#include <utility>

#include "collective/operation_plan.h"
#include "collective/schedule.h"
#include "collective/successors.h"
#include "topology/topology.h"

namespace longhaul {

/// A schedule with what its runner needs.
struct ReadySchedule {
  Schedule schedule;
  Successors successors;
};

class ScheduleCache {
  struct Entry {
    uint64_t last_used = 0;
    uint32_t holders = 0;
    ReadySchedule ready;
  };

 public:
  /// Keeps a schedule from being dropped. Must not outlive the cache.
  class Hold {
   public:
    Hold(Hold&& other) noexcept : entry_(std::exchange(other.entry_, {})) {}
    Hold& operator=(Hold&& other) noexcept {
      std::swap(entry_, other.entry_);
      return *this;
    }
    ~Hold() {
      if (entry_ != nullptr) --entry_->holders;
    }
    const ReadySchedule& operator*() const { return entry_->ready; }
    const ReadySchedule* operator->() const { return &entry_->ready; }

   private:
    friend class ScheduleCache;
    explicit Hold(Entry* entry) : entry_(entry) { ++entry_->holders; }
    Entry* entry_;
  };

  /// Windows of a vector need a few shapes per rank (operation_plan.h).
  static constexpr size_t kDefaultCapacity = 1024;

  /// For rank `self` of `topology`, which must outlive the cache.
  ScheduleCache(const Topology& topology, Rank self,
                size_t capacity = kDefaultCapacity);

  /// The schedule of a shape whose algorithm is buildable (CheckBuildable),
  /// built if it is not there. One that is there costs no allocation. What was
  /// used longest ago goes first when there are more than `capacity`; what is
  /// held stays, even beyond that.
  Hold Get(const Shape& shape);

  /// Shapes in the cache.
  size_t size() const { return entries_.size(); }

 private:
  struct HashShape {
    size_t operator()(const Shape& shape) const;
  };

  Schedule Build(const Shape& shape) const;
  void MakeRoom();

  const Topology& topology_;
  Rank self_;
  size_t capacity_;
  uint64_t uses_ = 0;
  std::unordered_map<Shape, std::unique_ptr<Entry>, HashShape> entries_;
};

}  // namespace longhaul
