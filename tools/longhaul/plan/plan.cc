#include "plan/plan.h"

#include <algorithm>
#include <cinttypes>

#include "base/text.h"
#include "collective/coded_hierarchical.h"
#include "collective/coded_sharded.h"
#include "collective/hierarchical.h"
#include "collective/ring.h"
#include "collective/schedule.h"
#include "collective/selector.h"
#include "collective/sharded.h"
#include "collective/simulation.h"

namespace longhaul::plan {
namespace {

// More steps take too long to play.
constexpr double kMostSteps = 2e7;

bool IsExact(const std::string& host) {
  return host.find_first_of("*?") == std::string::npos;
}

// The names of a site's hosts; those that nobody states have none that a list
// could hold.
std::vector<std::string> HostsOf(const TopologyFile::Site& site,
                                 const Job& job) {
  std::vector<std::string> hosts;
  for (const std::string& host : site.hosts) {
    if (IsExact(host)) hosts.push_back(host);
  }
  const auto stated = job.hosts.find(site.spec.name);
  const size_t count = stated != job.hosts.end()
                           ? static_cast<size_t>(stated->second)
                           : std::max<size_t>(1, hosts.size());
  for (size_t i = hosts.size(); i < count; ++i) {
    hosts.push_back(Text("\n%zu", i));
  }
  hosts.resize(count);
  return hosts;
}

Schedule Build(const Candidate& candidate, const Topology& topology,
               Rank rank) {
  const uint64_t count = candidate.segments.segment_elements;
  const bool coded = candidate.segments.coded();
  switch (candidate.algorithm) {
    case Algorithm::kRing:
      return BuildRingAllReduce(count, topology, rank);
    case Algorithm::kSharded:
      return coded ? BuildCodedShardedAllReduce(count, topology,
                                                candidate.segments.shares, rank)
                   : BuildShardedAllReduce(count, topology,
                                           candidate.segments.shares, rank);
    case Algorithm::kHierarchical:
    case Algorithm::kAuto:
      break;
  }
  return coded ? BuildCodedHierarchicalAllReduce(count, topology, rank)
               : BuildHierarchicalAllReduce(count, topology, rank);
}

std::optional<double> SimulatedSeconds(const Candidate& candidate,
                                       const Topology& topology,
                                       const Job& job) {
  const double first =
      static_cast<double>(Build(candidate, topology, 0).steps.size());
  if (first * topology.size() *
          static_cast<double>(candidate.segments.segments) >
      kMostSteps) {
    return std::nullopt;
  }
  std::vector<Schedule> all;
  all.reserve(static_cast<size_t>(topology.size()));
  for (Rank rank = 0; rank < topology.size(); ++rank) {
    all.push_back(Build(candidate, topology, rank));
  }
  return Simulate(all, SizeOf(job.type), topology, job.cost,
                  candidate.segments.segments, candidate.segments.in_flight)
      .seconds;
}

Candidate Consider(Algorithm algorithm, uint64_t count,
                   const Topology& topology, const SiteShares& shares,
                   const Job& job) {
  Candidate candidate;
  candidate.algorithm = algorithm;
  candidate.refusal = CheckBuildable(topology, algorithm);
  if (!candidate.refusal.ok()) return candidate;
  const Result<SegmentPlan> plan = PlanSegments(
      count, SizeOf(job.type), topology, algorithm, shares, job.segments);
  candidate.refusal = plan.status();
  if (!plan.ok()) return candidate;
  candidate.segments = *plan;
  candidate.seconds =
      EstimateSeconds(algorithm, *plan, SizeOf(job.type), topology, job.cost);
  if (job.simulate) {
    candidate.simulated = SimulatedSeconds(candidate, topology, job);
  }
  return candidate;
}

}  // namespace

Result<Topology> TopologyFor(const TopologyFile& file, const Job& job) {
  if (file.sites.empty()) {
    return Status(StatusCode::kInvalidArgument, "the file has no [[site]]");
  }
  for (const auto& [site, count] : job.hosts) {
    if (file.FindSite(site) >= 0) continue;
    return Status(StatusCode::kInvalidArgument, "the file has no site " + site);
  }
  std::vector<Member> members;
  for (const TopologyFile::Site& site : file.sites) {
    for (const std::string& host : HostsOf(site, job)) {
      for (int i = 0; i < job.ranks_per_host; ++i) {
        if (members.size() == size_t{kMostRanks}) {
          return Status(StatusCode::kInvalidArgument,
                        Text("more than %d ranks", kMostRanks));
        }
        members.push_back(
            {site.spec.name, host, static_cast<int32_t>(members.size()), true});
      }
    }
  }
  return MakeTopology(members, &file);
}

Result<Choice> ChooseFor(uint64_t bytes, const Topology& topology,
                         const SiteShares& shares, const Job& job) {
  const size_t size = SizeOf(job.type);
  if (bytes % size != 0) {
    return Status(
        StatusCode::kInvalidArgument,
        Text("%" PRIu64 " bytes are no number of %s, which have %zu each",
             bytes, NameOf(job.type), size));
  }
  Choice choice;
  choice.bytes = bytes;
  CostParameters coded = job.cost;
  coded.goodput /= job.cost.code_share;
  choice.bound = LowerBound(bytes, topology, coded);
  for (const Algorithm algorithm :
       {Algorithm::kHierarchical, Algorithm::kSharded, Algorithm::kRing}) {
    choice.candidates.push_back(
        Consider(algorithm, bytes / size, topology, shares, job));
  }
  const Result<Algorithm> chosen =
      SelectAlgorithm(Algorithm::kAuto, bytes / size, size, topology, shares,
                      job.segments, job.cost);
  if (chosen.ok()) choice.chosen = *chosen;
  return choice;
}

}  // namespace longhaul::plan
