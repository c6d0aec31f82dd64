#include "lab/emulator/channel.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <initializer_list>
#include <utility>
#include <vector>

#include "lab/packets.h"

namespace longhaul::lab {
namespace {

constexpr int64_t kMs = 1'000'000;
constexpr int64_t kUs = 1'000;

struct Arrival {
  int64_t at;
  Bytes bytes;
};

class ChannelTest : public testing::Test {
 protected:
  void Set(std::initializer_list<const char*> tokens, int64_t now = 0) {
    Settings next = channel_.settings();
    for (const char* token : tokens) next.Apply(token);
    channel_.Configure(next, now);
  }

  void Send(const Bytes& record, int64_t now) {
    uint8_t* const room = channel_.Room();
    ASSERT_NE(room, nullptr);
    std::memcpy(room, record.data(), record.size());
    channel_.Accept(static_cast<uint32_t>(record.size()), now);
  }
  // A UDP packet of `wire` bytes from its IP header on, filled with `tag`.
  static Bytes Packet(uint32_t wire, uint8_t tag = 0) {
    Bytes record =
        MakeRecord({.tcp = false, .payload = wire - 28, .segment_size = 65535});
    record.back() = tag;
    return record;
  }

  // Everything that comes out up to `until`, each at the moment it is due.
  std::vector<Arrival> Drain(int64_t until) {
    std::vector<Arrival> found;
    Channel::Piece piece;
    for (int64_t now = channel_.NextDue(); now <= until;
         now = channel_.NextDue()) {
      EXPECT_TRUE(channel_.TakeDue(now, piece));
      found.push_back({now, Joined(piece.slice)});
      channel_.Written(piece, true);
    }
    return found;
  }
  std::vector<int64_t> DrainTimes(int64_t until) {
    std::vector<int64_t> times;
    for (const Arrival& arrival : Drain(until)) times.push_back(arrival.at);
    return times;
  }
  std::vector<int> DrainTags(int64_t until) {
    std::vector<int> tags;
    for (const Arrival& a : Drain(until)) tags.push_back(a.bytes.back());
    return tags;
  }

  Channel channel_{false, 64 << 20, 1};
};

TEST_F(ChannelTest, APacketArrivesAfterItsSerializationAndTheDelay) {
  Set({"rate=12mbit", "delay=25ms"});  // 1500 bytes take 1 ms
  Send(Packet(1500), 5 * kMs);
  EXPECT_EQ(channel_.NextDue(), 31 * kMs);
  Channel::Piece piece;
  EXPECT_FALSE(channel_.TakeDue(31 * kMs - 1, piece)) << "never early";
  EXPECT_EQ(DrainTimes(kNever - 1), (std::vector<int64_t>{31 * kMs}));
}

TEST_F(ChannelTest, PacketsSentTogetherLeaveOneAfterAnother) {
  Set({"rate=12mbit", "delay=10ms"});
  for (int i = 0; i < 3; ++i) Send(Packet(1500), 0);
  EXPECT_EQ(channel_.Backlog(0), 4500);
  EXPECT_EQ(channel_.Backlog(2 * kMs), 1500);
  EXPECT_EQ(DrainTimes(kNever - 1),
            (std::vector<int64_t>{11 * kMs, 12 * kMs, 13 * kMs}));
}

TEST_F(ChannelTest, OverheadUsesTheRate) {
  Set({"rate=12mbit", "overhead=1500"});
  Send(Packet(1500), 0);
  EXPECT_EQ(DrainTimes(kNever - 1), (std::vector<int64_t>{2 * kMs}));
}

TEST_F(ChannelTest, WithoutARateNothingQueuesOrDrops) {
  Set({"delay=1ms", "queue=1b"});
  for (int i = 0; i < 100; ++i) Send(Packet(1500), 0);
  EXPECT_EQ(DrainTimes(kMs).size(), 100U);
  EXPECT_EQ(channel_.counters().tail_dropped, 0U);
}

TEST_F(ChannelTest, TheQueueDropsWhatDoesNotFit) {
  Set({"rate=12mbit", "queue=4500b"});
  for (uint8_t i = 0; i < 5; ++i) Send(Packet(1500, i), 0);
  EXPECT_EQ(channel_.counters().tail_dropped, 2U);
  EXPECT_EQ(channel_.counters().max_backlog, 4500U);
  Send(Packet(1500, 9), kMs);  // one has left: there is room again
  EXPECT_EQ(DrainTags(kNever - 1), (std::vector<int>{0, 1, 2, 9}));
}

TEST_F(ChannelTest, ASuperPacketIsCutWhereTheQueueEnds) {
  Set({"rate=12mbit", "queue=4500b", "quantum=1s"});
  Send(MakeRecord({.options = true}), 0);  // 7 segments, 6 of 1500 bytes
  const std::vector<Arrival> found = Drain(kNever - 1);
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].at, 3 * kMs);
  EXPECT_EQ(found[0].bytes.size(), kVnetSize + 52 + 3 * 1448);
  // The seventh is short, but there is no room for it either.
  EXPECT_EQ(channel_.counters().tail_dropped, 4U);
}

