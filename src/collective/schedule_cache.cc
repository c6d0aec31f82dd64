#include "collective/schedule_cache.h"

#include "base/check.h"
#include "collective/all_gather.h"
#include "collective/coded_hierarchical.h"
#include "collective/coded_sharded.h"
#include "collective/hierarchical.h"
#include "collective/reduce_scatter.h"
#include "collective/ring.h"
#include "collective/sharded.h"

namespace longhaul {

ScheduleCache::ScheduleCache(const Topology& topology, Rank self,
                             size_t capacity)
    : topology_(topology), self_(self), capacity_(capacity) {}

size_t ScheduleCache::HashShape::operator()(const Shape& shape) const {
  const uint64_t kind = static_cast<uint64_t>(shape.collective) << 8 |
                        (shape.coded ? 0x80U : 0U) |
                        static_cast<uint64_t>(shape.algorithm);
  const uint64_t root = static_cast<uint32_t>(shape.root);
  uint64_t hash = (shape.count * 0x9e3779b97f4a7c15u) ^ (root << 16 | kind);
  if (shape.shares.sites() > 0) hash ^= shape.shares.Hash();
  hash *= 0xbf58476d1ce4e5b9u;
  return hash ^ (hash >> 32);
}

ScheduleCache::Hold ScheduleCache::Get(const Shape& shape) {
  ++uses_;
  auto at = entries_.find(shape);
  if (at == entries_.end()) {
    MakeRoom();
    auto entry = std::make_unique<Entry>();
    entry->ready.schedule = Build(shape);
    entry->ready.successors = SuccessorsOf(entry->ready.schedule);
    at = entries_.emplace(shape, std::move(entry)).first;
  }
  at->second->last_used = uses_;
  return Hold(at->second.get());
}

Schedule ScheduleCache::Build(const Shape& shape) const {
  const Rails rails = RailsFor(shape.count, topology_);
  switch (shape.collective) {
    case Collective::kAllGather:
      return BuildAllGather(shape.count, topology_, shape.root, self_, rails);
    case Collective::kReduceScatter:
      return BuildReduceScatter(shape.count, topology_, shape.root, self_,
                                rails);
    case Collective::kAllReduce:
    case Collective::kBarrier:
      break;
  }
  LH_CHECK(shape.algorithm != Algorithm::kAuto);
  switch (shape.algorithm) {
    case Algorithm::kRing:
      return BuildRingAllReduce(shape.count, topology_, self_);
    case Algorithm::kSharded:
      return shape.coded ? BuildCodedShardedAllReduce(shape.count, topology_,
                                                      shape.shares, self_)
                         : BuildShardedAllReduce(shape.count, topology_,
                                                 shape.shares, self_);
    case Algorithm::kHierarchical:
    case Algorithm::kAuto:
      break;
  }
  return shape.coded
             ? BuildCodedHierarchicalAllReduce(shape.count, topology_, self_)
             : BuildHierarchicalAllReduce(shape.count, topology_, self_);
}

void ScheduleCache::MakeRoom() {
  while (entries_.size() >= capacity_) {
    auto oldest = entries_.end();
    for (auto i = entries_.begin(); i != entries_.end(); ++i) {
      if (i->second->holders > 0) continue;
      if (oldest == entries_.end() ||
          i->second->last_used < oldest->second->last_used) {
        oldest = i;
      }
    }
    if (oldest == entries_.end()) return;  // all are held
    entries_.erase(oldest);
  }
}

}  // namespace longhaul
