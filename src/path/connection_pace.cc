// How fast the flows of a connection send, and how they are warmed up.
#include <algorithm>
#include <array>
#include <utility>

#include "path/connection.h"

namespace longhaul {
namespace {

constexpr uint32_t kPaddingFrame = 64 << 10;
constexpr std::array<uint8_t, kPaddingFrame> kZeros{};
/// How often the congestion control begins anew: better where there was nothing
/// to send until now, at the latest before BBR's ten seconds are over.
constexpr Duration kRenewAtRest = 3 * kSecond;
constexpr Duration kRenewAtWork = 8 * kSecond;
/// Lines told of that wait to be sent; a process has few.
constexpr size_t kMostPaces = 256;

}  // namespace

// Looks at the flows that have something to send. Says when to look again.
TimePoint Connection::PaceFlows(TimePoint now) {
  if (padding_left_ == 0 && (!config_.pace || outbox_.idle())) return kNever;
  const bool agrees = config_.board != nullptr && config_.line != 0;
  const double share = agrees ? config_.board->Share(config_.line, now) : 1;
  const bool resumed = std::exchange(resumed_, false);
  TimePoint next = kNever;
  bool changed = false;
  bool settled = HasFlow();
  double pace = 0;
  for (const auto& flow : flows_) {
    if (flow->endpoint == nullptr) continue;
    changed |= PaceFlow(*flow, share, resumed, now);
    pace += flow->pacer.pace();
    next = std::min(next, flow->pacer.next_sample());
    settled = settled && flow->pacer.settled();
  }
  if (changed && agrees) config_.board->Publish(*this, config_.line, pace);
  if (settled) padding_left_ = 0;  // the line is full: more would only queue
  return next;
}

bool Connection::PaceFlow(Flow& flow, double share, bool resumed,
                          TimePoint now) {
  if (flow.pacer.pace() > 0 &&
      now - flow.renewed > (resumed ? kRenewAtRest : kRenewAtWork)) {
    flow.endpoint->Renew();
    flow.renewed = now;
  }
  if (now < flow.pacer.next_sample() ||
      !flow.pacer.Sample(now, flow.endpoint->Stats(), share)) {
    return false;
  }
  flow.endpoint->SetPace(flow.pacer.pace());
  return true;
}

void Connection::SendPadding() {
  if (padding_left_ == 0 || !outbox_.idle()) return;
  for (const auto& flow : flows_) {
    while (flow->endpoint != nullptr && flow->writable && padding_left_ > 0) {
      ChunkHeader padding;
      padding.kind = FrameKind::kPadding;
      padding.size = static_cast<uint32_t>(std::min<uint64_t>(
          {kPaddingFrame, flow->endpoint->max_payload(), padding_left_}));
      flow->writable = flow->endpoint->TrySend(
          padding, {kZeros.data(), padding.size}, &padding_cookie_);
      if (!flow->writable) break;
      padding_left_ -= padding.size;
      padding_bytes_ += padding.size;
    }
  }
}

void Connection::TellPace(uint64_t line, double pace) {
  if (!status_.ok() || pace < 0 || pace > 1e18) return;
  const auto told = static_cast<uint64_t>(pace);
  const auto at = std::find_if(paces_.begin(), paces_.end(),
                               [&](auto& e) { return e.line == line; });
  if (at != paces_.end()) {
    at->pace = told;
  } else if (paces_.size() < kMostPaces) {
    paces_.push_back({line, told});
  }
  Wake();
}

// What is said by one that is no mate is of no use.
void Connection::TakePace(const PaceEntry& entry, TimePoint now) {
  if (config_.board == nullptr || config_.line != 0) return;
  config_.board->Heard(*this, entry.line, static_cast<double>(entry.pace), now);
}

}  // namespace longhaul
