// All-gather and reduce-scatter over the whole stack below the public API, in
// virtual time: every element is compared with a reference.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <deque>
#include <functional>
#include <memory>
#include <vector>

#include "collective/block_call.h"
#include "collective/pattern.h"
#include "compute/reduce.h"
#include "support/sim_job.h"

namespace longhaul {
namespace {

using Bytes = std::vector<uint8_t>;

// One operation on every rank, on inputs that tell ranks and places apart.
class BlockCall {
 public:
  struct Spec {
    Collective collective = Collective::kAllGather;
    uint64_t block = 0;
    Window window;
    DataType type = DataType::kInt64;
    ReduceOp op = ReduceOp::kSum;
    bool in_place = false;
    uint8_t salt = 0;
  };

  BlockCall(SimJob& job, const Spec& spec)
      : job_(job),
        spec_(spec),
        window_{spec.window.offset, spec.window.offset + spec.window.count},
        whole_(Ranks()),
        part_(Ranks()),
        operations_(Ranks(), nullptr) {
    for (size_t r = 0; r < Ranks(); ++r) {
      whole_[r] = Gathers() ? Bytes(window_.count() * Size(), kUnwritten)
                            : Contribution(r);
      part_[r] = Gathers() ? Block(r) : Bytes(Own(r).count() * Size());
      if (Gathers() && spec.in_place) {
        Copy(part_[r], whole_[r].data() + Own(r).begin * Size());
      }
    }
  }
  ~BlockCall() {
    for (Operation* operation : operations_) {
      if (operation != nullptr) operation->Release();
    }
  }
  BlockCall(const BlockCall&) = delete;
  BlockCall& operator=(const BlockCall&) = delete;

  void Start() {
    for (Rank r = 0; r < job_.size(); ++r) StartOn(r);
  }
  void StartOn(Rank rank) {
    const auto r = static_cast<size_t>(rank);
    void* whole = whole_[r].data();
    void* part = spec_.in_place ? whole_[r].data() + Own(r).begin * Size()
                                : part_[r].data();
    const BlockArguments arguments = {Gathers() ? part : whole,
                                      Gathers() ? whole : part,
                                      spec_.block,
                                      spec_.window,
                                      spec_.type,
                                      spec_.op};
    const Result<OperationCall> call =
        MakeBlockCall(spec_.collective, arguments, rank, job_.size());
    ASSERT_TRUE(call.ok()) << call.status().ToString();
    operations_[r] = job_.Start(rank, *call);
  }

  bool DoneOn(Rank rank) const {
    const Operation* operation = operations_[static_cast<size_t>(rank)];
    return operation != nullptr && operation->Done();
  }
  bool Wait(Duration limit) {
    return job_.world().RunUntil(
        [this] {
          for (Rank r = 0; r < job_.size(); ++r) {
            if (!DoneOn(r)) return false;
          }
          return true;
        },
        job_.world().now() + limit);
  }
  const Status& status(Rank rank) const {
    return operations_[static_cast<size_t>(rank)]->status();
  }

  /// Ranks whose output is not what it should be, to the bit.
  size_t Wrong() const {
    size_t wrong = 0;
    Bytes gathered(window_.count() * Size());
    for (size_t r = 0; r < Ranks(); ++r) {
      Copy(Block(r), gathered.data() + Own(r).begin * Size());
    }
    for (size_t r = 0; r < Ranks(); ++r) {
      wrong += Gathers() ? whole_[r] != gathered
                         : Scattered(r) != Sum(r) || InputChanged(r);
    }
    return wrong;
  }

 private:
  static constexpr uint8_t kUnwritten = 0xee;

  bool Gathers() const { return spec_.collective == Collective::kAllGather; }
  size_t Ranks() const { return static_cast<size_t>(job_.size()); }
  size_t Size() const { return SizeOf(spec_.type); }
  Interval Own(size_t rank) const {
    return BlockInWindow(spec_.block, rank, window_);
  }
  static void Copy(const Bytes& from, uint8_t* to) {
    if (!from.empty()) std::memcpy(to, from.data(), from.size());
  }

