// What every Endpoint promises. A new implementation adds a line to kApart.
#include <algorithm>
#include <random>

#include "support/endpoint_harness.h"
#include "support/frames.h"
#include "support/recording_sink.h"

namespace longhaul {
namespace {

class EndpointTest : public testing::TestWithParam<EndpointKind> {
 protected:
  EndpointTest() : harness_(GetParam().make()) {
    harness_->SetSinks(sink_a_, sink_b_);
  }

  Endpoint& a() { return harness_->a(); }
  Endpoint& b() { return harness_->b(); }

  static void ExpectFrames(const std::vector<RecordingSink::Frame>& frames,
                           const std::vector<size_t>& sizes) {
    ASSERT_EQ(frames.size(), sizes.size());
    for (size_t i = 0; i < frames.size(); ++i) {
      ASSERT_EQ(frames[i].header.id.message, i);
      ASSERT_TRUE(frames[i].bytes == Pattern(sizes[i], i)) << "frame " << i;
    }
  }

  /// One end has been closed; the other, with the sink `left`, hears of it.
  void ExpectEnds(const RecordingSink& left) {
    if (harness_->joined_to_itself()) {
      harness_->Settle();  // both are closed; the harness hears if one speaks
      return;
    }
    ASSERT_TRUE(harness_->RunUntil([&] { return left.Dead(); }));
    EXPECT_EQ(left.FailedWith(), StatusCode::kUnreachable);
  }

  /// Fills a's queue and returns how many frames it took.
  size_t FillA(FrameSender& sender) {
    sender.Send();
    return sender.taken();
  }

