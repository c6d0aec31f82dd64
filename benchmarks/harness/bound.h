// The least time an all-reduce over a long-haul link can take, T_LB: what no
// schedule can beat when each of k sites has one link of a given rate.
//
// Pure functions; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace longhaul::bench {

/// A site's link.
struct Link {
  double rate = 0;   ///< bits/s of IP packets
  double delay = 0;  ///< seconds, one way
};

/// "500mbit,25ms"; nullopt for anything else.
std::optional<Link> ParseLink(std::string_view text);

/// Share of an IP packet of 1500 bytes that is TCP payload (IPv4, timestamps).
inline constexpr double kPayloadShare = 1448.0 / 1500.0;

/// Seconds: delay + 2 (k-1) / k * bytes * 8 / (rate * h), which for two sites
/// is delay + bytes * 8 / (rate * h). nullopt for fewer than two sites, which
/// no link limits.
std::optional<double> LowerBound(const Link& link, int sites, uint64_t bytes);

}  // namespace longhaul::bench
