// Counts what a program asks of the heap: linking this replaces the global
// allocation functions. Any thread may allocate; the count is one for all.
#pragma once

#include <cstdint>

namespace longhaul {

/// From now on allocations are counted, from zero.
void StartCountingAllocations();

/// Ends the count. Returns how many there were, on all threads together.
uint64_t StopCountingAllocations();

}  // namespace longhaul
