// Several unequal paths: all of their rate is used, none is waited for, and
// what happens to one of them is no message's business.
#include <map>

#include "path/path_world.h"

namespace longhaul {
namespace {

// What a side has asked for.
struct Source final : FlowSource {
  explicit Source(bool dials_in) : dials(dials_in) {}
  void Reopen(const Status&, TimePoint now) override { reopen.push_back(now); }
  bool Want(FlowId flow, TimePoint) override {
    if (dials) wanted.push_back(flow);
    return dials;
  }
  void Spare(FlowId flow) override { spared.push_back(flow); }
  const bool dials;
  std::vector<TimePoint> reopen;
  std::vector<FlowId> wanted;
  std::vector<FlowId> spared;
};

constexpr Duration kPathTimeout = 8 * kSecond;
constexpr SimLink kFast{.rate = 50e6, .delay = 10 * kMillisecond, .queue = 4};
constexpr SimLink kSlow{.rate = 12.5e6, .delay = 40 * kMillisecond, .queue = 4};

class Paths : public testing::Test {
 protected:
  Paths() {
    a.connection = MakeConnection(0, &source_a);
    b.connection = MakeConnection(1, &source_b);
    a->Attach(kCommunicator, 0, a.recorder);
    b->Attach(kCommunicator, 1, b.recorder);
  }

  std::unique_ptr<Connection> MakeConnection(size_t engine, Source* source) {
    PathConfig path_config;
    path_config.shared_credit = path_config.retention = 32 << 20;
    ConnectionConfig config = path_config.For("the peer");
    config.reopen = kPathTimeout;
    config.source = source;
    config.warm_up_bytes = 16 << 20;
    Side& side = engine == 0 ? a : b;
    return std::make_unique<Connection>(path.world.engine(engine), side.pool,
                                        config);
  }
  void AddPath(uint16_t number, const SimLink& link) {
    auto [at_a, at_b] = path.world.network().Connect(link, link);
    ends[number] = at_a.get();
    at_a->SetSink(*a.connection);
    at_b->SetSink(*b.connection);
    const PathInfo info{"path " + std::to_string(number), 0};
    a->AddFlow(std::move(at_a), path.world.now(), FlowId{number, 0}, info);
    b->AddFlow(std::move(at_b), path.world.now(), FlowId{number, 0}, info);
  }
  // So that rates are known.
  void WarmUp() {
    path.RunUntil([&] { return a->warm() && b->warm(); }, 10 * kSecond);
    path.RunFor(kSecond);
  }
  // Seconds until `bytes`, in messages of `each`, have arrived.
  double Transfer(size_t bytes, size_t each) {
    const TimePoint begin = path.world.now();
    Begin(bytes, each);
    EXPECT_TRUE(path.RunUntilArrived(60 * kSecond));
    return static_cast<double>(path.world.now() - begin) / kSecond;
  }
  void Begin(size_t bytes, size_t each) {
    for (size_t at = 0; at < bytes; at += each) {
      Message& message = path.MakeAToB(std::min(each, bytes - at));
      message.Recv();
      message.Send();
    }
  }
  // By a itself or by b, who asks a.
  void ExpectWanted(FlowId flow) {
    ASSERT_FALSE(source_a.wanted.empty());
    for (const FlowId wanted : source_a.wanted) EXPECT_EQ(wanted, flow);
  }
  uint64_t SentOn(size_t number) const {
    return a->Counters().paths.at(number).payload_sent;
  }

