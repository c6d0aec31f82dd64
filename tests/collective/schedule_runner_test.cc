// The whole stack below the public API, in virtual time: schedules played over
// connections over a simulated network.

#include "collective/schedule_runner.h"

#include <array>
#include <random>

#include "support/sim_job.h"

namespace longhaul {
namespace {

/// One all-reduce of i64 sums on every rank, with inputs that tell rank and
/// index apart.
class Call {
 public:
  Call(SimJob& job, uint64_t count, int64_t salt = 0, bool in_place = false)
      : job_(job), count_(count), salt_(salt) {
    const auto ranks = static_cast<size_t>(job.size());
    inputs_.resize(ranks);
    outputs_.resize(ranks);
    for (size_t r = 0; r < ranks; ++r) {
      for (uint64_t i = 0; i < count; ++i) {
        inputs_[r].push_back(Input(static_cast<int64_t>(r), i));
      }
      outputs_[r].assign(in_place ? 0 : count, -1);
    }
  }
  ~Call() {
    for (Operation* operation : operations_) {
      if (operation != nullptr) operation->Release();
    }
  }

  void Start() {
    for (Rank r = 0; r < job_.size(); ++r) StartOn(r);
  }
  void StartOn(Rank rank) {
    const auto r = static_cast<size_t>(rank);
    operations_.resize(static_cast<size_t>(job_.size()));
    OperationCall call;
    call.type = DataType::kInt64;
    call.op = ReduceOp::kSum;
    call.input = reinterpret_cast<const uint8_t*>(inputs_[r].data());
    call.output = reinterpret_cast<uint8_t*>(Output(r).data());
    call.count = count_;
    operations_[r] = job_.Start(rank, call);
  }

  bool Done() const {
    for (const Operation* operation : operations_) {
      if (operation != nullptr && !operation->Done()) return false;
    }
    return true;
  }
  bool DoneOn(Rank rank) const {
    return operations_[static_cast<size_t>(rank)]->Done();
  }
  bool Wait(Duration limit) {
    return job_.world().RunUntil([this] { return Done(); },
                                 job_.world().now() + limit);
  }
  const Status& status(Rank rank) const {
    return operations_[static_cast<size_t>(rank)]->status();
  }

  /// Elements that are not the exact sum, over all ranks that report success.
  size_t Wrong() {
    size_t wrong = 0;
    for (Rank rank = 0; rank < job_.size(); ++rank) {
      const auto r = static_cast<size_t>(rank);
      if (!status(rank).ok()) continue;
      for (uint64_t i = 0; i < count_; ++i) {
        int64_t sum = 0;
        for (Rank from = 0; from < job_.size(); ++from) sum += Input(from, i);
        wrong += Output(r)[i] != sum;
      }
    }
    return wrong;
  }

 private:
  int64_t Input(int64_t rank, uint64_t index) const {
    return (rank + 1) * 1'000'003 + static_cast<int64_t>(index) * 17 + salt_;
  }
  std::vector<int64_t>& Output(size_t r) {
    return outputs_[r].empty() ? inputs_[r] : outputs_[r];
  }

