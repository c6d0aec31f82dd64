#include "path/pacer.h"

#include <algorithm>
#include <cmath>

namespace longhaul {
namespace {

constexpr Duration kShortestRound = 4 * kMillisecond;
/// Looks at the flow per round trip.
constexpr int kLooks = 4;

/// The line is full when a flow that has so much in flight sees a queue of this
/// part of the round trip, or its rate has not grown by so much for so many
/// rounds (draft-cardwell-iccrg-bbr, "Full pipe").
constexpr double kSmall = 64 << 10;
constexpr Duration kFullQueue = 4;  // a fourth
constexpr double kGrowth = 1.25;
constexpr int kFlatRounds = 3;

/// The backlog a flow aims at is this times the square root of what it has in
/// flight, bytes: an eighth to a fourth of it where that is some MB, and the
/// larger a flow is beside others, the smaller a part, which makes them equal.
constexpr double kBacklog = 180;
constexpr double kGain = 0.5;
constexpr double kMostUp = 0.15;
constexpr double kMostDown = 0.1;
/// Rounds without a queue after which it becomes bolder.
constexpr int kCalmRounds = 2;
/// Rounds until a flow that is open has found its pace.
constexpr int kSettlingRounds = 16;
/// How much of what sets it apart from its mates goes in a round.
constexpr double kAgreement = 0.5;

/// Rounds of yielding after which a queue is someone else's, and for how long
/// it is left to the congestion control.
constexpr int kCrowdedRounds = 16;
constexpr Duration kLift = 5 * kSecond;

double Seconds(Duration time) { return static_cast<double>(time) / kSecond; }

}  // namespace

bool Pacer::Sample(TimePoint now, const EndpointStats& stats, double share) {
  const Duration least = stats.min_rtt;
  const Duration length = std::max(stats.rtt, kShortestRound);
  const bool late = now > next_ + length;
  next_ = now + length / kLooks;
  if (least <= 0 || stats.rtt <= 0) return false;
  if (late || round_.began == 0 ||
      stats.bytes_delivered < round_.delivered) {  // nothing to compare with
    Begin(now, stats);
    return false;
  }
  round_.lowest = std::min(round_.lowest, stats.rtt);
  round_.full = round_.full && stats.bytes_unsent > 0;
  const Duration lasted = now - round_.began;
  if (lasted < length) return false;

  const double before = pace_;
  const View view{
      static_cast<double>(stats.bytes_delivered - round_.delivered) /
          Seconds(lasted),
      round_.lowest};
  if (round_.full && view.rate > 0) {
    if (phase_ == Phase::kOpening) {
      Open(view, least);
    } else if (limits_) {
      Steer(now, view, least);
      pace_ *= std::pow(share, kAgreement);
    }
    last_ = view;
  }
  if (pace_ > 0) pace_ = std::max(pace_, kSmall / Seconds(least));
  Begin(now, stats);
  return pace_ != before;
}

void Pacer::Begin(TimePoint now, const EndpointStats& stats) {
  round_ = {now, stats.bytes_delivered, stats.rtt, stats.bytes_unsent > 0};
}

void Pacer::Open(const View& view, Duration least) {
  if (view.rate > kGrowth * best_) {
    best_ = view.rate;
    flat_ = 0;
  } else {
    ++flat_;
  }
  const bool small = view.rate * Seconds(least) < kSmall;
  const bool queued = !small && view.lowest - least > least / kFullQueue;
  if (!queued && flat_ < kFlatRounds) return;
  narrow_ = small;
  if (small) return;  // nothing to overrun: not paced until it grows
  phase_ = limits_ ? Phase::kSettling : Phase::kSteady;
  if (limits_) pace_ = view.rate;
}

void Pacer::Steer(TimePoint now, const View& view, Duration least) {
  if (phase_ == Phase::kLifted) {
    if (now < lifted_until_) return;
    phase_ = Phase::kSteady;
    pace_ = view.rate;
  }
  if (phase_ == Phase::kSettling && ++settling_ == kSettlingRounds) {
    phase_ = Phase::kSteady;
  }
  Adjust(view, least);
  if (crowded_ > kCrowdedRounds) {
    crowded_ = 0;
    phase_ = Phase::kLifted;
    lifted_until_ = now + kLift;
    pace_ = 0;
  }
}

void Pacer::Adjust(const View& view, Duration least) {
  const double rate = std::max(view.rate, last_.rate);
  const double product = rate * Seconds(least);
  const double wanted = kBacklog * std::sqrt(product);
  const double backlog =
      rate * Seconds(std::min(view.lowest, last_.lowest) - least);
  crowded_ = backlog > 2 * wanted ? crowded_ + 1 : 0;
  calm_ = backlog < wanted / 4 ? calm_ + 1 : 0;
  double step =
      std::clamp(kGain * (wanted - backlog) / product, -kMostDown, kMostUp);
  if (step < 0) {
    pace_ = rate * (1 + step);
    return;
  }
  // The longer there is no queue, the bolder: the line may have become wider.
  step *= std::exp2(std::max(0, calm_ - kCalmRounds));
  pace_ = std::max(pace_, rate * (1 + std::min(step, kMostUp)));
}

}  // namespace longhaul
