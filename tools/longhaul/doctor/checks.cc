#include "doctor/checks.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace longhaul::doctor {

uint64_t WanNeed::Bdp() const {
  const double bytes = rate / 8 * (static_cast<double>(round_trip) / kSecond);
  constexpr double kMost = 1e15;
  return static_cast<uint64_t>(std::ceil(std::clamp(bytes, 0.0, kMost)));
}

const char* NameOf(Verdict verdict) noexcept {
  switch (verdict) {
    case Verdict::kOk:
      return "ok";
    case Verdict::kAdvice:
      return "advice";
    case Verdict::kProblem:
      return "problem";
  }
  return "?";
}

Verdict Worst(const std::vector<Finding>& findings) {
  Verdict worst = Verdict::kOk;
  for (const Finding& finding : findings) {
    worst = std::max(worst, finding.verdict);
  }
  return worst;
}

bool KernelIsAtLeast(const std::string& release, int major, int minor) {
  int has_major = 0;
  int has_minor = 0;
  if (std::sscanf(release.c_str(), "%d.%d", &has_major, &has_minor) != 2) {
    return true;  // not a release as we know them: no complaint
  }
  return has_major != major ? has_major > major : has_minor >= minor;
}

std::vector<Finding> Examine(const HostFacts& facts, const WanNeed& need) {
  std::vector<Finding> all;
  for (const std::vector<Finding>& part :
       {ExamineProcess(facts, need), ExamineNetwork(facts),
        ExamineTcp(facts, need), ExamineNccl(facts)}) {
    all.insert(all.end(), part.begin(), part.end());
  }
  return all;
}

}  // namespace longhaul::doctor