  // Small numbers of the type, so that floating-point sums mean something. They
  // repeat, and that with another period than ranks and blocks.
  Bytes Numbers(size_t rank, uint64_t count) const {
    constexpr uint64_t kPeriod = 11;
    Bytes once;
    for (uint64_t i = 0; i < kPeriod; ++i) {
      Append((rank * 7 + i * 3 + spec_.salt) % kPeriod + 1, once);
    }
    Bytes bytes(count * Size());
    for (size_t at = 0; at < bytes.size(); at += once.size()) {
      std::memcpy(&bytes[at], once.data(),
                  std::min(once.size(), bytes.size() - at));
    }
    return bytes;
  }
  void Append(uint64_t number, Bytes& to) const {
    double f64 = static_cast<double>(number);
    auto f32 = static_cast<float>(number);
    uint32_t bits = 0;
    std::memcpy(&bits, &f32, sizeof bits);
    // These numbers are exact in 16 bits: bf16 is the upper half of f32, f16
    // has its exponent rebased and the upper ten bits of its fraction.
    const uint64_t bf16 = bits >> 16;
    const uint64_t f16 = ((bits >> 23) - 127 + 15) << 10 | (bits >> 13 & 0x3ff);
    uint64_t value = number;
    if (spec_.type == DataType::kFloat64) std::memcpy(&value, &f64, 8);
    if (spec_.type == DataType::kFloat32) value = bits;
    if (spec_.type == DataType::kBfloat16) value = bf16;
    if (spec_.type == DataType::kFloat16) value = f16;
    for (size_t b = 0; b < Size(); ++b) {
      to.push_back(static_cast<uint8_t>(value >> (8 * b)));
    }
  }
  Bytes Block(size_t rank) const { return Numbers(rank, Own(rank).count()); }
  Bytes Contribution(size_t rank) const {
    return Numbers(rank, window_.count());
  }

  Bytes Scattered(size_t r) const {
    if (!spec_.in_place) return part_[r];
    const auto begin =
        whole_[r].begin() + static_cast<std::ptrdiff_t>(Own(r).begin * Size());
    return {begin,
            begin + static_cast<std::ptrdiff_t>(Own(r).count() * Size())};
  }
  // Of a reduce-scatter, but for the output if that lies in it.
  bool InputChanged(size_t r) const {
    Bytes expected = Contribution(r);
    if (spec_.in_place) {
      Copy(Scattered(r), expected.data() + Own(r).begin * Size());
    }
    return whole_[r] != expected;
  }
  // Over sites in site order of the sums over ranks in rank order, each rounded
  // once.
  Bytes Sum(size_t r) const {
    const Topology& topology = job_.topology();
    const Interval own = Own(r);
    if (own.count() == 0) return {};
    std::vector<Bytes> sites;
    for (SiteIndex site = 0; site < topology.site_count(); ++site) {
      std::vector<Bytes> ranks;
      for (const Rank rank : topology.RanksOf(site)) {
        const Bytes all = Contribution(static_cast<size_t>(rank));
        const auto begin =
            all.begin() + static_cast<std::ptrdiff_t>(own.begin * Size());
        ranks.emplace_back(
            begin, begin + static_cast<std::ptrdiff_t>(own.count() * Size()));
      }
      if (topology.site_count() == 1) return Add(ranks, true);
      sites.push_back(Add(ranks, false));
    }
    return Add(sites, true);
  }
  Bytes Add(const std::vector<Bytes>& operands, bool final) const {
    std::vector<const void*> sources;
    for (const Bytes& bytes : operands) sources.push_back(bytes.data());
    const bool divide = final && spec_.op == ReduceOp::kAvg;
    Bytes sum(operands[0].size());
    Reduce(
        {spec_.type, spec_.op, divide ? static_cast<uint32_t>(job_.size()) : 1},
        sum.data(), sources, sum.size() / Size());
    return sum;
  }

