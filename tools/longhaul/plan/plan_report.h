// A plan, for a person and for programs.
//
// Pure functions; any thread.
#pragma once

#include <string>
#include <vector>

#include "collective/site_shares.h"
#include "plan/plan.h"
#include "topology/topology.h"
#include "topology/topology_file.h"

namespace longhaul::plan {

/// The sites and lines as they are understood, then a table per size. `name` is
/// the file's.
std::string PlanText(const std::string& name, const TopologyFile& file,
                     const Topology& topology, const SiteShares& shares,
                     const Job& job, const std::vector<Choice>& choices);

/// {"topology", "type", "goodput", "sites": [{"name", "ranks", "wan_ranks",
/// "up_bits_per_second", "up_stated", "down_bits_per_second", "down_stated",
/// "share"}], "lines": [{"between": [], "delay_seconds", "delay_stated",
/// "rate_bits_per_second"}], "sizes": [{"bytes", "bound_seconds", "chosen",
/// "schedules": [{"name", "refusal", "segments", "segment_bytes", "in_flight",
/// "estimated_seconds", "estimated_of_bound", "simulated_seconds"}]}]}. A
/// schedule has either "refusal" or the rest; "share" is there if shares are.
std::string PlanJson(const std::string& name, const TopologyFile& file,
                     const Topology& topology, const SiteShares& shares,
                     const Job& job, const std::vector<Choice>& choices);

}  // namespace longhaul::plan
