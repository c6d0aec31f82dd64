#include "collective/schedule_cache.h"

#include <algorithm>

#include "collective/hierarchical.h"
#include "collective/ring.h"
#include "collective/selector.h"

namespace longhaul {
namespace {

ReadySchedule Ready(Schedule schedule) {
  Successors successors = SuccessorsOf(schedule);
  return {std::move(schedule), std::move(successors)};
}

}  // namespace

ScheduleCache::ScheduleCache(const Topology& topology, Rank self,
                             SegmentOptions options, size_t capacity)
    : topology_(topology), self_(self), options_(options), capacity_(capacity) {
  entries_.reserve(capacity_);
}

Result<ScheduleCache::Hold> ScheduleCache::Get(const Shape& shape) {
  ++uses_;
  for (const auto& entry : entries_) {
    if (entry->shape != shape) continue;
    entry->last_used = uses_;
    return Hold(entry.get());
  }
  Result<PlannedAllReduce> planned = Plan(shape);
  if (!planned.ok()) return planned.status();
  MakeRoom();
  entries_.push_back(std::make_unique<Entry>(
      Entry{shape, uses_, 0, std::move(planned).value()}));
  return Hold(entries_.back().get());
}

Schedule ScheduleCache::Build(Algorithm algorithm, uint64_t count) const {
  return algorithm == Algorithm::kRing
             ? BuildRingAllReduce(count, topology_, self_)
             : BuildHierarchicalAllReduce(count, topology_, self_);
}

Result<PlannedAllReduce> ScheduleCache::Plan(const Shape& shape) const {
  Status buildable = CheckBuildable(topology_, shape.algorithm);
  if (!buildable.ok()) return buildable;
  const Result<SegmentPlan> plan = PlanSegments(
      shape.count, shape.element_size, topology_, shape.algorithm, options_);
  if (!plan.ok()) return plan.status();
  PlannedAllReduce planned;
  planned.plan = *plan;
  planned.full = Ready(Build(shape.algorithm, plan->segment_elements));
  const uint64_t last = plan->CountOf(plan->segments - 1);
  if (last != plan->segment_elements) {
    planned.tail = Ready(Build(shape.algorithm, last));
  }
  return planned;
}

void ScheduleCache::MakeRoom() {
  while (entries_.size() >= capacity_) {
    auto oldest = entries_.end();
    for (auto i = entries_.begin(); i != entries_.end(); ++i) {
      if ((*i)->holders > 0) continue;
      if (oldest == entries_.end() || (*i)->last_used < (*oldest)->last_used) {
        oldest = i;
      }
    }
    if (oldest == entries_.end()) return;  // all are held
    entries_.erase(oldest);
  }
}

}  // namespace longhaul
