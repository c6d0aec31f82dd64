// That the builder makes reduce-scatters of stretches, on every shape the proof
// reaches, and what they cost.

#include "collective/reduce_scatter.h"

#include <gtest/gtest.h>

#include <map>
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

std::vector<Schedule> ScatterAll(uint64_t count, const Topology& topology,
                                 Rank root, Rails rails) {
  std::vector<Schedule> all;
  for (Rank rank = 0; rank < topology.size(); ++rank) {
    all.push_back(BuildReduceScatter(count, topology, root, rank, rails));
  }
  return all;
}

std::vector<Schedule> ScatterAll(uint64_t count, const Topology& topology,
                                 Rank root) {
  return ScatterAll(count, topology, root, RailsFor(count, topology));
}

// Fewer elements than there are owners, and more.
const std::vector<std::pair<uint64_t, Rails>> kProven = {{0, Rails::kOne},
                                                         {3, Rails::kOne},
                                                         {1, Rails::kAll},
                                                         {3, Rails::kAll},
                                                         {18, Rails::kAll}};

TEST(ReduceScatterTest, IsProvenForEveryShape) {
  int proven = 0;
  for (int sites = 1; sites <= 5; ++sites) {
    for (int size = std::max(2, sites); size <= 17; ++size) {
      for (const Case& c : Cases(size, sites)) {
        for (Rank root = 0; root < size; ++root) {
          for (const auto& [count, rails] : kProven) {
            const Status s = CheckReduceScatter(
                ScatterAll(count, c.topology, root, rails), c.topology, root);
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

TEST(ReduceScatterTest, OneRankMakesItsInputFinal) {
  const Topology alone = Topology::OneSite(1);
  const std::vector<Schedule> all = ScatterAll(5, alone, 0);
  ASSERT_EQ(all[0].steps.size(), 1U);
  EXPECT_TRUE(all[0].steps[0].final);
  EXPECT_TRUE(CheckReduceScatter(all, alone, 0).ok());
}

TEST(ReduceScatterTest, ScratchStaysWithinTheStatedMost) {
  for (int sites = 1; sites <= 3; ++sites) {
    for (int size = std::max(2, sites); size <= 12; ++size) {
      for (const Case& c : Cases(size, sites)) {
        for (const uint64_t count : {uint64_t{1001}, uint64_t{1} << 20}) {
          uint64_t most = 0;
          for (Rank root = 0; root < size; ++root) {
            for (const Schedule& s : ScatterAll(count, c.topology, root)) {
              most = std::max(most, s.scratch_count);
            }
          }
          EXPECT_EQ(most, ReduceScatterScratch(count, c.topology)) << c.name;
        }
      }
    }
  }
}

TEST(ReduceScatterTest, OneSumOfEveryElementLeavesEveryOtherSite) {
  for (const Case& c : Cases(11, 3)) {
    for (const uint64_t count : {uint64_t{3}, uint64_t{1} << 20}) {
      std::map<SiteIndex, uint64_t> leaves;
      const std::vector<Schedule> all = ScatterAll(count, c.topology, 4);
      for (Rank rank = 0; rank < 11; ++rank) {
        const Schedule& schedule = all[static_cast<size_t>(rank)];
        for (const Step& step : schedule.steps) {
          if (step.kind != StepKind::kSend ||
              c.topology.SameSite(rank, step.peer)) {
            continue;
          }
          EXPECT_TRUE(c.topology.SameSite(step.peer, 4)) << c.name;
          leaves[c.topology.SiteOf(rank)] += schedule.SourcesOf(step)[0].count;
        }
      }
      EXPECT_EQ(leaves.size(), 2U) << c.name;
      for (const auto& [site, elements] : leaves) EXPECT_EQ(elements, count);
    }
  }
}

// The same expression as an all-reduce: what the two proofs hold against each
// other is one function of the topology.
TEST(ReduceScatterTest, AddsInTheOrderOfAHierarchicalAllReduce) {
  const Topology topology = MakeSites({3, 1, 2});
  const std::vector<Schedule> all = ScatterAll(5, topology, 4);
  int tried = 0;
  for (size_t r = 0; r < all.size(); ++r) {
    for (const Step& step : all[r].steps) {
      if (step.source_count < 2) continue;
      std::vector<Schedule> bad = all;
      std::swap(bad[r].sources[step.first_source],
                bad[r].sources[step.first_source + 1]);
      EXPECT_THAT(CheckReduceScatter(bad, topology, 4).text(),
                  ::testing::HasSubstr("is not the sum by sites"));
      ++tried;
    }
  }
  EXPECT_EQ(tried, 3);  // two sites of several ranks, and the sum of sites
}

// --- what the proof catches

void ExpectEveryDependencyNeeded(const Topology& topology, Rank root,
                                 Rails rails) {
  const std::vector<Schedule> good = ScatterAll(12, topology, root, rails);
  ASSERT_TRUE(CheckReduceScatter(good, topology, root).ok());
  for (size_t r = 0; r < good.size(); ++r) {
    for (size_t i = 0; i < good[r].steps.size(); ++i) {
      for (uint32_t d = 0; d < good[r].steps[i].dependency_count; ++d) {
        std::vector<Schedule> bad = good;
        // The last one takes the dropped one's place.
        Step& changed = bad[r].steps[i];
        const uint32_t first = changed.first_dependency;
        bad[r].dependencies[first + d] =
            bad[r].dependencies[first + --changed.dependency_count];
        EXPECT_FALSE(CheckReduceScatter(bad, topology, root).ok())
            << "root " << root << ", rank " << r << ", step " << i
            << ", dependency " << d;
      }
    }
  }
}

TEST(ReduceScatterMutationTest, EveryDependencyIsNeeded) {
  ExpectEveryDependencyNeeded(MakeSites({4}), 1, Rails::kOne);
  for (const Rails rails : {Rails::kOne, Rails::kAll}) {
    for (const Rank root : {0, 2, 3}) {
      ExpectEveryDependencyNeeded(MakeSites({3, 2}), root, rails);
    }
    ExpectEveryDependencyNeeded(MakeSites({1, 3, 2}), 0, rails);
    ExpectEveryDependencyNeeded(MakeSites({1, 3, 2}), 2, rails);
  }
}

TEST(ReduceScatterMutationTest, AnotherRootOrWritingElsewhereIsRefused) {
  const Topology topology = MakeSites({2, 2});
  const std::vector<Schedule> good = ScatterAll(5, topology, 1);
  EXPECT_FALSE(CheckReduceScatter(good, topology, 0).ok());
  // Finality is part of the expression: an average is divided once.
  for (size_t r = 0; r < good.size(); ++r) {
    for (size_t i = 0; i < good[r].steps.size(); ++i) {
      if (good[r].steps[i].kind != StepKind::kReduce) continue;
      std::vector<Schedule> bad = good;
      bad[r].steps[i].final = !bad[r].steps[i].final;
      EXPECT_FALSE(CheckReduceScatter(bad, topology, 1).ok());
    }
  }
}

}  // namespace
}  // namespace longhaul
