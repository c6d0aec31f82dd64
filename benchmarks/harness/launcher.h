// Starts the ranks of a job on this machine, as forks of the calling process,
// and sees them end: none is left when it returns, whatever happened.
//
// Call before threads are started.
#pragma once

#include <functional>

namespace longhaul::bench {

/// Forks `ranks` processes that run `rank_main` with LONGHAUL_RANK,
/// LONGHAUL_WORLD_SIZE, LONGHAUL_SITE (s0, s1, ...: `sites` of them, blocks of
/// ranks) and LONGHAUL_RENDEZVOUS (a free loopback port) set, and
/// LONGHAUL_INTERFACES to loopback unless it is set already. After the first
/// failure the others have five seconds, then SIGTERM, then SIGKILL; SIGINT
/// and SIGTERM are passed on. Returns the exit code of the first rank that
/// failed (128 + N for signal N), or 0.
int RunRanks(int ranks, int sites, const std::function<int()>& rank_main);

}  // namespace longhaul::bench
