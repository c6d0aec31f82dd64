// The inverse of a schedule's dependencies: what a step's completion may set
// free.
//
// Values; thread-compatible.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "collective/schedule.h"

namespace longhaul {

struct Successors {
  std::vector<uint32_t> first;  ///< per step, into `steps`, and the end
  std::vector<uint32_t> steps;  ///< ascending per step
  std::vector<uint32_t> roots;  ///< steps without dependencies, ascending

  std::span<const uint32_t> Of(uint32_t step) const {
    return std::span(steps).subspan(first[step], first[step + 1] - first[step]);
  }
};

/// A step listed twice among another's dependencies is listed twice here, so
/// that counting Step::dependency_count down to zero stays right.
inline Successors SuccessorsOf(const Schedule& schedule) {
  Successors s;
  s.first.assign(schedule.steps.size() + 1, 0);
  for (const uint32_t d : schedule.dependencies) ++s.first[d + 1];
  for (size_t i = 1; i < s.first.size(); ++i) s.first[i] += s.first[i - 1];
  s.steps.resize(schedule.dependencies.size());
  std::vector<uint32_t> at(s.first.begin(), s.first.end() - 1);
  for (uint32_t i = 0; i < schedule.steps.size(); ++i) {
    const Step& step = schedule.steps[i];
    for (const uint32_t d : schedule.DependenciesOf(step)) s.steps[at[d]++] = i;
    if (step.dependency_count == 0) s.roots.push_back(i);
  }
  return s;
}

}  // namespace longhaul
