// The bare exchange: rank j of one site and rank j of the other send each other
// S/m bytes, at the same time, over one warm TCP connection each. What an
// all-reduce of S bytes over two sites of m ranks cannot avoid, and nothing
// else: no framing, no sums, no steps inside a site.
//
// Thread-compatible.
#pragma once

#include <longhaul/status.h>

#include <memory>
#include <string>

#include "harness/settings.h"
#include "harness/subject.h"

namespace longhaul::bench {

struct ExchangeOptions {
  std::string congestion_control = "bbr";  ///< "system": the host's default
  /// Bits/s each connection may send at most (SO_MAX_PACING_RATE); 0: no limit.
  double pace = 0;
  /// Where this rank's partner reaches it; empty: the local end of the
  /// connection to the rendezvous.
  std::string address;
};

/// Joins as the environment says: two sites of equally many ranks.
Result<std::unique_ptr<Subject>> JoinExchange(const ExchangeOptions& how);

}  // namespace longhaul::bench
