// That the builders make all-reduces, on every shape the proof reaches, and
// that the proof sees what is wrong when something is.
#include <gtest/gtest.h>

#include <array>
#include <random>
#include <set>
#include <string>

#include "collective/schedule_cases.h"
#include "collective/selector.h"
#include "collective/symbolic.h"
#include "collective/validator.h"

namespace longhaul {
namespace {

using testing::BuildAll;
using testing::Case;
using testing::Cases;
using testing::MakeSites;
using testing::RandomShares;

class AllReduceTest : public ::testing::TestWithParam<Algorithm> {};

TEST_P(AllReduceTest, IsProvenForEveryShape) {
  int proven = 0;
  for (int sites = 1; sites <= 5; ++sites) {
    for (int size = std::max(2, sites); size <= 17; ++size) {
      const auto n = static_cast<uint64_t>(size);
      const std::set<uint64_t> counts = {0,     1, 2,     3,
                                         n - 1, n, n + 1, 2 * n + 3};
      for (const Case& c : Cases(size, sites)) {
        if (!CheckBuildable(c.topology, GetParam()).ok()) continue;
        for (const uint64_t count : counts) {
          const Status s = CheckAllReduce(
              BuildAll(GetParam(), count, c.topology), c.topology);
          ASSERT_TRUE(s.ok())
              << c.name << ", count " << count << ": " << s.ToString();
          ++proven;
        }
      }
    }
  }
  // Ring cannot serve sites whose only door is one of several ranks.
  EXPECT_GT(proven, GetParam() == Algorithm::kRing ? 1000 : 2900);
}

TEST_P(AllReduceTest, OneRankMakesItsInputFinal) {
  const Topology alone = Topology::OneSite(1);
  const std::vector<Schedule> all = BuildAll(GetParam(), 5, alone);
  ASSERT_EQ(all[0].steps.size(), 1U);
  EXPECT_EQ(all[0].steps[0].kind, StepKind::kReduce);
  EXPECT_TRUE(CheckAllReduce(all, alone).ok());
}

TEST_P(AllReduceTest, ScratchStaysWithinTheStatedMost) {
  for (int size = 2; size <= 12; ++size) {
    for (const Case& c : Cases(size, 2)) {
      if (!CheckBuildable(c.topology, GetParam()).ok()) continue;
      uint64_t most = 0;
      for (const Schedule& s : BuildAll(GetParam(), 1001, c.topology)) {
        most = std::max(most, s.scratch_count);
      }
      if (GetParam() == Algorithm::kSharded) {
        const uint64_t stated =
            ShardedScratch(1001, c.topology, SharesOf(c.topology));
        EXPECT_LE(most, stated) << c.name;
        EXPECT_LE(stated, most + 12) << c.name;
        continue;
      }
      EXPECT_EQ(most, GetParam() == Algorithm::kRing
                          ? RingScratch(1001, c.topology)
                          : HierarchicalScratch(1001, c.topology))
          << c.name;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Algorithms, AllReduceTest,
                         ::testing::Values(Algorithm::kRing,
                                           Algorithm::kHierarchical,
                                           Algorithm::kSharded),
                         [](const auto& test) {
                           return std::string(NameOf(test.param));
                         });

TEST(ShardedTest, IsProvenForAnyShares) {
  std::mt19937 random(7);
  for (int sites = 2; sites <= 5; ++sites) {
    for (int size = sites; size <= 17; ++size) {
      for (const Case& c : Cases(size, sites)) {
        const SiteShares shares = RandomShares(sites, random);
        for (const int count : {0, 1, 5, 4 * size + 3}) {
          const auto n = static_cast<uint64_t>(count);
          const std::vector<Schedule> all =
              testing::BuildAllSharded(n, c.topology, shares);
          const Status s = CheckAllReduce(all, c.topology);
          ASSERT_TRUE(s.ok())
              << c.name << ", count " << count << ": " << s.ToString();
          for (const Schedule& schedule : all) {
            EXPECT_LE(schedule.scratch_count,
                      ShardedScratch(n, c.topology, shares));
          }
        }
      }
    }
  }
}

// What each site's ranks send to other sites.
std::vector<uint64_t> SentOut(const std::vector<Schedule>& ranks,
                              const Topology& topology) {
  std::vector<uint64_t> sent(static_cast<size_t>(topology.site_count()));
  for (size_t r = 0; r < ranks.size(); ++r) {
    const auto self = static_cast<Rank>(r);
    for (const Step& step : ranks[r].steps) {
      if (step.kind != StepKind::kSend) continue;
      if (topology.SameSite(self, step.peer)) continue;
      sent[static_cast<size_t>(topology.SiteOf(self))] +=
          ranks[r].SourcesOf(step)[0].count;
    }
  }
  return sent;
}

TEST(ShardedTest, SiteSendsTheVectorAndItsShareForEachFurtherSite) {
  const Topology topology = MakeSites({2, 1, 3, 2});
  const SiteShares shares =
      SiteShares::OfWeights(std::array<uint64_t, 4>{2, 0, 1, 1});
  EXPECT_EQ(
      SentOut(testing::BuildAllSharded(2400, topology, shares), topology),
      (std::vector<uint64_t>{2400 * 2, 2400, 2400 * 3 / 2, 2400 * 3 / 2}));
}

// --- what the proof catches ------------------------------------------------

// No dependency may be missing: each is dropped in turn, and each is missed.
void ExpectEveryDependencyNeeded(Algorithm algorithm,
                                 const Topology& topology) {
  const std::vector<Schedule> good = BuildAll(algorithm, 120, topology);
  ASSERT_TRUE(CheckAllReduce(good, topology).ok());
  for (size_t r = 0; r < good.size(); ++r) {
    for (size_t i = 0; i < good[r].steps.size(); ++i) {
      const Step& step = good[r].steps[i];
      for (uint32_t d = 0; d < step.dependency_count; ++d) {
        std::vector<Schedule> bad = good;
        // The last one takes the dropped one's place.
        Step& changed = bad[r].steps[i];
        const uint32_t first = changed.first_dependency;
        bad[r].dependencies[first + d] =
            bad[r].dependencies[first + --changed.dependency_count];
        EXPECT_FALSE(CheckAllReduce(bad, topology).ok())
            << NameOf(algorithm) << ", rank " << r << ", step " << i
            << ", dependency " << d;
      }
    }
  }
}

TEST(AllReduceMutationTest, EveryDependencyIsNeeded) {
  ExpectEveryDependencyNeeded(Algorithm::kRing, MakeSites({3, 2}));
  ExpectEveryDependencyNeeded(Algorithm::kHierarchical, MakeSites({4}));
  ExpectEveryDependencyNeeded(Algorithm::kHierarchical, MakeSites({2, 2}));
  ExpectEveryDependencyNeeded(Algorithm::kHierarchical, MakeSites({3, 2}));
  ExpectEveryDependencyNeeded(Algorithm::kHierarchical, MakeSites({1, 3, 2}));
  ExpectEveryDependencyNeeded(
      Algorithm::kHierarchical,
      MakeSites({4, 3}, [](int i, int) { return i % 2 == 0; }));
  ExpectEveryDependencyNeeded(Algorithm::kSharded, MakeSites({1, 3, 2}));
  ExpectEveryDependencyNeeded(
      Algorithm::kSharded,
      MakeSites({4, 3, 1}, [](int i, int) { return i % 2 == 0; }));
}

class MutationTest : public ::testing::TestWithParam<Algorithm> {
 protected:
  MutationTest()
      : topology_(MakeSites({3, 2})),
        all_(BuildAll(GetParam(), 120, topology_)) {}

  // Calls `change` on a fresh copy for every step of the kind; each result
  // must be refused.
  template <typename Change>
  void ExpectRefused(StepKind kind, Change change) {
    int tried = 0;
    for (size_t r = 0; r < all_.size(); ++r) {
      for (size_t i = 0; i < all_[r].steps.size(); ++i) {
        if (all_[r].steps[i].kind != kind) continue;
        std::vector<Schedule> bad = all_;
        change(bad[r], bad[r].steps[i]);
        EXPECT_FALSE(CheckAllReduce(bad, topology_).ok())
            << "rank " << r << ", step " << i;
        ++tried;
      }
    }
    EXPECT_GT(tried, 0);
  }

  Topology topology_;
  std::vector<Schedule> all_;
};

TEST_P(MutationTest, WrongMessageNumberIsRefused) {
  ExpectRefused(StepKind::kSend, [](Schedule&, Step& s) { s.message += 1; });
  ExpectRefused(StepKind::kRecv, [](Schedule&, Step& s) { s.message += 1; });
}

TEST_P(MutationTest, SwappedMessageNumbersAreRefused) {
  ExpectRefused(StepKind::kSend, [](Schedule& schedule, Step& s) {
    for (Step& other : schedule.steps) {
      if (other.kind == s.kind && other.peer == s.peer && &other != &s) {
        std::swap(other.message, s.message);
        return;
      }
    }
    s.message += 1;
  });
}

TEST_P(MutationTest, WrongExtentIsRefused) {
  const auto shift = [](Schedule& schedule, Step& s) {
    Extent& e = schedule.sources[s.first_source];
    e.offset = e.offset == 0 ? 1 : e.offset - 1;
  };
  ExpectRefused(StepKind::kSend, shift);
  ExpectRefused(StepKind::kReduce, shift);
  ExpectRefused(StepKind::kSend, [](Schedule& schedule, Step& s) {
    --schedule.sources[s.first_source].count;
  });
  ExpectRefused(StepKind::kRecv, [](Schedule&, Step& s) { --s.target.count; });
  ExpectRefused(StepKind::kRecv, [](Schedule&, Step& s) {
    s.target.offset = s.target.offset == 0 ? 1 : s.target.offset - 1;
  });
}

TEST_P(MutationTest, WrongPeerIsRefused) {
  const auto turn = [](Schedule&, Step& s) { s.peer = (s.peer + 1) % 5; };
  ExpectRefused(StepKind::kSend, turn);
  ExpectRefused(StepKind::kRecv, turn);
}

TEST_P(MutationTest, FinalTooEarlyOrNeverIsRefused) {
  ExpectRefused(StepKind::kReduce,
                [](Schedule&, Step& s) { s.final = !s.final; });
}

TEST_P(MutationTest, MissingContributionIsRefused) {
  ExpectRefused(StepKind::kReduce, [](Schedule&, Step& s) {
    ++s.first_source;
    --s.source_count;
  });
}

TEST(AllReduceMutationTest, OtherOrderOfSitesOnOneRankIsRefused) {
  // The same sum in exact arithmetic, but not the same bits.
  const Topology topology = MakeSites({3, 2});
  const std::vector<Schedule> good =
      BuildAll(Algorithm::kHierarchical, 120, topology);
  for (size_t r = 0; r < good.size(); ++r) {
    for (const Step& step : good[r].steps) {
      if (!step.final) continue;
      std::vector<Schedule> bad = good;
      std::swap(bad[r].sources[step.first_source],
                bad[r].sources[step.first_source + 1]);
      const Status s = CheckAllReduce(bad, topology);
      EXPECT_THAT(s.text(), ::testing::HasSubstr("another order"));
    }
  }
}

TEST(AllReduceMutationTest, MessageBetweenSitesNeedsWanAtBothEnds) {
  const Topology built_for = MakeSites({2, 2});
  const Topology actual = MakeSites({2, 2}, [](int i, int) { return i == 0; });
  const Status s =
      CheckAllReduce(BuildAll(Algorithm::kHierarchical, 8, built_for), actual);
  EXPECT_THAT(s.text(), ::testing::HasSubstr("WAN access"));
}

TEST(AllReduceMutationTest, SilentRankIsMissedEvenForAnEmptyVector) {
  // Two ranks that exchange nothing have an "all-reduce" of nothing, but
  // neither knows that the other has called.
  const Topology two = MakeSites({2});
  std::vector<Schedule> all = BuildAll(Algorithm::kRing, 0, MakeSites({1}));
  all.push_back(all[0]);
  const Status s = CheckAllReduce(all, two);
  EXPECT_THAT(s.text(), ::testing::HasSubstr("without word of rank"));
}

INSTANTIATE_TEST_SUITE_P(Algorithms, MutationTest,
                         ::testing::Values(Algorithm::kRing,
                                           Algorithm::kHierarchical,
                                           Algorithm::kSharded),
                         [](const auto& test) {
                           return std::string(NameOf(test.param));
                         });

}  // namespace
}  // namespace longhaul
