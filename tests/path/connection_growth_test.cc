// A connection that finds out how many flows its path should have.
#include <algorithm>

#include "path/path_world.h"

namespace longhaul {
namespace {

// What one flow may have of the path, bytes/s.
constexpr double kOneFlow = 1e6;
constexpr uint32_t kMessage = 256 << 10;
constexpr size_t kMessages = 40;  // under way at any time
constexpr Duration kStep = 20 * kMillisecond;

// `dials`: it opens flows, a step after they were wanted.
struct Opener final : FlowSource {
  explicit Opener(bool dials_in) : dials(dials_in) {}
  void Reopen(const Status&, TimePoint) override {}
  bool Want(FlowId flow, TimePoint) override {
    if (!dials) return false;
    wanted.push_back(flow);
    to_open.push_back(flow);
    return true;
  }
  void Spare(FlowId flow) override { std::erase(to_open, flow); }
  const bool dials;
  std::vector<FlowId> wanted;
  std::vector<FlowId> to_open;
};

// Hears everything, keeps nothing.
struct DeafSink final : ChunkSink {
  Buffer Place(Endpoint&, const ChunkHeader&, TimePoint) override { return {}; }
  void Arrived(Endpoint&, const ChunkHeader&, Buffer, TimePoint) override {}
  void Sent(Endpoint&, void*) override {}
  void Writable(Endpoint&) override {}
  void Failed(Endpoint&, const Status&) override {}
};

class Growing : public testing::Test {
 protected:
  void Start(double total, bool grow_a = true, double rate_limit = 0) {
    total_ = total;
    info_.rate_limit = rate_limit;
    a.connection = MakeConnection(0, &source_a, grow_a);
    b.connection = MakeConnection(1, &source_b, true);
    a->Attach(kCommunicator, 0, a.recorder);
    b->Attach(kCommunicator, 1, b.recorder);
    Open({0, 0});
  }
  std::unique_ptr<Connection> MakeConnection(size_t engine, Opener* source,
                                             bool grow) {
    PathConfig path_config;
    path_config.chunk_size = 16 << 10;
    path_config.shared_credit = path_config.retention = 32 << 20;
    ConnectionConfig config = path_config.For("the peer");
    config.reopen = 60 * kSecond;
    config.source = source;
    config.grow_flows = grow;
    Side& side = engine == 0 ? a : b;
    return std::make_unique<Connection>(path.world.engine(engine), side.pool,
                                        config);
  }
  void Open(FlowId id) {
    const SimLink link{.rate = kOneFlow, .delay = 10 * kMillisecond};
    auto [at_a, at_b] = path.world.network().Connect(link, link);
    ends[id.flow] = {at_a.get(), at_b.get()};
    at_a->SetSink(*a.connection);
    at_b->SetSink(*b.connection);
    a->AddFlow(std::move(at_a), path.world.now(), id, info_);
    b->AddFlow(std::move(at_b), path.world.now(), id, info_);
  }
  static size_t InUse(const Side& side) {
    return side->Counters().paths.at(0).flows;
  }
  // `from` has more to send all the time, and the flows it uses divide what the
  // path gives.
  void Run(Side& from, Side& to, Duration duration) {
    for (const TimePoint end = path.world.now() + duration;
         path.world.now() < end;) {
      std::erase_if(path.messages, [](const auto& message) {
        return message->Arrived() && message->send.back == 1;
      });
      while (path.messages.size() < kMessages) {
        Message& message = path.Make(from, to, kMessage, path.next_sequence++);
        message.Recv();
        message.Send();
      }
      for (const FlowId id : std::exchange(source_a.to_open, {})) Open(id);
      const auto flows = static_cast<double>(InUse(from));
      const SimLink link{.rate = std::min(kOneFlow, total_ / flows),
                         .delay = 10 * kMillisecond};
      for (const auto& [number, end_points] : ends) {
        path.world.network().Change(&from == &a ? *end_points.a : *end_points.b,
                                    link);
      }
      path.RunFor(kStep);
    }
    path.ExpectWell();
  }
  static std::vector<FlowId> Numbers(uint16_t first, uint16_t end) {
    std::vector<FlowId> ids;
    for (uint16_t number = first; number < end; ++number) {
      ids.push_back({0, number});
    }
    return ids;
  }

  Opener source_a{true};
  Opener source_b{false};
  PathWorld path;
  Side& a = path.a;
  Side& b = path.b;
  std::map<uint16_t, PathWorld::FlowEnds> ends;