  SimJob& job_;
  Spec spec_;
  Interval window_;
  std::vector<Bytes> whole_;
  std::vector<Bytes> part_;
  std::vector<Operation*> operations_;
};

using Spec = BlockCall::Spec;

constexpr Collective kBoth[] = {Collective::kAllGather,
                                Collective::kReduceScatter};

// Runs it, and expects success and the right elements everywhere.
void ExpectRight(SimJob& job, const Spec& spec) {
  BlockCall call(job, spec);
  call.Start();
  ASSERT_TRUE(call.Wait(20 * kSecond));
  for (Rank r = 0; r < job.size(); ++r) {
    EXPECT_TRUE(call.status(r).ok()) << call.status(r).ToString();
  }
  EXPECT_EQ(call.Wrong(), 0u)
      << static_cast<int>(spec.collective) << " of " << spec.window.count
      << " from " << spec.window.offset << ", blocks of " << spec.block
      << (spec.in_place ? ", in place" : "");
}

Spec Whole(Collective collective, uint64_t block, Rank ranks) {
  Spec spec;
  spec.collective = collective;
  spec.block = block;
  spec.window = {0, block * static_cast<uint64_t>(ranks)};
  return spec;
}

TEST(BlockOperationsTest, WholeVectorsOnEveryTopologyAndLength) {
  const std::vector<std::vector<Rank>> shapes = {
      {1},    {2},       {5},          {1, 1},         {2, 2},
      {3, 2}, {4, 1, 2}, {2, 2, 2, 2}, {1, 1, 1, 1, 1}};
  for (const auto& sites : shapes) {
    SimJobConfig config;
    config.sites = sites;
    SimJob job(1, config);
    for (const Collective collective : kBoth) {
      for (const uint64_t block : {0U, 1U, 7U, 1000U, 50'000U}) {
        for (const bool in_place : {false, true}) {
          Spec spec = Whole(collective, block, job.size());
          spec.in_place = in_place;
          ExpectRight(job, spec);
        }
      }
    }
  }
}

TEST(BlockOperationsTest, WindowsBeginAndEndAnywhere) {
  SimJobConfig config;
  config.sites = {3, 2};
  config.segments.segment_size = 16;  // two elements
  SimJob job(2, config);
  for (const Collective collective : kBoth) {
    for (const uint64_t block : {1U, 5U}) {
      const uint64_t all = 5 * block;
      for (uint64_t offset = 0; offset <= all; ++offset) {
        for (uint64_t count = 0; count <= all - offset; ++count) {
          Spec spec = Whole(collective, block, 5);
          spec.window = {offset, count};
          spec.in_place = (offset + count) % 2 == 0;
          ExpectRight(job, spec);
        }
      }
    }
  }
}

TEST(BlockOperationsTest, EveryTypeAndOperator) {
  SimJobConfig config;
  config.sites = {2, 1, 2};
  SimJob job(3, config);
  for (int type = 0; type < kDataTypeCount; ++type) {
    for (int op = 0; op < kReduceOpCount; ++op) {
      Spec spec = Whole(Collective::kReduceScatter, 37, 5);
      spec.type = static_cast<DataType>(type);
      spec.op = static_cast<ReduceOp>(op);
      spec.in_place = op % 2 == 0;
      ExpectRight(job, spec);
    }
    Spec spec = Whole(Collective::kAllGather, 37, 5);
    spec.type = static_cast<DataType>(type);
    ExpectRight(job, spec);
  }
}

// As NCCL calls them: many windows, one after the other, with all-reduces and
// barriers between them.
TEST(BlockOperationsTest, ManyInFlightMixWithOtherCollectives) {
  SimJobConfig config;
  config.sites = {2, 2};
  SimJob job(4, config);
  const uint64_t block = 20'000;
  const size_t window = 6'000;
  std::vector<std::unique_ptr<BlockCall>> calls;
  std::vector<Operation*> others;
  std::deque<std::vector<int64_t>> data;  // of all-reduces, in place
  for (size_t at = 0; at < 4 * block; at += window) {
    for (const Collective collective : kBoth) {
      Spec spec = Whole(collective, block, 4);
      spec.window = {at, std::min(window, 4 * block - at)};
      spec.salt = static_cast<uint8_t>(at / window);
      calls.push_back(std::make_unique<BlockCall>(job, spec));
      calls.back()->Start();
    }
    for (Rank r = 0; r < 4; ++r) {
      OperationCall call;
      if (at / window % 2 == 0) {
        data.emplace_back(5000, 1);
        auto* bytes = reinterpret_cast<uint8_t*>(data.back().data());
        call = {Collective::kAllReduce,
                DataType::kInt64,
                ReduceOp::kSum,
                bytes,
                bytes,
                5000};
      } else {
        call.collective = Collective::kBarrier;
      }
      others.push_back(job.Start(r, call));
    }
  }
  for (auto& call : calls) {
    ASSERT_TRUE(call->Wait(20 * kSecond));
    EXPECT_EQ(call->Wrong(), 0u);
    EXPECT_TRUE(call->status(0).ok()) << call->status(0).ToString();
  }
  ASSERT_TRUE(job.world().RunUntil(
      [&] {
        return std::all_of(others.begin(), others.end(),
                           [](const Operation* o) { return o->Done(); });
      },
      job.world().now() + 20 * kSecond));
  for (Operation* operation : others) {
    EXPECT_TRUE(operation->status().ok());
    operation->Release();
  }
  EXPECT_EQ(data.size(), 28U);
  for (const auto& vector : data) {
    EXPECT_EQ(vector, std::vector<int64_t>(5000, 4));
  }
}

TEST(BlockOperationsTest, SmallOnesTakeOneWayAcrossTheWan) {
  SimJobConfig config;
  config.sites = {2, 2, 3};
  SimJob job(5, config);
  for (const Collective collective : kBoth) {
    ExpectRight(job, Whole(collective, 1, 7));  // opens the connections
    const TimePoint start = job.world().now();
    ExpectRight(job, Whole(collective, 1, 7));
    EXPECT_LT(job.world().now() - start, 26 * kMillisecond);
  }
}

// Each rank has a line of its own here: 62.5 MB/s x 2 per site, both ways at
// once, and half of the vector to carry each way.
TEST(BlockOperationsTest, LongVectorsKeepTheLinesBusyBothWays) {
  for (const Collective collective : kBoth) {
    SimJobConfig config;
    config.sites = {2, 2};
    config.segments.scratch_size = 8 << 20;
    SimJob job(6, config);
    const uint64_t block = 512 << 10;
    ExpectRight(job, Whole(collective, block, 4));
    const double bytes = static_cast<double>(block) * 4 * 8;
    const double bound = 25e-3 + bytes / 2 / (2 * 62.5e6);
    const double took = static_cast<double>(job.world().now()) / kSecond;
    EXPECT_GT(took, bound);
    EXPECT_LT(took, 1.10 * bound);
  }
}

// One rank's block, in windows: all rails of its site carry it.
TEST(BlockOperationsTest, WindowsOfOneBlockUseEveryRail) {
  for (const Collective collective : kBoth) {
    SimJobConfig config;
    config.sites = {2, 2};
    SimJob job(7, config);
    const uint64_t block = 2 << 20;
    const uint64_t window = block / 8;
    std::vector<std::unique_ptr<BlockCall>> calls;
    for (uint64_t at = 0; at < block; at += window) {
      Spec spec = Whole(collective, block, 4);
      spec.window = {at, window};
      calls.push_back(std::make_unique<BlockCall>(job, spec));
      calls.back()->Start();
    }
    for (auto& call : calls) {
      ASSERT_TRUE(call->Wait(20 * kSecond));
      EXPECT_EQ(call->Wrong(), 0u);
    }
    const double bound = 25e-3 + static_cast<double>(block) * 8 / (2 * 62.5e6);
    EXPECT_LT(static_cast<double>(job.world().now()) / kSecond, 1.10 * bound);
  }
}

TEST(BlockOperationsTest, NobodyIsDoneBeforeEveryoneHasStarted) {
  for (const Collective collective : kBoth) {
    // The window is rank 0's block: no byte of rank 4's is in an all-gather.
    for (const uint64_t count : {0U, 3U}) {
      SimJobConfig config;
      config.sites = {3, 2};
      SimJob job(8, config);
      Spec spec = Whole(collective, 10, 5);
      spec.window = {0, count};
      BlockCall call(job, spec);
      for (const Rank r : {0, 1, 2, 3}) call.StartOn(r);
      job.world().RunFor(2 * kSecond);
      for (const Rank r : {0, 1, 2, 3}) EXPECT_FALSE(call.DoneOn(r));
      call.StartOn(4);
      ASSERT_TRUE(call.Wait(2 * kSecond));
      EXPECT_EQ(call.Wrong(), 0u);
    }
  }
}

TEST(BlockOperationsTest, LossyLinesStillGiveEveryElement) {
  for (uint64_t seed = 1; seed <= 10; ++seed) {
    SimJobConfig config;
    config.sites = {2, 2};
    config.wan_flows = 3;
    config.wan.reliable = false;
    config.wan.loss = 0.05;
    config.wan.duplicate = 0.05;
    config.wan.reorder = 0.05;
    config.wan.late = 30 * kMillisecond;
    SimJob job(seed, config);
    for (const Collective collective : kBoth) {
      BlockCall call(job, Whole(collective, 30'000, 4));
      call.Start();
      ASSERT_TRUE(call.Wait(60 * kSecond)) << "seed " << seed;
      EXPECT_EQ(call.Wrong(), 0u) << "seed " << seed;
    }
  }
}

TEST(BlockOperationsTest, DisagreementIsNamedOnEveryRankAndHealsAfterwards) {
  struct Change {
    const char* what;
    std::function<void(OperationCall&)> make;
    const char* named;
  };
  const std::vector<Change> changes = {
      {"block", [](OperationCall& c) { c.block *= 2; }, "offsets differ"},
      {"offset", [](OperationCall& c) { ++c.offset; }, "offsets differ"},
      {"count", [](OperationCall& c) { --c.count; }, "disagree"},
      {"nothing", [](OperationCall& c) { c.count = 0; }, "disagree"},
      {"type", [](OperationCall& c) { c.type = DataType::kUint64; }, "u64"},
      {"op", [](OperationCall& c) { c.op = ReduceOp::kMax; }, "disagree"},
      {"all-reduce",
       [](OperationCall& c) { c.collective = Collective::kAllReduce; },
       "an all-reduce of"},
      {"barrier",
       [](OperationCall& c) {
         c.collective = Collective::kBarrier;
         c.count = 0;
       },
       "a barrier"},
  };
  for (const Collective collective : kBoth) {
    for (const Change& change : changes) {
      for (Rank odd = 0; odd < 5; ++odd) {
        SimJobConfig config;
        config.sites = {2, 3};
        SimJob job(9, config);
        // Room for whatever is asked for, and apart.
        std::vector<std::vector<int64_t>> in(5, std::vector<int64_t>(50'000));
        std::vector<std::vector<int64_t>> out = in;
        std::vector<Operation*> operations;
        for (Rank r = 0; r < 5; ++r) {
          const auto i = static_cast<size_t>(r);
          OperationCall call;
          call.collective = collective;
          call.type = DataType::kInt64;
          call.input = reinterpret_cast<const uint8_t*>(in[i].data());
          call.output = reinterpret_cast<uint8_t*>(out[i].data());
          call.block = 10'000;
          call.offset = 5'000;
          call.count = 40'000;
          if (r == odd) change.make(call);
          operations.push_back(job.Start(r, call));
        }
        const bool done = job.world().RunUntil(
            [&] {
              return std::all_of(operations.begin(), operations.end(),
                                 [](const Operation* o) { return o->Done(); });
            },
            30 * kSecond);
        ASSERT_TRUE(done) << change.what << " on rank " << odd;
        for (Operation* operation : operations) {
          const Status& status = operation->status();
          EXPECT_EQ(status.code(), StatusCode::kInvalidArgument)
              << change.what << ": " << status.ToString();
          EXPECT_THAT(status.text(), ::testing::HasSubstr("disagree"));
          EXPECT_THAT(status.text(), ::testing::HasSubstr(change.named));
          operation->Release();
        }
        ExpectRight(job, Whole(collective, 100, 5));
      }
    }
  }
}

TEST(BlockOperationsTest, AWindowOutsideTheVectorFailsEverywhere) {
  SimJobConfig config;
  config.sites = {1, 1};
  SimJob job(10, config);
  std::vector<Operation*> operations;
  for (Rank r = 0; r < 2; ++r) {
    OperationCall call;
    call.collective = Collective::kReduceScatter;
    call.block = 10;
    call.count = 21;
    operations.push_back(job.Start(r, call));
  }
  job.world().RunFor(kSecond);
  for (Operation* operation : operations) {
    ASSERT_TRUE(operation->Done());
    EXPECT_EQ(operation->status().code(), StatusCode::kInvalidArgument);
    operation->Release();
  }
}

TEST(BlockOperationsTest, ADeadRankEndsTheOperationEverywhere) {
  for (uint64_t seed = 1; seed <= 10; ++seed) {
    for (const Collective collective : kBoth) {
      SimJobConfig config;
      config.sites = {2, 3};
      SimJob job(seed, config);
      BlockCall call(job, Whole(collective, 200'000, 5));
      call.Start();
      job.world().RunFor(5 * kMillisecond);
      job.KillProcess(static_cast<Rank>(seed % 5));
      ASSERT_TRUE(call.Wait(60 * kSecond)) << "seed " << seed;
      for (Rank r = 0; r < 5; ++r) {
        EXPECT_EQ(call.status(r).code(), StatusCode::kUnreachable)
            << "seed " << seed << " " << call.status(r).ToString();
      }
    }
  }
}

}  // namespace
}  // namespace longhaul
