// Which paths there are between two processes of different sites: pairs of
// addresses, one of each process. Both plan for themselves, from the same cards
// and as a rule the same options, and give the same path the same number.
//
// Which pairs are usable:
// - both of one IP version; loopback and link-local addresses only with their
//   like;
// - no address that both have, for it leads back to its own host (docker0's
//   172.17.0.1). Two processes of one host have the same addresses; between
//   them each is paired with itself alone.
// Two interfaces are joined over IPv4 as often as they have addresses for it;
// else once over IPv6, whose many addresses of one interface share its line.
// Link-local addresses are used if there is nothing else. What these two rules
// leave out can still be asked for, address by address.
//
// Pure functions; any thread.
#pragma once

#include <longhaul/options.h>
#include <longhaul/status.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/address.h"

namespace longhaul {

/// More are not planned; pairs that share no address come first.
inline constexpr size_t kMostPaths = 16;
/// Addresses of a process that can be part of a path.
inline constexpr size_t kMostPathEnds = 64;

/// What is known of a process, as its card says.
struct PathEnd {
  uint64_t incarnation = 0;
  std::string host;                 ///< empty: not known
  std::vector<Address> addresses;   ///< where it listens, the best first
  std::vector<std::string> labels;  ///< their interfaces; those missing or
                                    ///< empty are not known
};

struct PlannedPath {
  uint16_t number = 0;    ///< equal on both sides; < kMostPathEnds^2
  Address local;          ///< where flows come from; its port means nothing
  Address remote;         ///< where they go to
  std::string name;       ///< PathName
  double rate_limit = 0;  ///< bytes/s; 0: none
  bool guessed = false;   ///< nobody has asked for it: it may never work
};

struct PathPlan {
  std::vector<PlannedPath> paths;  ///< the best first; not empty
  std::string unmet;  ///< rules without a pair, as they were written
};

/// The paths that `rules` ask for, in their order. Without rules, or if they
/// give none because the peer does not say its interfaces, all usable pairs:
/// first the i-th address of an interface with the i-th of the one of that
/// name, then others that share no address, then the rest. A rule whose first
/// name is not here or second not there is tried the other way round, so that
/// one list serves both ends. kInvalidArgument if there is none, with the
/// addresses of both.
Result<PathPlan> PlanPaths(const PathEnd& own, const PathEnd& peer,
                           std::span<const PathRule> rules,
                           const RateLimits& limits);

/// "10.0.0.1 -> 10.0.1.7 (p0)", or (p0>eth1), for people. Empty labels are not
/// known.
std::string PathName(const Address& local, const Address& remote,
                     std::string_view label_here, std::string_view label_there);
/// What may leave by an address of this process; bytes/s, 0: no limit.
double RateLimitOf(const RateLimits& limits, const Address& local,
                   std::string_view label);
/// The interface of an address of `end`; empty if not known.
std::string_view LabelOf(const PathEnd& end, const Address& address);

}  // namespace longhaul
