// Which kernels this processor can run, and Reduce with a given set of them.
//
// Any thread.
#pragma once

#include <cstddef>
#include <span>

#include "compute/kernel_set.h"
#include "compute/reduce.h"

namespace longhaul {

/// The sets this processor runs, slowest first; never empty. The last one is
/// what Reduce and the conversions use.
std::span<const KernelSet* const> AvailableKernels() noexcept;

/// The set in use: the last of AvailableKernels().
const KernelSet& BestKernels() noexcept;

/// Reduce (reduce.h) by the kernels given.
void ReduceWith(const KernelSet& kernels, const Reduction& reduction,
                void* target, std::span<const void* const> sources,
                size_t count) noexcept;

}  // namespace longhaul
