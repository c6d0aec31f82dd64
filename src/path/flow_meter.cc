#include "path/flow_meter.h"

#include <algorithm>

namespace longhaul {
namespace {

/// A round is the least round trip, but between these: shorter ones see bursts,
/// longer ones notice late that the line has become narrow.
constexpr Duration kShortestRound = 5 * kMillisecond;
constexpr Duration kLongestRound = 100 * kMillisecond;
/// A look that comes so much later than a round's end compares nothing.
constexpr int kLate = 4;

double Seconds(Duration time) { return static_cast<double>(time) / kSecond; }

}  // namespace

void FlowMeter::Sample(TimePoint now, const EndpointStats& stats) {
  if (stats.min_rtt > 0) min_rtt_ = stats.min_rtt;
  const bool busy = stats.bytes_unsent > 0;
  const Duration length = std::clamp(min_rtt_, kShortestRound, kLongestRound);
  const Duration lasted = now - round_.began;
  round_.full = round_.full && busy;
  const bool comparable = round_.began != 0 &&
                          stats.bytes_delivered >= round_.delivered &&
                          lasted <= kLate * length;
  if (!comparable || lasted >= length) {
    if (comparable) {
      EndRound(static_cast<double>(stats.bytes_delivered - round_.delivered) /
               Seconds(lasted));
    }
    round_ = {now, stats.bytes_delivered, busy};
  }
  // Of what is in flight, what the line holds when it is full has left.
  const double held = rate_ * Seconds(min_rtt_);
  backlog_ = static_cast<double>(stats.bytes_unsent) +
             std::max(0.0, static_cast<double>(stats.bytes_in_flight) - held);
  backlog_at_ = now;
}

void FlowMeter::EndRound(double rate) {
  if (!round_.full) {
    rate_ = std::max(rate_, rate);
    last_full_ = 0;
    return;
  }
  rate_ = last_full_ > 0 ? (rate + last_full_) / 2 : std::max(rate, rate_ / 2);
  last_full_ = rate;
}

void FlowMeter::Given(TimePoint now, uint64_t bytes) {
  backlog_ = Backlog(now, rate_) + static_cast<double>(bytes);
  backlog_at_ = now;
}

double FlowMeter::Backlog(TimePoint now, double rate) const {
  return std::max(0.0, backlog_ - rate * Seconds(now - backlog_at_));
}

}  // namespace longhaul
