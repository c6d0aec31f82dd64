#include "path/flow_growth.h"

#include <algorithm>

namespace longhaul {
namespace {

/// What more flows must bring to be kept.
constexpr double kGain = 1.15;
/// A while: the longer of the two.
constexpr Duration kShortestWhile = kSecond;
constexpr int kRoundTrips = 10;
/// Of a longer time between looks nobody knows what it was like.
constexpr Duration kLongestStep = 4 * FlowGrowth::kLook;
/// Flows that are not open by then cannot be had.
constexpr Duration kOpening = 10 * kSecond;
/// Between trials, doubling from kFirstPause on.
constexpr Duration kLongestPause = 600 * kSecond;

}  // namespace

bool FlowGrowth::Sample(TimePoint now, const Look& look) {
  const Duration passed = now - looked_;
  const bool full = was_full_ && look.full && passed <= kLongestStep;
  looked_ = now;
  was_full_ = look.full;
  if (look.flows < flows()) return Missing(now);
  missing_since_ = kNever;
  if (look.silent) {
    Begin();
    return false;
  }
  return full && Count(passed, look) && Decide(now, look.limit);
}

// Some flows are not open (yet).
bool FlowGrowth::Missing(TimePoint now) {
  Begin();
  missing_since_ = std::min(missing_since_, now);
  return tried_ > 0 && now - missing_since_ >= kOpening && GoBack(now);
}

// Is a while over?
bool FlowGrowth::Count(Duration passed, const Look& look) {
  const bool alone = tried_ == 0 && kept_ == 1;
  const Duration length = std::max(
      {alone ? alone_for_ : 0, kShortestWhile, kRoundTrips * look.round_trip});
  Half& half = first_.lasted < length / 2 ? first_ : second_;
  half.lasted += passed;
  half.delivered += look.delivered;
  return first_.lasted + second_.lasted >= length;
}

bool FlowGrowth::Decide(TimePoint now, double limit) {
  const double rate = second_.rate();
  const bool rising = rate > kGain * first_.rate();
  Begin();
  if (rising) return false;
  if (tried_ == 0) return now >= next_try_ && Try(now, rate, limit);
  if (rate <= kGain * base_) return GoBack(now);
  kept_ = tried_;
  tried_ = 0;
  pause_ = kFirstPause;
  return Try(now, rate, limit);
}

bool FlowGrowth::Try(TimePoint now, double rate, double limit) {
  const bool limited = limit > 0 && kGain * rate >= limit;
  if (limited || rate <= 0 || kept_ >= kMost) return false;
  tried_ = static_cast<uint16_t>(std::min(2 * kept_, int{kMost}));
  base_ = rate;
  missing_since_ = now;
  return true;
}

bool FlowGrowth::GoBack(TimePoint now) {
  tried_ = 0;
  next_try_ = now + pause_;
  pause_ = std::min(2 * pause_, kLongestPause);
  return true;
}

}  // namespace longhaul