  SimJob& job_;
  uint64_t count_;
  int64_t salt_;
  std::vector<std::vector<int64_t>> inputs_;
  std::vector<std::vector<int64_t>> outputs_;
  std::vector<Operation*> operations_;
};

TEST(ScheduleRunnerTest, EveryTopologyAndLengthGivesTheExactSum) {
  const std::vector<std::vector<Rank>> shapes = {
      {1},    {2},       {5},          {1, 1},         {2, 2},
      {3, 2}, {4, 1, 2}, {2, 2, 2, 2}, {1, 1, 1, 1, 1}};
  for (const auto& sites : shapes) {
    for (const Algorithm algorithm :
         {Algorithm::kRing, Algorithm::kHierarchical, Algorithm::kSharded}) {
      SimJobConfig config;
      config.sites = sites;
      config.algorithm = algorithm;
      SimJob job(1, config);
      for (const uint64_t count : {0U, 1U, 7U, 1000U, 100'000U}) {
        for (const bool in_place : {false, true}) {
          Call call(job, count, 0, in_place);
          call.Start();
          ASSERT_TRUE(call.Wait(20 * kSecond))
              << NameOf(algorithm) << " " << sites.size() << " sites, "
              << count;
          for (Rank r = 0; r < job.size(); ++r) {
            EXPECT_TRUE(call.status(r).ok()) << call.status(r).ToString();
          }
          EXPECT_EQ(call.Wrong(), 0u) << NameOf(algorithm) << " "
                                      << sites.size() << " sites, " << count;
        }
      }
    }
  }
}

TEST(ScheduleRunnerTest, ManyOperationsInFlightMatchByOrder) {
  SimJobConfig config;
  config.sites = {2, 2};
  SimJob job(2, config);
  std::vector<std::unique_ptr<Call>> calls;
  for (int64_t i = 0; i < 50; ++i) {
    calls.push_back(std::make_unique<Call>(job, 1 + 997 * (i % 7), i));
    calls.back()->Start();
  }
  for (auto& call : calls) {
    ASSERT_TRUE(call->Wait(20 * kSecond));
    EXPECT_EQ(call->Wrong(), 0u);
    EXPECT_TRUE(call->status(0).ok()) << call->status(0).ToString();
  }
}

TEST(ScheduleRunnerTest, LateRanksFindWhatWasSentBefore) {
  SimJobConfig config;
  config.sites = {2, 2};
  SimJob job(3, config);
  Call call(job, 500'000);
  call.StartOn(0);
  job.world().RunFor(kSecond);
  call.StartOn(3);
  job.world().RunFor(kSecond);
  call.StartOn(1);
  job.world().RunFor(kSecond);
  call.StartOn(2);
  ASSERT_TRUE(call.Wait(20 * kSecond));
  EXPECT_EQ(call.Wrong(), 0u);
}

TEST(ScheduleRunnerTest, SmallAllReduceTakesOneWayAcrossTheWan) {
  SimJobConfig config;
  config.sites = {2, 2};
  SimJob job(4, config);
  Call first(job, 1);  // opens the connections
  first.Start();
  ASSERT_TRUE(first.Wait(kSecond));
  const TimePoint start = job.world().now();
  Call call(job, 1);
  call.Start();
  ASSERT_TRUE(call.Wait(kSecond));
  EXPECT_LT(job.world().now() - start, 26 * kMillisecond);
}

TEST(ScheduleRunnerTest, LargeAllReduceReachesTheLowerBound) {
  SimJobConfig config;
  config.sites = {2, 2};
  SimJob job(5, config);
  // Each rank has a line of its own here: 62.5 MB/s x 2 per site.
  const uint64_t count = 2 << 20;
  Call call(job, count);
  call.Start();
  ASSERT_TRUE(call.Wait(20 * kSecond));
  EXPECT_EQ(call.Wrong(), 0u);
  const double bound = 25e-3 + static_cast<double>(count) * 8 / (2 * 62.5e6);
  const double took = static_cast<double>(job.world().now()) / kSecond;
  EXPECT_LT(took, 1.10 * bound);
  EXPECT_GT(took, bound);
}

TEST(ScheduleRunnerTest, ShardedHidesOneOfItsTwoDelays) {
  SimJobConfig config;
  config.sites = {1, 1, 1};
  config.algorithm = Algorithm::kSharded;
  SimJob job(5, config);
  // Every two sites have a line of their own here, 62.5 MB/s each way: a third
  // of the vector crosses it as sums and a third as totals.
  const uint64_t count = 4 << 20;
  Call call(job, count);
  call.Start();
  ASSERT_TRUE(call.Wait(20 * kSecond));
  EXPECT_EQ(call.Wrong(), 0u);
  const double bound = 25e-3 + 2. / 3 * static_cast<double>(count) * 8 / 62.5e6;
  const double took = static_cast<double>(job.world().now()) / kSecond;
  EXPECT_LT(took, 1.05 * bound);
  EXPECT_GT(took, bound);
}

TEST(ScheduleRunnerTest, LossyLinesStillGiveTheExactSum) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    SimJobConfig config;
    config.sites = {2, 2};
    config.wan_flows = 3;
    config.wan.reliable = false;
    config.wan.loss = 0.05;
    config.wan.duplicate = 0.05;
    config.wan.reorder = 0.05;
    config.wan.late = 30 * kMillisecond;
    SimJob job(seed, config);
    for (int i = 0; i < 3; ++i) {
      Call call(job, 100'000, i);
      call.Start();
      ASSERT_TRUE(call.Wait(60 * kSecond)) << "seed " << seed;
      EXPECT_EQ(call.Wrong(), 0u) << "seed " << seed;
      EXPECT_TRUE(call.status(0).ok())
          << "seed " << seed << " " << call.status(0).ToString();
    }
  }
}

TEST(ScheduleRunnerTest, ADeadRankEndsTheOperationEverywhere) {
  for (uint64_t seed = 1; seed <= 30; ++seed) {
    SimJobConfig config;
    config.sites = {2, 3};
    SimJob job(seed, config);
    std::mt19937_64 random(seed);
    Call call(job, 400'000);
    call.Start();
    const auto when = static_cast<Duration>(random() % (40 * kMillisecond));
    job.world().RunFor(when);
    const auto victim = static_cast<Rank>(random() % 5);
    job.KillProcess(victim);
    ASSERT_TRUE(call.Wait(60 * kSecond)) << "seed " << seed;
    EXPECT_EQ(call.Wrong(), 0u) << "seed " << seed;
    for (Rank r = 0; r < job.size(); ++r) {
      // Who dies late may have sent all that others need.
      if (when > 5 * kMillisecond && call.status(r).ok()) continue;
      EXPECT_EQ(call.status(r).code(), StatusCode::kUnreachable)
          << "seed " << seed << " " << call.status(r).ToString();
    }
    Call next(job, 10);
    next.Start();
    ASSERT_TRUE(next.Wait(60 * kSecond)) << "seed " << seed;
    for (Rank r = 0; r < job.size(); ++r) {
      EXPECT_EQ(next.status(r).code(), StatusCode::kUnreachable);
    }
  }
}

TEST(ScheduleRunnerTest, SilenceIsUnreachableWithinTheTimeout) {
  SimJobConfig config;
  config.sites = {2, 2};
  config.timeout = 2 * kSecond;
  SimJob job(6, config);
  Call first(job, 1);
  first.Start();
  ASSERT_TRUE(first.Wait(kSecond));
  for (const Rank r : {2, 3}) {
    for (const Rank s : {0, 1}) {
      for (auto& flow : job.FlowsBetween(s, r)) {
        job.world().network().Blackhole(*flow.from);
      }
    }
  }
  const TimePoint start = job.world().now();
  Call call(job, 100'000);
  call.Start();
  ASSERT_TRUE(call.Wait(10 * kSecond));
  for (Rank r = 0; r < job.size(); ++r) {
    EXPECT_EQ(call.status(r).code(), StatusCode::kUnreachable)
        << call.status(r).ToString();
  }
  EXPECT_LE(job.world().now() - start, 3 * kSecond);
}

TEST(ScheduleRunnerTest, DisagreementIsNamedOnEveryRankAndHealsAfterwards) {
  struct Case {
    const char* what;
    std::function<void(OperationCall&)> change;
  };
  const std::vector<Case> cases = {
      {"count", [](OperationCall& c) { c.count /= 2; }},
      {"no elements", [](OperationCall& c) { c.count = 0; }},
      {"type", [](OperationCall& c) { c.type = DataType::kUint64; }},
      {"op", [](OperationCall& c) { c.op = ReduceOp::kMax; }},
      {"barrier",
       [](OperationCall& c) {
         c.collective = Collective::kBarrier;
         c.count = 0;
       }},
  };
  for (const Case& c : cases) {
    for (Rank odd = 0; odd < 5; ++odd) {
      SimJobConfig config;
      config.sites = {2, 3};
      SimJob job(7, config);
      std::vector<std::vector<int64_t>> data(5, std::vector<int64_t>(300'000));
      std::vector<Operation*> operations;
      for (Rank r = 0; r < 5; ++r) {
        auto* bytes =
            reinterpret_cast<uint8_t*>(data[static_cast<size_t>(r)].data());
        OperationCall call{Collective::kAllReduce,
                           DataType::kInt64,
                           ReduceOp::kSum,
                           bytes,
                           bytes,
                           300'000};
        if (r == odd) c.change(call);
        operations.push_back(job.Start(r, call));
      }
      const bool done = job.world().RunUntil(
          [&] {
            for (const Operation* o : operations) {
              if (!o->Done()) return false;
            }
            return true;
          },
          30 * kSecond);
      ASSERT_TRUE(done) << c.what << " on rank " << odd;
      for (Operation* operation : operations) {
        EXPECT_EQ(operation->status().code(), StatusCode::kInvalidArgument)
            << c.what << ": " << operation->status().ToString();
        EXPECT_NE(operation->status().text().find("disagree"),
                  std::string::npos)
            << operation->status().text();
        operation->Release();
      }
      Call after(job, 1000);
      after.Start();
      ASSERT_TRUE(after.Wait(10 * kSecond)) << c.what << " on rank " << odd;
      EXPECT_TRUE(after.status(0).ok()) << after.status(0).ToString();
      EXPECT_EQ(after.Wrong(), 0u);
    }
  }
}

TEST(ScheduleRunnerTest, WhoClosesEndsLaterOperationsButNotEarlierOnes) {
  for (uint64_t seed = 1; seed <= 10; ++seed) {
    SimJobConfig config;
    config.sites = {2, 2};
    config.wan_flows = 2;
    SimJob job(seed, config);
    Call last(job, 200'000);
    last.Start();
    ASSERT_TRUE(
        job.world().RunUntil([&] { return last.DoneOn(3); }, 20 * kSecond));
    job.runner(3).Abort(Status(StatusCode::kAborted, "closed"));
    Call next(job, 10);
    for (const Rank r : {0, 1, 2}) next.StartOn(r);
    ASSERT_TRUE(last.Wait(10 * kSecond)) << "seed " << seed;
    ASSERT_TRUE(next.Wait(10 * kSecond)) << "seed " << seed;
    for (const Rank r : {0, 1, 2}) {
      EXPECT_TRUE(last.status(r).ok()) << last.status(r).ToString();
      EXPECT_EQ(next.status(r).code(), StatusCode::kAborted)
          << next.status(r).ToString();
    }
    EXPECT_EQ(last.Wrong(), 0u);
  }
}

TEST(ScheduleRunnerTest, SharesMayChangeBetweenOperations) {
  SimJobConfig config;
  config.sites = {2, 1, 2};
  config.algorithm = Algorithm::kSharded;
  SimJob job(6, config);
  std::vector<std::unique_ptr<Call>> calls;
  std::mt19937_64 random(6);
  for (int64_t i = 0; i < 12; ++i) {
    std::array<uint64_t, 3> weights{};
    for (uint64_t& weight : weights) weight = random() % 4;
    for (Rank r = 0; r < job.size(); ++r) {
      job.runner(r).SetShares(SiteShares::OfWeights(weights));
    }
    // Twice, so that operations with other shares run beside each other.
    for (int twice = 0; twice < 2; ++twice) {
      calls.push_back(std::make_unique<Call>(job, 50'001, i));
      calls.back()->Start();
    }
    job.world().RunFor(10 * kMillisecond);
  }
  for (auto& call : calls) {
    ASSERT_TRUE(call->Wait(20 * kSecond));
    EXPECT_TRUE(call->status(0).ok()) << call->status(0).ToString();
    EXPECT_EQ(call->Wrong(), 0u);
  }
}

TEST(ScheduleRunnerTest, SharesThatDifferAreNamedOnEveryRank) {
  // Each site believes that the other one adds everything up: nobody would
  // send a total.
  SimJobConfig config;
  config.sites = {2, 2};
  config.algorithm = Algorithm::kSharded;
  SimJob job(7, config);
  const std::array<uint64_t, 2> ours = {1, 0};
  const std::array<uint64_t, 2> theirs = {0, 1};
  for (Rank r = 0; r < job.size(); ++r) {
    job.runner(r).SetShares(SiteShares::OfWeights(r < 2 ? theirs : ours));
  }
  for (const uint64_t count : {uint64_t{0}, uint64_t{1000}}) {
    Call call(job, count);
    call.Start();
    ASSERT_TRUE(call.Wait(5 * kSecond));
    for (Rank r = 0; r < job.size(); ++r) {
      EXPECT_THAT(
          call.status(r).text(),
          ::testing::HasSubstr("the sites' shares or the codecs differ"))
          << r;
    }
  }
}

TEST(ScheduleRunnerTest, AFlowLostAmongSeveralIsNotNoticed) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    SimJobConfig config;
    config.sites = {2, 2};
    config.wan_flows = 3;
    SimJob job(seed, config);
    std::mt19937_64 random(seed);
    Call call(job, 400'000);
    call.Start();
    job.world().RunFor(static_cast<Duration>(random() % (60 * kMillisecond)));
    auto flows = job.FlowsBetween(0, 2);
    if (!flows.empty()) {
      job.world().network().Kill(*flows[random() % flows.size()].from);
    }
    ASSERT_TRUE(call.Wait(60 * kSecond)) << "seed " << seed;
    EXPECT_EQ(call.Wrong(), 0u) << "seed " << seed;
    for (Rank r = 0; r < job.size(); ++r) {
      EXPECT_TRUE(call.status(r).ok())
          << "seed " << seed << " " << call.status(r).ToString();
    }
  }
}

}  // namespace
}  // namespace longhaul
