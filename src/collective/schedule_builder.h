// Appends steps to a Schedule: keeps the index arithmetic out of the builders.
//
// Thread-compatible.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <span>
#include <utility>

#include "collective/schedule.h"

namespace longhaul {

class ScheduleBuilder {
 public:
  /// Index of a step; kNone in a list of dependencies stands for nothing.
  using Index = uint32_t;
  static constexpr Index kNone = UINT32_MAX;
  using Dependencies = std::span<const Index>;

  ScheduleBuilder(uint64_t count, uint64_t scratch_count,
                  uint64_t code_count = 0) {
    schedule_.count = count;
    schedule_.scratch_count = scratch_count;
    schedule_.code_count = code_count;
  }

  Index Send(Rank peer, uint32_t message, Extent source, Dependencies after) {
    return Add({.kind = StepKind::kSend,
                .peer = peer,
                .message = message,
                .target = {}},
               std::span(&source, 1), after);
  }
  Index Recv(Rank peer, uint32_t message, Extent target, Dependencies after) {
    return Add({.kind = StepKind::kRecv,
                .peer = peer,
                .message = message,
                .target = target},
               {}, after);
  }
  Index Reduce(Extent target, std::span<const Extent> sources, bool final,
               Dependencies after) {
    return Add({.kind = StepKind::kReduce, .final = final, .target = target},
               sources, after);
  }
  Index Copy(Extent target, Extent source, Dependencies after) {
    return Add({.kind = StepKind::kCopy, .target = target},
               std::span(&source, 1), after);
  }

  Index Encode(Extent code, Extent source, uint64_t element, bool final,
               Dependencies after) {
    return Add({.kind = StepKind::kEncode,
                .final = final,
                .target = code,
                .element = element},
               std::span(&source, 1), after);
  }
  Index Decode(Extent target, std::span<const Extent> codes, bool final,
               Dependencies after) {
    return Add({.kind = StepKind::kDecode, .final = final, .target = target},
               codes, after);
  }

  Schedule Take() { return std::move(schedule_); }

 private:
  Index Add(Step step, std::span<const Extent> sources, Dependencies after) {
    Schedule& s = schedule_;
    step.first_source = static_cast<uint32_t>(s.sources.size());
    step.source_count = static_cast<uint32_t>(sources.size());
    s.sources.insert(s.sources.end(), sources.begin(), sources.end());
    step.first_dependency = static_cast<uint32_t>(s.dependencies.size());
    for (const Index index : after) {
      if (index != kNone) s.dependencies.push_back(index);
    }
    step.dependency_count =
        static_cast<uint32_t>(s.dependencies.size()) - step.first_dependency;
    s.steps.push_back(step);
    return static_cast<Index>(s.steps.size() - 1);
  }

  Schedule schedule_;
};

}  // namespace longhaul
