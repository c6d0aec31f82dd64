// Which of the codecs' kernels this processor can run.
//
// Any thread.
#pragma once

#include <span>

#include "codec/codec_kernels.h"

namespace longhaul {

/// The sets this processor runs, slowest first; never empty. The last one is
/// what Codec uses.
std::span<const CodecKernels* const> AvailableCodecKernels() noexcept;

}  // namespace longhaul
