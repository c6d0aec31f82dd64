// A whole job drawn from a seed: who is where, what joins them, what is called,
// and what goes wrong meanwhile. Equal on every machine for equal seeds.
//
// Plain values and pure functions; any thread.
#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "support/sim_call.h"
#include "support/sim_job.h"

namespace longhaul {

enum class FaultKind : uint8_t {
  kFlowKilled,  ///< one flow between two ranks is lost at once
  kHole,        ///< a path between two ranks is silent for a while
  kChange,      ///< rate and delay of a path between two ranks are others
  kProcess,     ///< the process of `a` is gone
};

struct RandomFault {
  FaultKind kind = FaultKind::kFlowKilled;
  double at = 0;        ///< as a share of the time the calls take without it
  Duration length = 0;  ///< of a hole
  Rank a = 0;
  Rank b = 0;
  uint16_t path = 0;
  SimLink link;  ///< from then on: kChange
};

struct RandomCase {
  uint64_t seed = 0;
  SimJobConfig config;
  std::vector<CallSpec> calls;   ///< in this order on every rank
  std::vector<Duration> starts;  ///< when each rank calls
  std::vector<RandomFault> faults;

  std::string ToString() const;
};

RandomCase DrawCase(uint64_t seed);

/// Plays it twice: without the faults, to see how long that takes, and with
/// them. What is wrong; empty: nothing.
std::string Play(const RandomCase& drawn);

}  // namespace longhaul
