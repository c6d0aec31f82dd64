// Whether one rank's schedule is well formed, whatever the others do.
//
// Pure functions; any thread.
#pragma once

#include <longhaul/status.h>
#include <longhaul/types.h>

#include "collective/schedule.h"

namespace longhaul {

/// Of rank `self` of `size`: kinds have the operands they need, all of one
/// length; indices and extents are in range; only output and scratch are
/// written; dependencies come before their step; a peer's message number is
/// used once each way; a target is a source's memory or does not touch it;
/// codes are made, sent, received and decoded, and nothing else is done with
/// them, and each of them always as a whole.
///
/// And no race: of any two steps that touch the same memory, one writing, one
/// comes after the other by dependencies alone, with input and output taken as
/// the same memory (which covers the case that they are not). A receive counts
/// as writing from the moment its dependencies are complete. A copy of input to
/// its own place in the output writes nothing where the two are the same.
///
/// kInvalidArgument names the step. Memory and time grow with the square of
/// the steps.
Status ValidateSchedule(const Schedule& schedule, Rank self, Rank size);

}  // namespace longhaul
