#include "compute/dispatch.h"

#ifdef __x86_64__
#include <cpuid.h>
#endif

namespace longhaul {
namespace {

struct Available {
  const KernelSet* sets[3] = {};
  size_t count = 0;
};

#ifdef __x86_64__
bool HasF16c() {
  unsigned eax = 0;
  unsigned ebx = 0;
  unsigned ecx = 0;
  unsigned edx = 0;
  return __get_cpuid(1, &eax, &ebx, &ecx, &edx) != 0 && (ecx & bit_F16C) != 0;
}
#endif

Available Detect() {
  Available available;
  available.sets[available.count++] = &kBaselineKernels;
#ifdef __x86_64__
  // __builtin_cpu_supports also asks whether the system saves the registers.
  const bool avx2 = __builtin_cpu_supports("avx2") != 0 && HasF16c();
  if (avx2) available.sets[available.count++] = &kAvx2Kernels;
  if (avx2 && __builtin_cpu_supports("avx512f") != 0 &&
      __builtin_cpu_supports("avx512bw") != 0 &&
      __builtin_cpu_supports("avx512vl") != 0 &&
      __builtin_cpu_supports("avx512dq") != 0) {
    available.sets[available.count++] = &kAvx512Kernels;
  }
#endif
  return available;
}

}  // namespace

std::span<const KernelSet* const> AvailableKernels() noexcept {
  static const Available available = Detect();
  return {available.sets, available.count};
}

const KernelSet& BestKernels() noexcept { return *AvailableKernels().back(); }

}  // namespace longhaul