 private:
  double total_ = 0;
  PathInfo info_{"path", 0};
};

TEST_F(Growing, TakesAsManyAsHelpAndNoMore) {
  Start(4 * kOneFlow);
  Run(a, b, 22 * kSecond);
  EXPECT_EQ(InUse(a), 4u);
  EXPECT_EQ(source_a.wanted, Numbers(1, 8));
  EXPECT_EQ(InUse(b), 1u) << "b sends nothing: it has no use for them";
  const uint64_t before = a->Counters().out.bytes;
  Run(a, b, 5 * kSecond);
  const auto sent = static_cast<double>(a->Counters().out.bytes - before);
  EXPECT_GT(sent / 5, 0.93 * 4 * kOneFlow);
  EXPECT_EQ(source_a.wanted, Numbers(1, 8)) << "it has gone on trying";
}

TEST_F(Growing, ALineThatOneFlowFillsGetsOneTrial) {
  Start(kOneFlow);
  Run(a, b, 18 * kSecond);
  EXPECT_EQ(source_a.wanted, Numbers(1, 2));
  EXPECT_EQ(InUse(a), 1u);
  EXPECT_EQ(a->Counters().flows, 2u) << "the other one rests, it is not closed";
  const uint64_t before = ends[1].a->Stats().bytes_sent;
  Run(a, b, 5 * kSecond);
  EXPECT_LT(ends[1].a->Stats().bytes_sent - before, 64u << 10);
  // The next trial needs nothing opened.
  Run(a, b, 60 * kSecond);
  EXPECT_GT(ends[1].a->Stats().bytes_sent - before, 256u << 10);
  EXPECT_EQ(source_a.wanted, Numbers(1, 2));
}

TEST_F(Growing, OneThatRestsIsThereWhenNoOtherIs) {
  Start(kOneFlow);
  Run(a, b, 18 * kSecond);
  ASSERT_EQ(InUse(a), 1u);
  source_a.wanted.clear();
  path.world.network().Kill(*ends[0].a);
  ends.erase(0);
  const size_t before = a.recorder.sent.size();
  path.RunFor(2 * kSecond);  // nobody opens it
  ASSERT_FALSE(source_a.wanted.empty());
  for (const FlowId wanted : source_a.wanted) {  // by a, and by b
    EXPECT_EQ(wanted, (FlowId{0, 0}));
  }
  EXPECT_GT(a.recorder.sent.size(), before + 4);
  path.ExpectWell();
}

TEST_F(Growing, OneThatRestsIsNotOpenedAgain) {
  Start(kOneFlow);
  Run(a, b, 18 * kSecond);
  source_a.wanted.clear();
  path.world.network().Kill(*ends[1].a);
  ends.erase(1);
  Run(a, b, 2 * kSecond);
  EXPECT_TRUE(source_a.wanted.empty());
}

// b sends and finds that more help, a opens them.
TEST_F(Growing, WhoDoesNotOpenFlowsAsksForMore) {
  Start(2 * kOneFlow);
  Run(b, a, 18 * kSecond);
  EXPECT_EQ(source_a.wanted, Numbers(1, 4));
  EXPECT_EQ(InUse(b), 2u);
  EXPECT_EQ(InUse(a), 1u);
}

TEST_F(Growing, NobodyIsMadeToOpenMoreThanItIsTold) {
  Start(2 * kOneFlow, false);
  Run(b, a, 30 * kSecond);
  EXPECT_TRUE(source_a.wanted.empty());
  EXPECT_EQ(InUse(b), 1u);
}

TEST_F(Growing, ARateLimitIsNotTried) {
  Start(4 * kOneFlow, true, kOneFlow);
  Run(a, b, 18 * kSecond);
  EXPECT_TRUE(source_a.wanted.empty());
}

// Wants of flows that no growth would ask for.
TEST_F(Growing, NotEveryWishIsGranted) {
  Start(kOneFlow);
  DeafSink sink;
  const SimLink link{.rate = kOneFlow, .delay = kMillisecond};
  auto [at_a, at_peer] = path.world.network().Connect(link, link);
  at_a->SetSink(*a.connection);
  at_peer->SetSink(sink);
  a->AddFlow(std::move(at_a), path.world.now(), FlowId{0, 1});
  const WantEntry entries[] = {{0, 64, true},
                               {0, 65535, true},
                               {1, 0, true},
                               {1, 1, true},
                               {0, 63, true}};
  std::vector<uint8_t> payload(std::size(entries) * kWantEntrySize);
  for (size_t i = 0; i < std::size(entries); ++i) {
    Encode(entries[i], &payload[i * kWantEntrySize]);
  }
  ChunkHeader header;
  header.kind = FrameKind::kWant;
  header.size = static_cast<uint32_t>(payload.size());
  ASSERT_TRUE(at_peer->TrySendControl(header, payload));
  path.RunFor(100 * kMillisecond);
  EXPECT_EQ(source_a.wanted, Numbers(63, 64));
  EXPECT_TRUE(a->status().ok());
  at_peer->Close();
}

}  // namespace
}  // namespace longhaul
