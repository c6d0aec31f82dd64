// What an all-reduce would do on the sites of a topology file, and what that
// would take: the schedules that are considered, priced, and the one that
// longhaul would choose.
//
// Pure functions; any thread.
#pragma once

#include <longhaul/options.h>
#include <longhaul/status.h>
#include <longhaul/types.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "collective/cost.h"
#include "collective/segment_plan.h"
#include "collective/site_shares.h"
#include "topology/topology.h"
#include "topology/topology_file.h"

namespace longhaul::plan {

/// No plan is made for more ranks.
inline constexpr int kMostRanks = 1 << 16;

/// What the file does not say of the job.
struct Job {
  int ranks_per_host = 1;
  std::map<std::string, int> hosts;  ///< by site, where stated
  DataType type = DataType::kFloat32;
  SegmentOptions segments;
  CodecSpec codec{};  ///< between sites; of the segments' and costs' share
  CostParameters cost;
  bool simulate = false;  ///< prices schedules by Simulate as well
};

/// The topology of such a job. A site has the hosts that the job states, else
/// as many as its list has exact names, else one; those beyond the names are
/// taken to have WAN access. kInvalidArgument if the file has no site, the job
/// names one that it has not, or there are too many ranks.
Result<Topology> TopologyFor(const TopologyFile& file, const Job& job);

struct Candidate {
  Algorithm algorithm = Algorithm::kAuto;
  Status refusal;  ///< why it cannot be built or planned; else ok
  SegmentPlan segments;
  double seconds = 0;               ///< estimated
  std::optional<double> simulated;  ///< seconds; the last segment as whole
};

struct Choice {
  uint64_t bytes = 0;  ///< per rank
  double bound = 0;    ///< seconds; nothing is faster
  std::vector<Candidate> candidates;
  std::optional<Algorithm> chosen;  ///< none if nothing can be
};

/// What would be done with `bytes` per rank. kInvalidArgument if they are no
/// number of elements.
Result<Choice> ChooseFor(uint64_t bytes, const Topology& topology,
                         const SiteShares& shares, const Job& job);

}  // namespace longhaul::plan
