#include "path/pacer.h"

#include <algorithm>
#include <deque>

#include "support/pch.h"

namespace longhaul {
namespace {

constexpr Duration kRoundTrip = 50 * kMillisecond;
constexpr Duration kStep = kMillisecond / 2;

// Flows with always something to send share a line with a queue, step by step.
// Unpaced, a flow sends at 2.9 times the best rate it has seen: an eager
// congestion control.
class Line {
 public:
  struct Flow {
    Pacer pacer;
    bool sending = true;
    double allowed = 0;  ///< bytes, by the pace
    double in_flight = 0;
    double delivered = 0;
    double best_rate = 0;
    std::deque<double> recent;  ///< delivered by step, one round trip
    Duration rtt = 0;
    Duration min_rtt = 0;
  };

  Line(size_t flows, double rate, double queue_most)
      : flows_(flows), rate_(rate), queue_most_(queue_most) {}

  Flow& flow(size_t i) { return flows_[i]; }
  double dropped() const { return dropped_; }
  double most_queued() const { return most_queued_; }
  void SetRate(double rate) { rate_ = rate; }
  void SetForeign(Duration queue) { foreign_ = queue; }
  void Agree() { mates_ = true; }

  /// Bytes of each flow that arrived in that time.
  std::vector<double> Run(Duration time) {
    std::vector<double> before;
    for (const Flow& f : flows_) before.push_back(f.delivered);
    most_queued_ = queued_;
    for (const TimePoint end = now_ + time; now_ < end; now_ += kStep) Step();
    for (size_t i = 0; i < before.size(); ++i) {
      before[i] = flows_[i].delivered - before[i];
    }
    return before;
  }

 private:
  struct Batch {
    size_t flow;
    double bytes;
    TimePoint sent;
    TimePoint back;  ///< when its acknowledgement is
  };

  void Step() {
    const double seconds = static_cast<double>(kStep) / kSecond;
    for (size_t i = 0; i < flows_.size(); ++i) SendOf(i, seconds);
    double room = rate_ * seconds;
    while (room > 0 && !queue_.empty()) {
      Batch& head = queue_.front();
      const double part = std::min(room, head.bytes);
      room -= part;
      head.bytes -= part;
      queued_ -= part;
      line_.push_back(
          {head.flow, part, head.sent, now_ + foreign_ + kRoundTrip});
      if (head.bytes <= 0) queue_.pop_front();
    }
    std::vector<double> back(flows_.size());
    while (!line_.empty() && line_.front().back <= now_) {
      const Batch& b = line_.front();
      back[b.flow] += b.bytes;
      flows_[b.flow].rtt = now_ - b.sent;
      line_.pop_front();
    }
    for (size_t i = 0; i < flows_.size(); ++i) Acknowledge(flows_[i], back[i]);
  }

  void SendOf(size_t i, double seconds) {
    Flow& f = flows_[i];
    if (!f.sending) return;
    const double round = static_cast<double>(kRoundTrip) / kSecond;
    const double eager = std::max(15e3 / round, 2.9 * f.best_rate);
    const double pace =
        f.pacer.pace() > 0 ? std::min(f.pacer.pace(), eager) : eager;
    f.allowed = std::min(f.allowed + pace * seconds, 2 * pace * seconds);
    const double most = std::clamp(eager * round - f.in_flight, 0.0, f.allowed);
    f.allowed -= most;
    const double fits = std::clamp(queue_most_ - queued_, 0.0, most);
    dropped_ += most - fits;
    if (fits > 0) queue_.push_back({i, fits, now_, 0});
    queued_ += fits;
    f.in_flight += fits;
    most_queued_ = std::max(most_queued_, queued_);
  }

