#include "codec/dispatch.h"

#include <iterator>

#include "compute/dispatch.h"

namespace longhaul {

std::span<const CodecKernels* const> AvailableCodecKernels() noexcept {
  // The targets are those of src/compute, in the same order.
  static constexpr const CodecKernels* kSets[] = {
      &kBaselineCodecKernels,
#ifdef __x86_64__
      &kAvx2CodecKernels,
      &kAvx512CodecKernels,
#endif
  };
  return std::span(kSets).first(AvailableKernels().size());
}

}  // namespace longhaul