TEST_F(ChannelTest, ASuperPacketIsDeliveredInPiecesOfAQuantum) {
  Set({"rate=12mbit", "quantum=2ms"});
  Send(MakeRecord({}), 0);
  const std::vector<int64_t> times = DrainTimes(kNever - 1);
  ASSERT_EQ(times.size(), 4U);
  EXPECT_EQ(times[0], 2 * kMs);
  EXPECT_EQ(times[1], 4 * kMs);
  EXPECT_EQ(times[2], 6 * kMs);
  EXPECT_EQ(channel_.counters().out_segments, 7U);
}

TEST_F(ChannelTest, PiecesThatAreLateTravelTogetherAgain) {
  Set({"rate=12mbit", "quantum=1ms"});
  const Bytes record = MakeRecord({});
  Send(record, 0);
  Channel::Piece piece;
  ASSERT_TRUE(channel_.TakeDue(kNever - 1, piece));
  EXPECT_EQ(piece.segments, 7U);
  EXPECT_EQ(Joined(piece.slice), record);
  channel_.Written(piece, true);
  EXPECT_EQ(channel_.NextDue(), kNever);
  EXPECT_EQ(channel_.in_flight(), 0U);
}

TEST_F(ChannelTest, ANewRateMovesWhatWaitsButNotWhatIsOnTheLine) {
  Set({"rate=12mbit", "delay=10ms"});
  for (int i = 0; i < 3; ++i) Send(Packet(1500), 0);
  // The first has left; what remains of the others takes twice as long.
  Set({"rate=6mbit"}, kMs * 3 / 2);
  EXPECT_EQ(channel_.Backlog(kMs * 3 / 2), 2250);
  EXPECT_EQ(DrainTimes(kNever - 1),
            (std::vector<int64_t>{11 * kMs, kMs * 25 / 2, kMs * 29 / 2}));
}

TEST_F(ChannelTest, AShorterDelayLetsNewPacketsOvertake) {
  Set({"delay=20ms"});
  Send(Packet(1500, 1), 0);
  Set({"delay=5ms"}, kMs);
  Send(Packet(1500, 2), kMs);
  EXPECT_EQ(DrainTags(kNever - 1), (std::vector<int>{2, 1}));
}

TEST_F(ChannelTest, GoingDownLosesQueueAndLine) {
  Set({"rate=12mbit", "delay=10ms"});
  for (int i = 0; i < 3; ++i) Send(Packet(1500), 0);
  Set({"down"}, 2 * kMs);
  Send(Packet(1500), 3 * kMs);
  EXPECT_EQ(channel_.NextDue(), kNever);
  EXPECT_EQ(channel_.counters().down_dropped, 4U);
  EXPECT_EQ(channel_.in_flight(), 0U);
  Set({"up"}, 4 * kMs);
  Send(Packet(1500), 4 * kMs);
  EXPECT_EQ(DrainTimes(kNever - 1), (std::vector<int64_t>{15 * kMs}));
}