  void Acknowledge(Flow& f, double bytes) {
    f.delivered += bytes;
    f.in_flight -= bytes;
    f.recent.push_back(bytes);
    if (f.recent.size() > kRoundTrip / kStep) f.recent.pop_front();
    double sum = 0;
    for (const double b : f.recent) sum += b;
    f.best_rate =
        std::max(f.best_rate, sum * kSecond / static_cast<double>(kRoundTrip));
    if (f.rtt > 0 && (f.min_rtt == 0 || f.rtt < f.min_rtt)) f.min_rtt = f.rtt;
    if (!f.sending || now_ < f.pacer.next_sample()) return;
    EndpointStats stats;
    stats.bytes_delivered = static_cast<uint64_t>(f.delivered);
    stats.bytes_unsent = 1;
    stats.rtt = f.rtt;
    stats.min_rtt = f.min_rtt;
    f.pacer.Sample(now_, stats, ShareOf(f));
  }

  // As mates that have told each other.
  double ShareOf(const Flow& own) const {
    if (!mates_ || own.pacer.pace() <= 0) return 1;
    double sum = 0;
    for (const Flow& f : flows_) sum += f.pacer.pace();
    return sum / static_cast<double>(flows_.size()) / own.pacer.pace();
  }

  std::vector<Flow> flows_;
  bool mates_ = false;
  double rate_;
  double queue_most_;
  double queued_ = 0;
  double most_queued_ = 0;
  double dropped_ = 0;
  Duration foreign_ = 0;
  std::deque<Batch> queue_;
  std::deque<Batch> line_;
  TimePoint now_ = kSecond;
};

constexpr double kRate = 60e6;
constexpr double kProduct = kRate * 0.05;  // one round trip's worth

double Sum(const std::vector<double>& bytes) {
  double sum = 0;
  for (const double b : bytes) sum += b;
  return sum;
}

class PacerOnALine : public testing::TestWithParam<size_t> {};
INSTANTIATE_TEST_SUITE_P(, PacerOnALine, testing::Values(1, 2, 3, 8));

TEST_P(PacerOnALine, OnceOpenNeverOverrunsTheQueue) {
  Line line(GetParam(), kRate, kProduct);
  line.Run(2 * kSecond);
  for (size_t i = 0; i < GetParam(); ++i) {
    EXPECT_TRUE(line.flow(i).pacer.opened());
  }
  const double dropped = line.dropped();
  line.Run(10 * kSecond);
  EXPECT_EQ(line.dropped(), dropped);
}

TEST_P(PacerOnALine, FillsTheLineWithAShortQueue) {
  Line line(GetParam(), kRate, kProduct);
  line.Run(8 * kSecond);
  const std::vector<double> got = line.Run(2 * kSecond);
  EXPECT_GT(Sum(got), 0.98 * 2 * kRate);
  EXPECT_LT(line.most_queued(), 0.75 * kProduct);
  const auto [least, most] = std::minmax_element(got.begin(), got.end());
  EXPECT_LT(*most, 1.4 * *least) << "without mates it takes its time";
}

TEST(Pacer, MatesThatTellEachOtherAreSoonEqual) {
  Line line(2, kRate, kProduct);
  line.flow(1).sending = false;
  line.Run(3 * kSecond);
  line.flow(1).sending = true;
  line.Agree();
  line.Run(2 * kSecond);
  const std::vector<double> got = line.Run(kSecond / 2);
  EXPECT_GT(got[1], 0.95 * got[0]);
  EXPECT_LT(got[1], 1.05 * got[0]);
}

TEST(Pacer, SettlesSomeRoundsAfterTheLineIsFull) {
  Line line(1, kRate, kProduct);
  line.Run(kSecond / 2);
  EXPECT_FALSE(line.flow(0).pacer.settled());
  line.Run(2 * kSecond);
  EXPECT_TRUE(line.flow(0).pacer.settled());
}

TEST(Pacer, OneThatOnlyLooksSetsNoPace) {
  Line line(1, kRate, kProduct);
  line.flow(0).pacer = Pacer(false);
  line.Run(3 * kSecond);
  EXPECT_TRUE(line.flow(0).pacer.settled()) << "or warm-up never ends";
  EXPECT_EQ(line.flow(0).pacer.pace(), 0);
}

TEST(Pacer, OpensOnALineThatHoldsLittle) {
  Line line(1, 4e5, 1e6);
  line.Run(3 * kSecond);
  EXPECT_TRUE(line.flow(0).pacer.settled()) << "or warm-up never ends";
  EXPECT_GT(line.Run(kSecond)[0], 0.95 * 4e5);
}

TEST(Pacer, OneThatJoinsGetsItsShare) {
  Line line(2, kRate, kProduct);
  line.flow(1).sending = false;
  line.Run(3 * kSecond);
  line.flow(1).sending = true;
  line.Run(4 * kSecond);
  const std::vector<double> got = line.Run(kSecond);
  EXPECT_GT(got[1], 0.8 * got[0]);
  EXPECT_GT(Sum(got), 0.97 * kRate);
}

TEST(Pacer, TakesWhatAnotherLeaves) {
  Line line(2, kRate, kProduct);
  line.Run(3 * kSecond);
  const double dropped = line.dropped();
  line.flow(1).sending = false;
  line.Run(kSecond / 2);
  EXPECT_GT(line.Run(kSecond)[0], 0.97 * kRate);
  EXPECT_EQ(line.dropped(), dropped);
}

TEST(Pacer, FollowsALineThatBecomesNarrowerAndWider) {
  Line line(2, kRate, kProduct);
  line.Run(3 * kSecond);
  line.SetRate(kRate / 2);
  line.Run(2 * kSecond);
  EXPECT_GT(Sum(line.Run(kSecond)), 0.97 * kRate / 2);
  EXPECT_LT(line.most_queued(), kProduct / 2);
  line.SetRate(kRate);
  line.Run(kSecond);
  EXPECT_GT(Sum(line.Run(kSecond)), 0.97 * kRate);
}

TEST(Pacer, KeepsItsPaceOverAPause) {
  Line line(1, kRate, kProduct);
  line.Run(3 * kSecond);
  const double pace = line.flow(0).pacer.pace();
  line.flow(0).sending = false;
  line.Run(kSecond);
  line.flow(0).sending = true;
  EXPECT_EQ(line.flow(0).pacer.pace(), pace);
  // What is acknowledged in the pause is not mistaken for a slow line.
  line.Run(kRoundTrip);
  EXPECT_EQ(line.flow(0).pacer.pace(), pace);
}

TEST(Pacer, AHostThatStuttersDoesNotWearItDown) {
  Line line(1, kRate, kProduct);
  line.Run(3 * kSecond);
  double got = 0;
  for (int i = 0; i < 20; ++i) {
    line.flow(0).sending = false;
    got += line.Run(15 * kMillisecond)[0];
    line.flow(0).sending = true;
    got += line.Run(185 * kMillisecond)[0];
  }
  EXPECT_GT(got, 0.9 * 4 * kRate);
}

TEST(Pacer, AQueueThatIsNotItsOwnIsLeftToTheCongestionControl) {
  Line line(1, kRate, kProduct);
  line.Run(3 * kSecond);
  line.SetForeign(40 * kMillisecond);
  line.Run(2 * kSecond);
  EXPECT_EQ(line.flow(0).pacer.pace(), 0);
  line.SetForeign(0);
  line.Run(8 * kSecond);
  EXPECT_GT(line.flow(0).pacer.pace(), 0) << "for a while only";
}

TEST(Pacer, WithoutDataToSendNothingIsLearnt) {
  Pacer pacer;
  EndpointStats stats;
  stats.rtt = stats.min_rtt = kRoundTrip;
  for (TimePoint now = 0; now < 10 * kSecond; now += kRoundTrip / 4) {
    stats.bytes_delivered += 100'000;
    EXPECT_FALSE(pacer.Sample(now, stats));
  }
  EXPECT_EQ(pacer.pace(), 0);
}

TEST(Pacer, WhatTheTransportDoesNotKnowSaysNothing) {
  Pacer pacer;
  EndpointStats stats;
  stats.bytes_unsent = 1;
  for (TimePoint now = 0; now < kSecond; now += kMillisecond) {
    stats.bytes_delivered += 1'000'000;
    EXPECT_FALSE(pacer.Sample(now, stats));
  }
  EXPECT_EQ(pacer.pace(), 0);
  EXPECT_FALSE(pacer.opened());
}

}  // namespace
}  // namespace longhaul