  // The endpoints tell their sinks nothing once they are destroyed.
  RecordingSink sink_a_;
  RecordingSink sink_b_;
  std::unique_ptr<EndpointHarness> harness_;
};

// For two ends that are apart: either may be lost, and the line between them
// takes its time.
class EndpointPairTest : public EndpointTest {};

const std::vector<size_t> kSizes = {
    0,       1,  95,   96, 97,        191,    4096, 0, 64 << 10, (1 << 20) + 1,
    3 << 20, 17, 4000, 0,  256 << 10, 100000, 1};

TEST_P(EndpointTest, FramesArriveWholeAndInOrderBothWays) {
  std::vector<size_t> reversed(kSizes.rbegin(), kSizes.rend());
  FrameSender from_a(a(), sink_a_, kSizes);
  FrameSender from_b(b(), sink_b_, reversed);
  from_a.Send();
  from_b.Send();
  ASSERT_TRUE(harness_->RunUntil([&] {
    return sink_b_.frames.size() == kSizes.size() &&
           sink_a_.frames.size() == kSizes.size();
  }));
  ExpectFrames(sink_b_.frames, kSizes);
  ExpectFrames(sink_a_.frames, reversed);
  EXPECT_FALSE(sink_a_.Dead() || sink_b_.Dead());
}

TEST_P(EndpointTest, LongestPayloadArrives) {
  const size_t longest = a().max_payload();
  FrameSender sender(a(), sink_a_, {longest, 1});
  sender.Send();
  ASSERT_TRUE(harness_->RunUntil([&] { return sink_b_.frames.size() == 2; }));
  ExpectFrames(sink_b_.frames, {longest, 1});
}

TEST_P(EndpointTest, HeadersArriveAsSent) {
  ChunkHeader header = DataHeader(9, 5);
  header.flags = ChunkHeader::kChargedShared | ChunkHeader::kNotice;
  header.id = {1, 2, 3, 4, 5, 6};
  header.total = uint64_t{1} << 40;
  header.offset = uint64_t{1} << 39;
  header.fingerprint = {11, 1, 2, 3, 4, 5, 6};
  const auto payload = Pattern(5, 0);
  ASSERT_TRUE(a().TrySend(header, {payload.data(), 5}, nullptr));
  ASSERT_TRUE(harness_->RunUntil([&] { return !sink_b_.frames.empty(); }));
  const ChunkHeader& got = sink_b_.frames[0].header;
  EXPECT_EQ(got.kind, header.kind);
  EXPECT_EQ(got.flags, header.flags);
  EXPECT_EQ(got.id, header.id);
  EXPECT_EQ(got.total, header.total);
  EXPECT_EQ(got.offset, header.offset);
  EXPECT_EQ(got.fingerprint, header.fingerprint);
}

TEST_P(EndpointTest, PaddingIsThrownAwayAndKeepsFramingInStep) {
  ChunkHeader padding = DataHeader(7, 100000);
  padding.kind = FrameKind::kPadding;
  const auto zeros = std::vector<uint8_t>(100000);
  ASSERT_TRUE(a().TrySend(padding, {zeros.data(), zeros.size()}, nullptr));
  const auto payload = Pattern(10, 0);
  ASSERT_TRUE(a().TrySend(DataHeader(0, 10), {payload.data(), 10}, nullptr));
  ASSERT_TRUE(harness_->RunUntil([&] {
    return !sink_b_.frames.empty() && sink_b_.frames.back().bytes == payload;
  }));
  EXPECT_EQ(sink_b_.placed, 1);
}

TEST_P(EndpointTest, ControlGoesAheadOfQueuedDataAndIsCopied) {
  const std::vector<size_t> sizes(200, 100000);
  FrameSender sender(a(), sink_a_, sizes);
  const size_t taken = FillA(sender);
  ASSERT_GE(taken, 2u);
  sink_a_.on_writable = nullptr;
  auto control = Pattern(480, 77);
  ASSERT_TRUE(a().TrySendControl(ControlHeader(1000, 480), control));
  ASSERT_TRUE(a().TrySendControl(ControlHeader(1001, 0), {}));
  std::fill(control.begin(), control.end(), uint8_t{0});
  ASSERT_TRUE(
      harness_->RunUntil([&] { return sink_b_.frames.size() == taken + 2; }));
  const auto& frames = sink_b_.frames;
  const auto first = std::find_if(
      frames.begin(), frames.end(),
      [](const auto& frame) { return frame.header.kind == FrameKind::kPing; });
  ASSERT_LT(first - frames.begin(), 2)
      << "at most the frame begun may be before it";
  EXPECT_EQ(first->bytes, Pattern(480, 77));
  EXPECT_EQ((first + 1)->header.id.message, 1001u);
}

TEST_P(EndpointTest, FullQueueSaysNotNowThenWritable) {
  const std::vector<size_t> sizes(2000, 50000);
  FrameSender sender(a(), sink_a_, sizes);
  sink_a_.on_writable = nullptr;
  const size_t taken = FillA(sender);
  ASSERT_LT(taken, sizes.size()) << "the queue has no end";
  EXPECT_EQ(sink_a_.writable, 0);
  ASSERT_TRUE(harness_->RunUntil([&] { return sink_a_.writable == 1; }));
  sender.Send();
  EXPECT_GT(sender.taken(), taken);
}

TEST_P(EndpointTest, FullControlQueueSaysNotNowThenWritable) {
  const auto payload = Pattern(kMaxControlPayload, 3);
  size_t taken = 0;
  while (taken < 10000 &&
         a().TrySendControl(ControlHeader(taken, payload.size()), payload)) {
    ++taken;
  }
  ASSERT_LT(taken, 10000u) << "the queue has no end";
  ASSERT_GT(taken, 0u);
  ASSERT_TRUE(harness_->RunUntil(
      [&] { return sink_a_.writable > 0 && sink_b_.frames.size() == taken; }));
  EXPECT_TRUE(
      a().TrySendControl(ControlHeader(taken, payload.size()), payload));
}

TEST_P(EndpointTest, WritableIsNotCalledUnasked) {
  FrameSender sender(a(), sink_a_, {1000});
  sender.Send();
  harness_->Settle();
  EXPECT_EQ(sink_b_.frames.size(), 1u);
  EXPECT_EQ(sink_a_.writable, 0);
}

TEST_P(EndpointTest, SentIsCalledOncePerFrameInOrder) {
  FrameSender sender(a(), sink_a_, kSizes);  // scribbles over what was sent
  sender.Send();
  ASSERT_TRUE(harness_->RunUntil([&] {
    return sink_a_.sent.size() == kSizes.size() &&
           sink_b_.frames.size() == kSizes.size();
  }));
  harness_->Settle();
  ASSERT_EQ(sink_a_.sent.size(), kSizes.size());
  for (size_t i = 0; i < kSizes.size(); ++i) {
    EXPECT_EQ(sink_a_.sent[i], sender.cookie(i));
  }
  EXPECT_TRUE(a().Drained());
  ExpectFrames(sink_b_.frames, kSizes);
}

TEST_P(EndpointTest, FrameWithoutPlaceIsDiscardedWhole) {
  sink_b_.discard = [](const ChunkHeader& header) {
    return header.id.message % 2 == 0;
  };
  const std::vector<size_t> sizes = {5000, 100, (1 << 20) + 1, 300000, 1, 2};
  FrameSender sender(a(), sink_a_, sizes);
  sender.Send();
  ASSERT_TRUE(harness_->RunUntil(
      [&] { return sink_b_.frames.size() == sizes.size(); }));
  for (size_t i = 0; i < sizes.size(); ++i) {
    EXPECT_EQ(sink_b_.frames[i].discarded, i % 2 == 0);
    if (i % 2 == 1) {
      EXPECT_TRUE(sink_b_.frames[i].bytes == Pattern(sizes[i], i));
    }
  }
}

TEST_P(EndpointPairTest, DivertInMidPayloadKeepsFramingInStep) {
  const size_t longest = a().max_payload();
  FrameSender sender(a(), sink_a_, {10, longest, 20});
  sender.Send();
  ASSERT_TRUE(harness_->RunUntil([&] { return sink_b_.placed == 2; }));
  ASSERT_TRUE(sink_b_.receiving.has_value()) << "the frame came in one go";
  b().Divert();
  const std::vector<uint8_t> taken_back(longest, 0xee);
  std::vector<uint8_t> place = std::exchange(sink_b_.place, {});
  std::fill(place.begin(), place.end(), uint8_t{0xee});
  ASSERT_TRUE(harness_->RunUntil([&] { return sink_b_.frames.size() == 2; }));
  EXPECT_TRUE(place == taken_back) << "written after Divert";
  EXPECT_EQ(sink_b_.frames[0].header.id.message, 0u);
  EXPECT_EQ(sink_b_.frames[1].header.id.message, 2u);
  EXPECT_TRUE(sink_b_.frames[1].bytes == Pattern(20, 2));
}

TEST_P(EndpointTest, DivertFromWithinPlace) {
  sink_b_.on_place = [&](const ChunkHeader& header) {
    if (header.id.message == 1) b().Divert();
  };
  FrameSender sender(a(), sink_a_, {10, 60000, 20});
  sender.Send();
  ASSERT_TRUE(harness_->RunUntil([&] { return sink_b_.frames.size() == 2; }));
  EXPECT_EQ(sink_b_.frames[1].header.id.message, 2u);
  EXPECT_TRUE(sink_b_.frames[1].bytes == Pattern(20, 2));
}

TEST_P(EndpointTest, DivertWithoutPayloadIsNothing) {
  b().Divert();
  FrameSender sender(a(), sink_a_, {10, 20});
  sink_b_.on_arrived = [&](const ChunkHeader&) { b().Divert(); };
  sender.Send();
  ASSERT_TRUE(harness_->RunUntil([&] { return sink_b_.frames.size() == 2; }));
  ExpectFrames(sink_b_.frames, {10, 20});
}

TEST_P(EndpointPairTest, PeerDeathFailsOnceWithUnreachable) {
  sink_b_.over = true;
  harness_->DestroyB();
  ASSERT_TRUE(harness_->RunUntil([&] { return sink_a_.Dead(); }));
  EXPECT_EQ(sink_a_.FailedWith(), StatusCode::kUnreachable);
  EXPECT_EQ(sink_a_.failed->scope(), FaultScope::kPath);
  harness_->Settle();  // the sink checks that nothing follows
  EXPECT_FALSE(a().TrySend(DataHeader(0, 0), {}, nullptr));
  EXPECT_FALSE(a().TrySendControl(ControlHeader(0, 0), {}));
  a().Divert();
  a().Close();
  harness_->Settle();
}

TEST_P(EndpointPairTest, PeerDeathWhileSendingAndReceiving) {
  const std::vector<size_t> sizes(24, std::min(1u << 20, a().max_payload()));
  FrameSender from_a(a(), sink_a_, sizes);
  FrameSender from_b(b(), sink_b_, sizes);
  from_a.Send();
  from_b.Send();
  ASSERT_TRUE(harness_->RunUntil(
      [&] { return sink_a_.placed >= 2 && sink_b_.placed >= 2; }));
  const size_t sent_before = sink_a_.sent.size();
  sink_b_.over = true;
  harness_->DestroyB();
  ASSERT_TRUE(harness_->RunUntil([&] { return sink_a_.Dead(); }));
  EXPECT_EQ(sink_a_.FailedWith(), StatusCode::kUnreachable);
  EXPECT_LT(sink_a_.sent.size(), sizes.size());
  EXPECT_GE(sink_a_.sent.size(), sent_before);
  harness_->Settle();
}

TEST_P(EndpointTest, CloseLetsGoAtOnce) {
  const std::vector<size_t> sizes(100, 200000);
  FrameSender from_b(b(), sink_b_, sizes);
  {
    FrameSender from_a(a(), sink_a_, sizes);
    from_a.Send();
    from_b.Send();
    ASSERT_TRUE(harness_->RunUntil([&] { return sink_a_.placed >= 1; }));
    a().Close();
    sink_a_.over = true;
    sink_a_.place = {};
  }  // the payloads are gone: whoever reads them now is caught by a sanitizer
  EXPECT_FALSE(a().TrySend(DataHeader(0, 0), {}, nullptr));
  ExpectEnds(sink_b_);
  harness_->Settle();
  a().Close();
}

// Close may be called from within any call to the sink.
TEST_P(EndpointTest, CloseFromWithinPlace) {
  FrameSender sender(a(), sink_a_, kSizes);
  sink_b_.on_place = [&](const ChunkHeader& header) {
    if (header.size < 4096) return;
    b().Close();
    sink_b_.over = true;
  };
  sender.Send();
  ExpectEnds(sink_a_);
  EXPECT_TRUE(sink_b_.over);
  harness_->Settle();
}

TEST_P(EndpointTest, CloseFromWithinArrived) {
  FrameSender sender(a(), sink_a_, kSizes);
  sink_b_.on_arrived = [&](const ChunkHeader& header) {
    if (header.id.message != 2) return;
    b().Close();
    sink_b_.over = true;
  };
  sender.Send();
  ExpectEnds(sink_a_);
  EXPECT_EQ(sink_b_.frames.size(), 3u);
  harness_->Settle();
}

TEST_P(EndpointTest, CloseFromWithinSent) {
  FrameSender sender(a(), sink_a_, {10, 20, 30, 40});
  sink_a_.on_sent = [&](void*) {
    a().Close();
    sink_a_.over = true;
  };
  sender.Send();
  ExpectEnds(sink_b_);
  EXPECT_EQ(sink_a_.sent.size(), 1u);
  harness_->Settle();
}

TEST_P(EndpointTest, CloseFromWithinWritable) {
  FrameSender sender(a(), sink_a_, std::vector<size_t>(100, 1000));
  sink_a_.on_writable = [&] {
    a().Close();
    sink_a_.over = true;
  };
  sender.Send();
  ExpectEnds(sink_b_);
  EXPECT_EQ(sink_a_.writable, 1);
  harness_->Settle();
}

TEST_P(EndpointTest, SendFromWithinSinkCalls) {
  int answers = 0;
  const auto payload = Pattern(3000, 5);
  sink_b_.on_arrived = [&](const ChunkHeader& header) {
    ASSERT_TRUE(b().TrySend(DataHeader(header.id.message, 3000),
                            {payload.data(), payload.size()}, nullptr));
  };
  sink_a_.on_arrived = [&](const ChunkHeader& header) {
    if (++answers == 50) return;
    ASSERT_TRUE(a().TrySend(DataHeader(header.id.message + 1, 3000),
                            {payload.data(), payload.size()}, nullptr));
  };
  ASSERT_TRUE(a().TrySend(DataHeader(0, 3000), {payload.data(), payload.size()},
                          nullptr));
  EXPECT_TRUE(harness_->RunUntil([&] { return answers == 50; }));
}

TEST_P(EndpointPairTest, FinishDeliversEverythingThenEndsTheFlow) {
  FrameSender sender(a(), sink_a_, {(1 << 20) + 1, 500000, 7});
  sender.Send();
  ASSERT_EQ(sender.taken(), 3u);
  ASSERT_TRUE(a().TrySendControl(ControlHeader(1000, 0), {}));
  a().Finish();
  ASSERT_TRUE(harness_->RunUntil([&] { return sink_b_.Dead(); }));
  EXPECT_EQ(sink_b_.FailedWith(), StatusCode::kUnreachable);
  EXPECT_EQ(sink_b_.frames.size(), 4u);
  EXPECT_EQ(sink_a_.sent.size(), 3u);
  EXPECT_TRUE(a().Drained());
  harness_->Settle();
}

TEST_P(EndpointPairTest, FinishOfAnIdleEndpointEndsTheFlow) {
  a().Finish();
  ASSERT_TRUE(harness_->RunUntil([&] { return sink_b_.Dead(); }));
  EXPECT_EQ(sink_b_.FailedWith(), StatusCode::kUnreachable);
}

TEST_P(EndpointPairTest, GarbageFailsWithCorrupt) {
  FrameSender sender(b(), sink_b_, {10});
  sender.Send();
  ASSERT_TRUE(harness_->RunUntil([&] { return sink_a_.frames.size() == 1; }));
  harness_->SendGarbageToA();
  ASSERT_TRUE(harness_->RunUntil([&] { return sink_a_.Dead(); }));
  EXPECT_EQ(sink_a_.FailedWith(), StatusCode::kCorrupt);
  EXPECT_EQ(sink_a_.frames.size(), 1u);
  harness_->Settle();
}

TEST_P(EndpointTest, StatsCountFramesWithTheirHeaders) {
  FrameSender sender(a(), sink_a_, {0, 1000, 50000});
  sender.Send();
  ASSERT_TRUE(harness_->RunUntil(
      [&] { return sink_b_.frames.size() == 3 && sink_a_.sent.size() == 3; }));
  const uint64_t expected = 3 * kHeaderSize + 51000;
  EXPECT_EQ(a().Stats().bytes_sent, expected);
  EXPECT_EQ(b().Stats().bytes_received, expected);
  EXPECT_FALSE(a().Name().empty());
}

// Sizes, control frames, discards and diversions drawn at random, both ways.
TEST_P(EndpointTest, RandomTraffic) {
  const uint64_t seed = 4711;
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937 random(seed);
  const auto draw = [&] {
    std::vector<size_t> sizes(300);
    for (size_t& size : sizes) size = random() % (size_t{2} << (random() % 17));
    return sizes;
  };
  const std::vector<size_t> sizes_a = draw();
  const std::vector<size_t> sizes_b = draw();
  FrameSender from_a(a(), sink_a_, sizes_a);
  FrameSender from_b(b(), sink_b_, sizes_b);
  uint64_t controls = 0;
  size_t diverted = 0;
  sink_b_.discard = [&](const ChunkHeader&) { return random() % 4 == 0; };
  sink_b_.on_place = [&](const ChunkHeader& header) {
    if (header.kind != FrameKind::kData || random() % 4 != 0) return;
    b().Divert();
    sink_b_.receiving.reset();
    ++diverted;
  };
  sink_a_.on_sent = [&](void*) {
    const auto payload = Pattern(random() % 500, controls);
    if (a().TrySendControl(ControlHeader(controls, payload.size()), payload)) {
      ++controls;
    }
  };
  from_a.Send();
  from_b.Send();
  ASSERT_TRUE(harness_->RunUntil([&] {
    return sink_a_.sent.size() == sizes_a.size() &&
           sink_b_.frames.size() == sizes_a.size() - diverted + controls &&
           sink_a_.frames.size() == sizes_b.size();
  }));
  ExpectFrames(sink_a_.frames, sizes_b);
  uint64_t next_control = 0;
  for (const RecordingSink::Frame& frame : sink_b_.frames) {
    const uint64_t number = frame.header.id.message;
    if (frame.header.kind == FrameKind::kPing) {
      EXPECT_EQ(number, next_control++);
    }
    if (frame.discarded) continue;
    ASSERT_TRUE(frame.bytes == Pattern(frame.header.size, number));
  }
}

constexpr EndpointKind kApart[] = {
    {"Sim", MakeSimHarness},
    {"UnsteadySim", MakeUnsteadySimHarness},
    {"Tcp", MakeTcpHarness},
};
constexpr EndpointKind kLoopback = {"Loopback", MakeLoopbackHarness};

const auto kNameOfKind = [](const auto& kind) { return kind.param.name; };
INSTANTIATE_TEST_SUITE_P(Apart, EndpointTest, testing::ValuesIn(kApart),
                         kNameOfKind);
INSTANTIATE_TEST_SUITE_P(Apart, EndpointPairTest, testing::ValuesIn(kApart),
                         kNameOfKind);
INSTANTIATE_TEST_SUITE_P(Joined, EndpointTest, testing::Values(kLoopback),
                         kNameOfKind);

}  // namespace
}  // namespace longhaul