TEST_F(ChannelTest, HeldPacketsArriveLateBehindTheirFollowers) {
  Set({"delay=1ms", "reorder=1", "late=2ms"});
  Send(Packet(1500, 1), 0);
  Set({"reorder=0"});
  Send(Packet(1500, 2), 0);
  const std::vector<Arrival> found = Drain(kNever - 1);
  ASSERT_EQ(found.size(), 2U);
  EXPECT_EQ(found[0].bytes.back(), 2);
  EXPECT_EQ(found[1].at, 3 * kMs);
}

TEST_F(ChannelTest, JitterKeepsTheOrder) {
  Set({"delay=10ms", "jitter=3ms"});
  for (uint8_t i = 0; i < 100; ++i) Send(Packet(100, i), int64_t{i} * 10 * kUs);
  const std::vector<Arrival> found = Drain(kNever - 1);
  ASSERT_EQ(found.size(), 100U);
  for (size_t i = 1; i < found.size(); ++i) {
    EXPECT_EQ(found[i].bytes.back(), i);
    EXPECT_GE(found[i].at, found[i - 1].at);
  }
}

// The seed is fixed; the bounds are five standard deviations. Clipping at three
// takes 1.3 % off the deviation that was asked for.
TEST_F(ChannelTest, JitterHasItsMeanAndDeviation) {
  constexpr int kPackets = 10'000;
  Set({"delay=20ms", "jitter=2ms"});
  double sum = 0;
  double squares = 0;
  for (int i = 0; i < kPackets; ++i) {
    const int64_t sent = int64_t{i} * 100 * kMs;
    Send(Packet(100), sent);
    for (const int64_t at : DrainTimes(kNever - 1)) {
      const double delay = static_cast<double>(at - sent) / 1e6;
      sum += delay;
      squares += delay * delay;
    }
  }
  const double mean = sum / kPackets;
  EXPECT_NEAR(mean, 20, 5 * 0.02);
  EXPECT_NEAR(std::sqrt(squares / kPackets - mean * mean), 1.973, 5 * 0.014);
}

TEST_F(ChannelTest, DuplicatesComeTwice) {
  Set({"dup=1"});
  Send(Packet(1500, 7), 0);
  EXPECT_EQ(DrainTags(0), (std::vector<int>{7, 7}));
  EXPECT_EQ(channel_.counters().duplicated, 1U);
}

TEST_F(ChannelTest, MarksEcnCapablePacketsAboveTheThreshold) {
  Set({"rate=12mbit", "ecn=1ms"});
  for (int i = 0; i < 4; ++i) {
    Send(MakeRecord(
             {.tcp = false, .payload = 1472, .segment_size = 1472, .ecn = 1}),
         0);
  }
  const std::vector<Arrival> found = Drain(kNever - 1);
  ASSERT_EQ(found.size(), 4U);
  const auto ecn = [&](size_t i) { return found[i].bytes[kVnetSize + 1] & 3; };
  EXPECT_EQ(ecn(0), 1);
  EXPECT_EQ(ecn(1), 1) << "1500 bytes wait, 1 ms: not above";
  EXPECT_EQ(ecn(2), 3);
  EXPECT_EQ(ecn(3), 3);
  EXPECT_EQ(channel_.counters().marked, 2U);
}

TEST_F(ChannelTest, LatePiecesWithAndWithoutAMarkStayApart) {
  Set({"rate=12mbit", "ecn=1ms", "quantum=1s"});
  Send(MakeRecord({.ecn = 2}), 0);
  Channel::Piece piece;
  ASSERT_TRUE(channel_.TakeDue(kNever - 1, piece));
  EXPECT_EQ(piece.segments, 2U) << "met at most 1500 bytes";
  channel_.Written(piece, true);
  ASSERT_TRUE(channel_.TakeDue(kNever - 1, piece));
  EXPECT_EQ(piece.segments, 5U);
  EXPECT_EQ(Joined(piece.slice)[kVnetSize + 1] & 3, 3);
  channel_.Written(piece, true);
}

