// That the builder makes all-gathers of stretches, on every shape the proof
// reaches, and what they cost.

#include "collective/all_gather.h"

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <utility>
#include <vector>

#include "collective/carriers.h"
#include "collective/schedule_cases.h"
#include "collective/symbolic.h"

namespace longhaul {
namespace {

using testing::Case;
using testing::Cases;
using testing::MakeSites;

std::vector<Schedule> GatherAll(uint64_t count, const Topology& topology,
                                Rank root, Rails rails) {
  std::vector<Schedule> all;
  for (Rank rank = 0; rank < topology.size(); ++rank) {
    all.push_back(BuildAllGather(count, topology, root, rank, rails));
  }
  return all;
}

std::vector<Schedule> GatherAll(uint64_t count, const Topology& topology,
                                Rank root) {
  return GatherAll(count, topology, root, RailsFor(count, topology));
}

// Elements that cross from each site to each other one.
std::map<std::pair<SiteIndex, SiteIndex>, uint64_t> Crossing(
    const std::vector<Schedule>& all, const Topology& topology) {
  std::map<std::pair<SiteIndex, SiteIndex>, uint64_t> crossing;
  for (Rank rank = 0; rank < topology.size(); ++rank) {
    const Schedule& schedule = all[static_cast<size_t>(rank)];
    for (const Step& step : schedule.steps) {
      if (step.kind != StepKind::kSend) continue;
      const SiteIndex from = topology.SiteOf(rank);
      const SiteIndex to = topology.SiteOf(step.peer);
      if (from == to) continue;
      crossing[{from, to}] += schedule.SourcesOf(step)[0].count;
    }
  }
  return crossing;
}

// Fewer elements than there are owners, and more.
const std::vector<std::pair<uint64_t, Rails>> kProven = {{0, Rails::kOne},
                                                         {3, Rails::kOne},
                                                         {1, Rails::kAll},
                                                         {3, Rails::kAll},
                                                         {18, Rails::kAll}};

TEST(AllGatherTest, IsProvenForEveryShape) {
  int proven = 0;
  for (int sites = 1; sites <= 5; ++sites) {
    for (int size = std::max(2, sites); size <= 17; ++size) {
      for (const Case& c : Cases(size, sites)) {
        for (Rank root = 0; root < size; ++root) {
          for (const auto& [count, rails] : kProven) {
            const Status s = CheckAllGather(
                GatherAll(count, c.topology, root, rails), c.topology, root);
            ASSERT_TRUE(s.ok()) << c.name << ", root " << root << ", count "
                                << count << ": " << s.ToString();
            ++proven;
          }
        }
      }
    }
  }
  EXPECT_GT(proven, 10'000);
}

TEST(AllGatherTest, EveryElementLeavesTheRootsSiteOncePerOtherSite) {
  for (const Case& c : Cases(11, 3)) {
    const SiteIndex home = c.topology.SiteOf(4);
    for (const uint64_t count : {uint64_t{3}, uint64_t{1} << 20}) {
      const auto crossing =
          Crossing(GatherAll(count, c.topology, 4), c.topology);
      EXPECT_EQ(crossing.size(), 2U) << c.name;
      for (const auto& [sites, elements] : crossing) {
        EXPECT_EQ(sites.first, home) << c.name;
        EXPECT_EQ(elements, count) << c.name;
      }
    }
  }
}

TEST(AllGatherTest, LongStretchesLeaveByEveryRailAndShortOnesByOne) {
  const Topology topology = MakeSites({4, 4});
  for (const Rank root : {0, 3}) {
    for (const uint64_t count : {uint64_t{100}, uint64_t{1} << 20}) {
      std::set<Rank> rails;
      for (Rank rank = 0; rank < 4; ++rank) {
        for (const Step& step : BuildAllGather(count, topology, root, rank,
                                               RailsFor(count, topology))
                                    .steps) {
          if (step.kind != StepKind::kSend || step.peer < 4) continue;
          rails.insert(rank);
          EXPECT_EQ(step.peer, rank + 4);  // as in an all-reduce
        }
      }
      const bool shared = count > 100;
      EXPECT_EQ(rails,
                shared ? std::set<Rank>({0, 1, 2, 3}) : std::set<Rank>({root}));
    }
  }
}

// A connection that no all-reduce opens would be cold.
TEST(AllGatherTest, SitesSpeakOverTheConnectionsOfAllReducesOnly) {
  for (int sites = 2; sites <= 4; ++sites) {
    for (const Case& c : Cases(13, sites)) {
      std::set<std::pair<Rank, Rank>> open;
      const auto all =
          testing::BuildAll(Algorithm::kHierarchical, 0, c.topology);
      for (Rank rank = 0; rank < 13; ++rank) {
        for (const Step& s : all[static_cast<size_t>(rank)].steps) {
          if (s.peer >= 0) open.insert({rank, s.peer});
        }
      }
      for (Rank root = 0; root < 13; ++root) {
        for (const uint64_t count : {uint64_t{1}, uint64_t{1} << 20}) {
          for (Rank rank = 0; rank < 13; ++rank) {
            for (const Step& s : BuildAllGather(count, c.topology, root, rank,
                                                RailsFor(count, c.topology))
                                     .steps) {
              if (s.peer < 0 || c.topology.SameSite(rank, s.peer)) continue;
              EXPECT_TRUE(open.contains({rank, s.peer}))
                  << c.name << ", root " << root << ": " << rank << " and "
                  << s.peer;
            }
          }
        }
      }
    }
  }
}

// --- what the proof catches

TEST(AllGatherMutationTest, EveryDependencyIsNeeded) {
  const Topology topology = MakeSites({3, 2});
  const std::vector<Schedule> good = GatherAll(12, topology, 1, Rails::kAll);
  int tried = 0;
  for (size_t r = 0; r < good.size(); ++r) {
    for (size_t i = 0; i < good[r].steps.size(); ++i) {
      if (good[r].steps[i].dependency_count == 0) continue;
      std::vector<Schedule> bad = good;
      --bad[r].steps[i].dependency_count;
      EXPECT_FALSE(CheckAllGather(bad, topology, 1).ok())
          << "rank " << r << ", step " << i;
      ++tried;
    }
  }
  EXPECT_GT(tried, 3);
}

TEST(AllGatherMutationTest, AMissingStepOrAnotherRootIsRefused) {
  const Topology topology = MakeSites({2, 2});
  const std::vector<Schedule> good = GatherAll(5, topology, 1);
  ASSERT_TRUE(CheckAllGather(good, topology, 1).ok());
  EXPECT_FALSE(CheckAllGather(good, topology, 0).ok());
  for (size_t r = 0; r < good.size(); ++r) {
    std::vector<Schedule> bad = good;
    ASSERT_FALSE(bad[r].steps.empty());
    bad[r].steps.pop_back();
    EXPECT_FALSE(CheckAllGather(bad, topology, 1).ok()) << r;
  }
}

}  // namespace
}  // namespace longhaul
