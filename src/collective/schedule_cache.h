// The plans and schedules of the shapes lately used, ready to run: a training
// step repeats the same few shapes, so after the first step nothing is built.
//
// Thread-compatible.
#pragma once

#include <longhaul/options.h>
#include <longhaul/status.h>

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "collective/schedule.h"
#include "collective/segment_plan.h"
#include "collective/successors.h"
#include "topology/topology.h"

namespace longhaul {

/// What a schedule depends on. Type and operator do not enter, but for the
/// element's size, which decides how the vector is cut.
struct Shape {
  uint64_t count = 0;
  size_t element_size = 0;
  Algorithm algorithm = Algorithm::kAuto;  ///< one that is buildable
  friend bool operator==(const Shape&, const Shape&) = default;
};

/// A schedule with what its runner needs.
struct ReadySchedule {
  Schedule schedule;
  Successors successors;
};

/// One rank's part in an all-reduce of a shape.
struct PlannedAllReduce {
  SegmentPlan plan;
  ReadySchedule full;  ///< of segments of plan.segment_elements
  ReadySchedule tail;  ///< of the last one, if it is shorter; else no steps

  const ReadySchedule& Of(uint64_t segment) const {
    const bool last = segment + 1 == plan.segments;
    return last && !tail.schedule.steps.empty() ? tail : full;
  }
};

class ScheduleCache {
  struct Entry {
    Shape shape;
    uint64_t last_used = 0;
    uint32_t holders = 0;
    PlannedAllReduce planned;
  };

 public:
  /// Keeps a plan from being dropped. Must not outlive the cache.
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
    const PlannedAllReduce& operator*() const { return entry_->planned; }
    const PlannedAllReduce* operator->() const { return &entry_->planned; }

   private:
    friend class ScheduleCache;
    explicit Hold(Entry* entry) : entry_(entry) { ++entry_->holders; }
    Entry* entry_;
  };

  static constexpr size_t kDefaultCapacity = 64;

  /// For rank `self` of `topology`, which must outlive the cache.
  ScheduleCache(const Topology& topology, Rank self, SegmentOptions options,
                size_t capacity = kDefaultCapacity);

  /// The plan of a shape, built if it is not there. A plan that is there costs
  /// no allocation. What was used longest ago goes first when there are more
  /// than `capacity`; what is held stays, even beyond that. Faults: as
  /// PlanSegments and CheckBuildable.
  Result<Hold> Get(const Shape& shape);

  /// Shapes in the cache.
  size_t size() const { return entries_.size(); }

 private:
  Result<PlannedAllReduce> Plan(const Shape& shape) const;
  Schedule Build(Algorithm algorithm, uint64_t count) const;
  void MakeRoom();

  const Topology& topology_;
  Rank self_;
  SegmentOptions options_;
  size_t capacity_;
  uint64_t uses_ = 0;
  std::vector<std::unique_ptr<Entry>> entries_;
};

}  // namespace longhaul