TEST_F(ChannelTest, LossTakesItsShareOfTheRate) {
  Set({"rate=12mbit", "loss=1"});
  Send(Packet(1500), 0);
  Set({"loss=0"});
  Send(Packet(1500), 0);
  EXPECT_EQ(channel_.counters().lost, 1U);
  EXPECT_EQ(DrainTimes(kNever - 1), (std::vector<int64_t>{2 * kMs}));
}

// Counts losses, and how many runs they come in, among `n` packets.
class LossTest : public ChannelTest {
 protected:
  std::pair<double, double> Lose(int n) {
    int lost = 0;
    int bursts = 0;
    bool before = false;
    const Bytes packet = Packet(100);
    for (int i = 0; i < n; ++i) {
      const uint64_t count = channel_.counters().lost;
      Send(packet, i);
      const bool now = channel_.counters().lost > count;
      lost += now ? 1 : 0;
      bursts += now && !before ? 1 : 0;
      before = now;
      Drain(kNever - 1);
    }
    return {lost, bursts};
  }
};

// The seed is fixed, so these give the same figures every time. The bounds are
// five standard deviations.
TEST_F(LossTest, IndependentLossHasItsRate) {
  Set({"loss=1%"});
  const auto [lost, bursts] = Lose(100'000);
  EXPECT_NEAR(lost, 1000, 5 * 31.5);
  EXPECT_NEAR(lost / bursts, 1.0, 0.06) << "hardly ever two in a row";
}

TEST_F(LossTest, BurstsHaveTheirRateAndMeanLength) {
  Set({"loss=1%", "burst=10"});
  const auto [lost, bursts] = Lose(400'000);
  EXPECT_NEAR(lost, 4000, 5 * 276.0);
  EXPECT_NEAR(lost / bursts, 10, 5 * 0.48);
}

TEST(ChannelMemoryTest, WhenMemoryIsUsedUpFramesAreRefusedAndCounted) {
  Channel channel(false, 2 << 20, 1);
  Settings settings;
  for (const char* token : {"rate=1gbit", "queue=1gb", "delay=1s"}) {
    settings.Apply(token);  // many pieces per frame
  }
  channel.Configure(settings, 0);
  const Bytes record = MakeRecord({.payload = 60'000});
  int accepted = 0;
  while (uint8_t* const room = channel.Room()) {
    std::memcpy(room, record.data(), record.size());
    channel.Accept(static_cast<uint32_t>(record.size()), 0);
    ++accepted;
    ASSERT_LT(accepted, 100);
  }
  EXPECT_GT(accepted, 20);
  channel.Refuse(record.data(), static_cast<uint32_t>(record.size()));
  EXPECT_EQ(channel.counters().no_memory, 42U);
  // Once they are delivered there is room again.
  Channel::Piece piece;
  while (channel.TakeDue(kNever - 1, piece)) channel.Written(piece, true);
  EXPECT_NE(channel.Room(), nullptr);
}

TEST(LatenessTest, QuantilesAreUpperEdgesOfTenMicrosecondBins) {
  Lateness lateness;
  for (int i = 0; i < 99; ++i) lateness.Add(5 * kUs);
  lateness.Add(730 * kUs);
  EXPECT_EQ(lateness.QuantileMicroseconds(0.5), 10);
  EXPECT_EQ(lateness.QuantileMicroseconds(0.99), 10);
  EXPECT_EQ(lateness.QuantileMicroseconds(1), 740);
  EXPECT_EQ(lateness.MaxMicroseconds(), 730);
  EXPECT_DOUBLE_EQ(lateness.MeanMicroseconds(), (99 * 5 + 730) / 100.0);
}

}  // namespace
}  // namespace longhaul::lab
