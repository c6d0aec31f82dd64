#include <algorithm>
#include <cmath>

#include "base/text.h"
#include "support/frames.h"
#include "support/recording_sink.h"
#include "transport/sim/sim_world.h"

namespace longhaul {
namespace {

// Two ends, what they saw, and when.
class Flow {
 public:
  Flow(uint64_t seed, const SimLink& link)
      : world(seed, 1), pair_(world.network().Connect(link, link)) {
    a().SetSink(sink_a);
    b().SetSink(sink_b);
    sink_b.on_place = [this](const ChunkHeader& header) { Note('P', header); };
    sink_b.on_arrived = [this](const ChunkHeader& header) {
      Note('A', header);
      times.push_back(world.now());
    };
  }
  SimEndpoint& a() const { return *pair_.first; }
  SimEndpoint& b() const { return *pair_.second; }

  SimWorld world;
  RecordingSink sink_a;
  RecordingSink sink_b;
  std::vector<TimePoint> times;  // of arrival at b
  std::string trace;

 private:
  void Note(char what, const ChunkHeader& header) {
    trace += Text("%c%llu@%lld ", what,
                  static_cast<unsigned long long>(header.id.message),
                  static_cast<long long>(world.now()));
  }
  SimNetwork::Pair pair_;
};

TEST(SimTest, FrameTakesItsTimeOnTheLinePlusTheDelay) {
  Flow flow(1, {.rate = 1e6, .delay = 20 * kMillisecond});
  FrameSender sender(flow.a(), flow.sink_a, {1000 - kHeaderSize, 904, 1904});
  sender.Send();
  ASSERT_TRUE(flow.world.RunUntil(
      [&] { return flow.sink_b.frames.size() == 3; }, kSecond));
  EXPECT_EQ(flow.times,
            (std::vector<TimePoint>{21 * kMillisecond, 22 * kMillisecond,
                                    24 * kMillisecond}));
}

TEST(SimTest, PlaceIsAskedForWhenTheFirstByteArrives) {
  Flow flow(1, {.rate = 1e6, .delay = 5 * kMillisecond});
  FrameSender sender(flow.a(), flow.sink_a, {10000 - kHeaderSize});
  sender.Send();
  ASSERT_TRUE(
      flow.world.RunUntil([&] { return flow.sink_b.placed == 1; }, kSecond));
  EXPECT_EQ(flow.world.now(), 5 * kMillisecond);
  EXPECT_TRUE(flow.sink_a.sent.empty()) << "it is still leaving";
  ASSERT_TRUE(
      flow.world.RunUntil([&] { return !flow.times.empty(); }, kSecond));
  EXPECT_EQ(flow.world.now(), 15 * kMillisecond);
}

TEST(SimTest, ThroughputIsTheRate) {
  Flow flow(1, {.rate = 5e6, .delay = 50 * kMillisecond});
  FrameSender sender(flow.a(), flow.sink_a,
                     std::vector<size_t>(100, 100000 - kHeaderSize));
  sender.Send();
  ASSERT_TRUE(flow.world.RunUntil([&] { return flow.times.size() == 100; },
                                  10 * kSecond));
  EXPECT_EQ(flow.world.now(), 2 * kSecond + 50 * kMillisecond);
}

TEST(SimTest, LinkMayChangeWhileItRuns) {
  SimLink link{.rate = 1e6, .delay = kMillisecond};
  Flow flow(1, link);
  FrameSender sender(flow.a(), flow.sink_a,
                     std::vector<size_t>(5, 1000 - kHeaderSize));
  sender.Send();
  flow.world.RunUntil([&] { return flow.times.size() == 2; }, kSecond);
  link.rate = 1e5;
  flow.world.network().Change(flow.a(), link);
  ASSERT_TRUE(
      flow.world.RunUntil([&] { return flow.times.size() == 5; }, kSecond));
  // The fourth had begun to leave, at 3 ms; the fifth had not.
  EXPECT_EQ(flow.times[3], 5 * kMillisecond);
  EXPECT_EQ(flow.times[4], 15 * kMillisecond);
}

TEST(SimTest, JitterDelaysButKeepsAReliableLinkInOrder) {
  Flow flow(3, {.rate = 1e9, .delay = kMillisecond, .jitter = kMillisecond});
  std::vector<size_t> sizes(200, 500);
  FrameSender sender(flow.a(), flow.sink_a, sizes);
  sender.Send();
  ASSERT_TRUE(
      flow.world.RunUntil([&] { return flow.times.size() == 200; }, kSecond));
  for (size_t i = 0; i < 200; ++i) {
    EXPECT_EQ(flow.sink_b.frames[i].header.id.message, i);
  }
  EXPECT_GT(flow.times[0], kMillisecond);
}

struct Fates {
  size_t arrived = 0;
  size_t lost = 0;
  size_t doubled = 0;
  size_t swapped = 0;
};

Fates SendMany(uint64_t seed, const SimLink& link, size_t count) {
  Flow flow(seed, link);
  FrameSender sender(flow.a(), flow.sink_a, std::vector<size_t>(count, 10));
  sender.Send();
  flow.world.RunFor(60 * kSecond);
  EXPECT_EQ(flow.sink_a.sent.size(), count) << "lost frames are sent as well";
  std::vector<int> copies(count);
  Fates fates;
  uint64_t last = 0;
  for (const auto& frame : flow.sink_b.frames) {
    const uint64_t number = frame.header.id.message;
    EXPECT_TRUE(frame.bytes == Pattern(10, number));
    ++copies[number];
    if (number < last) ++fates.swapped;
    last = number;
  }
  for (const int n : copies) {
    fates.lost += n == 0;
    fates.doubled += n == 2;
    fates.arrived += n > 0;
  }
  return fates;
}

constexpr size_t kMany = 20000;

// Five standard deviations of a binomial count.
double Margin(double probability) {
  return 5 * std::sqrt(kMany * probability * (1 - probability));
}

TEST(SimTest, LossIsAsLikelyAsStated) {
  SimLink link{.rate = 1e9, .delay = kMillisecond, .reliable = false};
  link.loss = 0.03;
  const Fates fates = SendMany(11, link, kMany);
  EXPECT_NEAR(static_cast<double>(fates.lost), 0.03 * kMany, Margin(0.03));
  EXPECT_EQ(fates.doubled, 0u);
  EXPECT_EQ(fates.swapped, 0u);
}

TEST(SimTest, DuplicationIsAsLikelyAsStated) {
  SimLink link{.rate = 1e9, .delay = kMillisecond, .reliable = false};
  link.duplicate = 0.1;
  const Fates fates = SendMany(12, link, kMany);
  EXPECT_NEAR(static_cast<double>(fates.doubled), 0.1 * kMany, Margin(0.1));
  EXPECT_EQ(fates.lost, 0u);
}

TEST(SimTest, ReorderedFramesComeLate) {
  SimLink link{.rate = 1e9, .delay = kMillisecond, .reliable = false};
  link.reorder = 0.01;
  link.late = 10 * kMicrosecond;
  const Fates fates = SendMany(13, link, kMany);
  EXPECT_EQ(fates.arrived, kMany);
  EXPECT_GT(fates.swapped, 100u);
  EXPECT_LT(fates.swapped, 400u);
}

TEST(SimTest, ReliableLinkIgnoresLossDuplicationAndReordering) {
  SimLink link{.rate = 1e9, .delay = kMillisecond};
  link.loss = link.duplicate = link.reorder = 0.5;
  link.late = kSecond;
  const Fates fates = SendMany(14, link, 1000);
  EXPECT_EQ(fates.arrived, 1000u);
  EXPECT_EQ(fates.doubled + fates.swapped, 0u);
}

std::string TraceOf(uint64_t seed) {
  SimLink link{.rate = 1e8,
               .delay = kMillisecond,
               .jitter = kMillisecond,
               .reliable = false};
  link.loss = link.duplicate = link.reorder = 0.1;
  link.late = 3 * kMillisecond;
  Flow flow(seed, link);
  FrameSender sender(flow.a(), flow.sink_a, std::vector<size_t>(300, 5000));
  sender.Send();
  flow.world.RunFor(10 * kSecond);
  return flow.trace;
}

TEST(SimTest, SameSeedSameTrace) {
  const std::string trace = TraceOf(5);
  EXPECT_EQ(trace, TraceOf(5));
  EXPECT_NE(trace, TraceOf(6));
}

TEST(SimTest, KillIsHeardAtOnceHereAndAfterTheDelayThere) {
  Flow flow(1, {.rate = 1e6, .delay = 10 * kMillisecond});
  FrameSender sender(flow.a(), flow.sink_a, {1000, 50000});
  sender.Send();
  flow.world.RunUntil([&] { return flow.sink_b.placed == 2; }, kSecond);
  const TimePoint killed = flow.world.now();
  flow.world.network().Kill(flow.a());
  EXPECT_EQ(flow.sink_a.FailedWith(), StatusCode::kUnreachable);
  EXPECT_FALSE(flow.sink_b.Dead());
  ASSERT_TRUE(flow.world.RunUntil([&] { return flow.sink_b.Dead(); }, kSecond));
  EXPECT_EQ(flow.world.now(), killed + 10 * kMillisecond);
  EXPECT_EQ(flow.sink_b.frames.size(), 1u) << "the second was cut short";
  EXPECT_EQ(flow.sink_a.sent.size(), 1u);
}

TEST(SimTest, BlackholeIsSilentAndAReliableLinkCatchesUp) {
  Flow flow(1, {.rate = 1e6, .delay = 10 * kMillisecond});
  FrameSender sender(flow.a(), flow.sink_a, std::vector<size_t>(20, 5000));
  sender.Send();
  flow.world.RunUntil([&] { return flow.sink_b.placed == 3; }, kSecond);
  flow.world.network().Blackhole(flow.a());
  const int calls = flow.sink_b.calls;
  flow.world.RunFor(100 * kSecond);
  EXPECT_EQ(flow.sink_b.calls, calls);
  EXPECT_FALSE(flow.sink_a.Dead());
  EXPECT_LT(sender.taken(), 20u) << "the queue fills";
  flow.world.network().Restore(flow.a());
  ASSERT_TRUE(flow.world.RunUntil(
      [&] { return flow.sink_b.frames.size() == 20; }, 200 * kSecond));
  for (size_t i = 0; i < 20; ++i) {
    EXPECT_TRUE(flow.sink_b.frames[i].bytes == Pattern(5000, i));
  }
}

TEST(SimTest, BlackholeLosesWhatAnUnreliableLinkCarries) {
  Flow flow(1, {.rate = 1e6, .delay = 10 * kMillisecond, .reliable = false});
  FrameSender sender(flow.a(), flow.sink_a, std::vector<size_t>(20, 904));
  sender.Send();
  flow.world.network().Blackhole(flow.b());
  flow.world.RunFor(15 * kMillisecond);
  flow.world.network().Restore(flow.b());
  flow.world.RunFor(kSecond);
  EXPECT_EQ(flow.sink_a.sent.size(), 20u);
  // Those that began to leave from 0 to 15 ms are gone, one each millisecond.
  EXPECT_EQ(flow.sink_b.frames.size(), 4u);
}

TEST(SimTest, DeathDuringABlackholeIsHeardAfterIt) {
  Flow flow(1, {.rate = 1e6, .delay = 10 * kMillisecond});
  FrameSender sender(flow.a(), flow.sink_a, {50000});
  sender.Send();
  flow.world.RunUntil([&] { return flow.sink_b.placed == 1; }, kSecond);
  flow.world.network().Blackhole(flow.a());
  flow.world.network().Kill(flow.a());
  flow.world.RunFor(10 * kSecond);
  EXPECT_FALSE(flow.sink_b.Dead());
  flow.world.network().Restore(flow.a());
  flow.world.RunFor(kSecond);
  EXPECT_TRUE(flow.sink_b.Dead());
  EXPECT_TRUE(flow.sink_b.frames.empty());
}

TEST(SimTest, ArrivalIsKnownOneDelayLater) {
  Flow flow(1, {.rate = 1e6, .delay = 100 * kMillisecond});
  FrameSender sender(flow.a(), flow.sink_a,
                     std::vector<size_t>(50, 1000 - kHeaderSize));
  sender.Send();
  flow.world.RunFor(10 * kMillisecond + 1);
  EndpointStats stats = flow.a().Stats();
  EXPECT_EQ(stats.bytes_in_flight, 11000u);
  EXPECT_EQ(stats.bytes_unsent, 8000u) << "the queue";
  EXPECT_EQ(stats.delivery_rate, 0) << "nothing is known to have arrived";
  EXPECT_EQ(stats.rtt, 200 * kMillisecond);
  EXPECT_EQ(stats.min_rtt, 200 * kMillisecond);
  flow.world.RunFor(200 * kMillisecond);  // all have left, 10 are confirmed
  stats = flow.a().Stats();
  EXPECT_EQ(stats.bytes_delivered, 10000u);
  EXPECT_EQ(stats.bytes_in_flight, 40000u);
  EXPECT_EQ(stats.bytes_unsent, 0u);
  EXPECT_EQ(stats.delivery_rate, 1e6);
  flow.world.RunFor(kSecond);
  EXPECT_EQ(flow.a().Stats().bytes_in_flight, 0u);
  EXPECT_EQ(flow.a().Stats().bytes_delivered, 50000u);
}

TEST(SimTest, NothingIsConfirmedFromABlackhole) {
  Flow flow(1, {.rate = 1e6, .delay = 10 * kMillisecond});
  FrameSender sender(flow.a(), flow.sink_a,
                     std::vector<size_t>(20, 1000 - kHeaderSize));
  sender.Send();
  flow.world.RunFor(25 * kMillisecond);  // 15 have arrived, 5 are confirmed
  ASSERT_EQ(flow.a().Stats().bytes_delivered, 5000u);
  flow.world.network().Blackhole(flow.b());
  flow.world.RunFor(kSecond);
  EXPECT_EQ(flow.a().Stats().bytes_delivered, 5000u);
  EXPECT_EQ(flow.a().Stats().bytes_in_flight, 15000u);
  flow.world.network().Restore(flow.b());
  flow.world.RunFor(kSecond);
  EXPECT_EQ(flow.a().Stats().bytes_delivered, 20000u);
  EXPECT_EQ(flow.a().Stats().bytes_in_flight, 0u);
}

TEST(SimTest, WhatIsLostIsNotInFlightAndATwinCountsOnce) {
  SimLink link{.rate = 1e9, .delay = kMillisecond, .reliable = false};
  link.loss = link.duplicate = 0.2;
  Flow flow(15, link);
  FrameSender sender(flow.a(), flow.sink_a, std::vector<size_t>(1000, 10));
  sender.Send();
  flow.world.RunFor(kSecond);
  std::vector<bool> arrived(1000);
  for (const auto& frame : flow.sink_b.frames) {
    arrived[frame.header.id.message] = true;
  }
  const auto count = std::count(arrived.begin(), arrived.end(), true);
  EXPECT_LT(count, 1000);
  EXPECT_EQ(flow.a().Stats().bytes_delivered,
            static_cast<uint64_t>(count) * (kHeaderSize + 10));
  EXPECT_EQ(flow.a().Stats().bytes_in_flight, 0u);
}

TEST(SimTest, LeastRoundTripIsRemembered) {
  SimLink link{.rate = 1e6, .delay = 10 * kMillisecond};
  Flow flow(1, link);
  link.delay = 40 * kMillisecond;
  flow.world.network().Change(flow.a(), link);
  EXPECT_EQ(flow.b().Stats().rtt, 50 * kMillisecond);
  EXPECT_EQ(flow.b().Stats().min_rtt, 20 * kMillisecond);
  link.delay = kMillisecond;
  flow.world.network().Change(flow.a(), link);
  EXPECT_EQ(flow.b().Stats().min_rtt, 11 * kMillisecond);
}

TEST(SimWorldTest, EnginesKeepVirtualTime) {
  class Ticker final : public Pollable {
   public:
    using Pollable::Pollable;
    void Poll(uint32_t /*events*/, TimePoint now) override {
      times.push_back(now);
      SetDeadline(now + 10 * kSecond);
    }
    std::vector<TimePoint> times;
  };
  SimWorld world(1, 2);
  Ticker first(world.engine(0));
  Ticker second(world.engine(1));
  first.SetDeadline(5 * kSecond);
  second.SetDeadline(7 * kSecond);
  EXPECT_FALSE(world.RunUntil([] { return false; }, 26 * kSecond));
  EXPECT_EQ(world.now(), 26 * kSecond);
  EXPECT_EQ(first.times,
            (std::vector<TimePoint>{5 * kSecond, 15 * kSecond, 25 * kSecond}));
  EXPECT_EQ(second.times, (std::vector<TimePoint>{7 * kSecond, 17 * kSecond}));
  EXPECT_TRUE(world.RunUntil([&] { return second.times.size() == 3; }, kNever));
  EXPECT_EQ(world.now(), 27 * kSecond);
}

}  // namespace
}  // namespace longhaul