  Source source_a{true};
  Source source_b{false};
  PathWorld path;
  Side& a = path.a;
  Side& b = path.b;
  std::map<uint16_t, SimEndpoint*> ends;
};

// T with sum rate (T - delay)+ = bytes.
double WaterFill(double bytes) {
  const double both = (bytes + 50e6 * 0.010 + 12.5e6 * 0.040) / 62.5e6;
  return both > 0.040 ? both : 0.010 + bytes / 50e6;
}

TEST_F(Paths, TogetherTheyTakeWhatWaterFillingSays) {
  AddPath(0, kFast);
  AddPath(1, kSlow);
  WarmUp();
  for (const size_t mib : {64, 16, 4}) {
    const auto bytes = static_cast<double>(mib << 20);
    const double seconds = Transfer(mib << 20, 1 << 20);
    EXPECT_LT(seconds / WaterFill(bytes), 1.06) << mib << " MiB";
  }
  path.ExpectWell();
}

TEST_F(Paths, AShortMessageIsNotSlowerThanOnTheFastPathAlone) {
  AddPath(0, kFast);
  AddPath(1, kSlow);
  WarmUp();
  for (const size_t bytes : {0, 8, 1000, 64 << 10, 512 << 10, 1 << 20}) {
    const double alone = 0.010 + static_cast<double>(bytes) / 50e6;
    EXPECT_LT(Transfer(std::max<size_t>(bytes, 1), std::max<size_t>(bytes, 1)),
              1.03 * alone + 0.0002)
        << bytes;
  }
}

TEST_F(Paths, ASilentOneIsLeftAndOpenedAnew) {
  AddPath(0, kFast);
  AddPath(1, kFast);
  WarmUp();
  Begin(32 << 20, 1 << 20);
  path.RunFor(100 * kMillisecond);
  const TimePoint cut = path.world.now();
  path.world.network().Blackhole(*ends[1]);
  ASSERT_TRUE(path.RunUntilArrived(10 * kSecond));
  // 32 MiB, less what both have delivered by then, over the one that is left.
  const double left = (32 << 20) - 2 * 0.09 * 50e6;
  EXPECT_LT(static_cast<double>(path.world.now() - cut) / kSecond,
            0.01 + left / 50e6 + 3 * 0.020 + 0.2);
  path.RunFor(kSecond);
  ExpectWanted({1, 0});
  EXPECT_EQ(a->Counters().paths[1].state, PathState::kSilent);
  EXPECT_EQ(a->Counters().paths[1].failures, 1u);
  EXPECT_GT(a->Counters().paths[1].payload_restriped, 0u);

  AddPath(1, kFast);
  const uint64_t before = SentOn(1);
  Begin(8 << 20, 1 << 20);
  ASSERT_TRUE(path.RunUntilArrived(2 * kSecond));
  EXPECT_GT(SentOn(1), before);
  EXPECT_EQ(a->Counters().paths[1].state, PathState::kUp);
  path.ExpectWell();
}

TEST_F(Paths, OneThatSpeaksAgainIsWantedNoMore) {
  AddPath(0, kFast);
  AddPath(1, kFast);
  WarmUp();
  Begin(64 << 20, 1 << 20);
  path.RunFor(100 * kMillisecond);
  path.world.network().Blackhole(*ends[1]);
  path.RunFor(700 * kMillisecond);
  ExpectWanted({1, 0});
  path.world.network().Restore(*ends[1]);
  path.RunFor(200 * kMillisecond);
  EXPECT_EQ(source_a.spared, source_a.wanted);
  EXPECT_TRUE(path.RunUntilArrived(10 * kSecond));
  EXPECT_EQ(a->Counters().paths[1].state, PathState::kUp);
  path.ExpectWell();
}

// b sends, so b sees it; a is the one that opens flows.
TEST_F(Paths, WhoDoesNotOpenFlowsAsksThePeer) {
  AddPath(0, kFast);
  AddPath(1, kFast);
  WarmUp();
  path.Kill({ends[1], nullptr});
  path.RunFor(500 * kMillisecond);
  ExpectWanted({1, 0});
  EXPECT_EQ(a->Counters().paths[1].state, PathState::kDown);
}

// A wish may come too early, and be taken for an older one.
TEST_F(Paths, ItAsksAgainForAsLongAsTheFlowIsMissing) {
  AddPath(0, kFast);
  AddPath(1, kFast);
  WarmUp();
  path.Kill({ends[1], nullptr});
  Begin(512 << 20, 32 << 20);  // both look at their flows all the time
  path.RunFor(3500 * kMillisecond);
  EXPECT_GE(source_a.wanted.size(), 3u);
  ExpectWanted({1, 0});
}

TEST_F(Paths, ALostOneIsMadeUpForAtOnce) {
  AddPath(0, kFast);
  AddPath(1, kFast);
  WarmUp();
  Begin(16 << 20, 1 << 20);
  path.RunFor(60 * kMillisecond);
  path.world.network().Kill(*ends[1]);
  const TimePoint cut = path.world.now();
  ASSERT_TRUE(path.RunUntilArrived(10 * kSecond));
  const double left = (16 << 20) - 2 * 0.05 * 50e6;
  EXPECT_LT(static_cast<double>(path.world.now() - cut) / kSecond,
            0.01 + left / 50e6 + 0.05);
  path.ExpectWell();
}

// What it holds would take ten times as long: others send that too.
TEST_F(Paths, OneThatBecomesNarrowHoldsNothingUp) {
  AddPath(0, kFast);
  AddPath(1, kFast);
  WarmUp();
  Begin(16 << 20, 1 << 20);
  path.RunFor(60 * kMillisecond);
  SimLink narrow = kFast;
  narrow.rate = kFast.rate / 10;
  path.world.network().Change(*ends[1], narrow);
  const TimePoint cut = path.world.now();
  ASSERT_TRUE(path.RunUntilArrived(10 * kSecond));
  const double left = (16 << 20) - 2 * 0.05 * 50e6;
  EXPECT_LT(static_cast<double>(path.world.now() - cut) / kSecond,
            0.01 + left / 55e6 + 3 * 0.020 + 0.1);
  path.ExpectWell();
}

TEST_F(Paths, WithoutAnyRequestsWaitForOneToComeBack) {
  AddPath(0, kFast);
  AddPath(1, kSlow);
  WarmUp();
  for (const uint16_t number : {uint16_t{0}, uint16_t{1}}) {
    path.world.network().Blackhole(*ends[number]);
  }
  Begin(4 << 20, 1 << 20);
  path.RunFor(kPathTimeout / 2);
  EXPECT_TRUE(a->status().ok());
  AddPath(1, kSlow);
  EXPECT_TRUE(path.RunUntilArrived(2 * kSecond));
  path.ExpectWell();
}

TEST_F(Paths, WithoutAnyForTooLongThePeerIsUnreachable) {
  AddPath(0, kFast);
  AddPath(1, kSlow);
  WarmUp();
  for (const uint16_t number : {uint16_t{0}, uint16_t{1}}) {
    path.world.network().Blackhole(*ends[number]);
  }
  Begin(4 << 20, 1 << 20);
  path.RunFor(kPathTimeout + kSecond);
  EXPECT_EQ(a->status().code(), StatusCode::kUnreachable);
  EXPECT_EQ(b->status().code(), StatusCode::kUnreachable);
  for (const auto& message : path.messages) {
    EXPECT_EQ(message->send.back, 1);
    EXPECT_EQ(message->recv.back, 1);
  }
}

}  // namespace
}  // namespace longhaul
