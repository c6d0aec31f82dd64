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
/// A pace told on the connection between two sites is of a path of it: lines
/// below this are its number. Lines of other sites are hashes.
constexpr uint64_t kPathNumbers = uint64_t{1} << 16;
/// Sets the lines of paths apart.
constexpr uint64_t kSpread = 0x9e3779b97f4a7c15u;
/// A pace counts for so long. While there is something to send it is told again
/// when it changes, and four times in that time.
constexpr Duration kFreshPace = kSecond;
/// Lines told of that wait to be sent; a process has few.
constexpr size_t kMostPaces = 256;

}  // namespace

// The line of a path, as mates know it.
uint64_t Connection::LineOf(const Path& path) const {
  return config_.line ^ path.number * kSpread;
}

// All flows have been looked at: what others are told of it.
void Connection::SettlePace(TimePoint now) {
  for (const auto& path : paths_) SettlePace(*path, now);
  const bool settled =
      HasFlow() &&
      std::all_of(flows_.begin(), flows_.end(), [](const auto& flow) {
        return flow->endpoint == nullptr || flow->resting ||
               flow->pacer.settled();
      });
  if (settled) padding_left_ = 0;  // the line is full: more would only queue
}

void Connection::SettlePace(Path& path, TimePoint now) {
  double pace = 0;
  for (const auto& flow : flows_) {
    if (flow->path == &path && Speaks(*flow) && !flow->resting) {
      pace += flow->pacer.pace();
    }
  }
  // A pace that is lifted (0) is told once: the old one must not count on.
  const bool changed = std::exchange(path.pace, pace) != pace;
  if (!HasLine() || (!changed && (pace == 0 || now < path.tell_pace_at))) {
    return;
  }
  path.tell_pace_at = now + kFreshPace / 4;
  config_.board->Publish(*this, LineOf(path), pace);
  TellPace(path.number, pace);
}

// What is to become of the pace on a path, by what others have told: the mean
// of the mates', and no more than the peer sends this way. Round trips grow by
// the queues of both directions, so a direction that has filled its queue makes
// the other one yield, for nothing; and a collective waits for both.
double Connection::PaceShare(const Path& path, TimePoint now) const {
  if (!HasLine()) return 1;
  const double share = config_.board->Share(LineOf(path), now);
  if (path.pace <= 0 || path.peer_pace <= 0 ||
      now - path.peer_pace_at > kFreshPace) {
    return share;
  }
  return share *
         std::clamp(path.peer_pace / path.pace, PaceBoard::kLeastShare, 1.);
}

void Connection::PaceFlow(Flow& flow, bool resumed, const EndpointStats& stats,
                          TimePoint now) {
  const double before = flow.pacer.pace();
  if (before > 0 &&
      now >= (resumed ? flow.renew_at_rest : flow.renew_at_work) &&
      flow.endpoint->Renew()) {
    flow.renew_at_rest = now + kRenewAtRest;
    flow.renew_at_work = now + kRenewAtWork;
  }
  if (now < flow.pacer.next_sample() ||
      !flow.pacer.Sample(now, stats, PaceShare(*flow.path, now))) {
    return;
  }
  LimitPace(flow);
  if (before == 0) flow.renew_at_rest = flow.renew_at_work = now;
}

// The flow's pace, or its part of what may leave on its path, if that is less.
// One that rests counts for those that rest: it is used when no other is there.
void Connection::LimitPace(Flow& flow) const {
  if (flow.endpoint == nullptr) return;
  double pace = flow.pacer.pace();
  if (flow.path->info.rate_limit > 0) {
    const auto flows = static_cast<double>(
        std::count_if(flows_.begin(), flows_.end(), [&](const auto& other) {
          return other->endpoint != nullptr && other->path == flow.path &&
                 (flow.resting || !other->resting);
        }));
    const double part = flow.path->info.rate_limit / flows;
    pace = pace > 0 ? std::min(pace, part) : part;
  }
  flow.endpoint->SetPace(pace);
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

// Of other lines only mates speak.
void Connection::TakePace(const PaceEntry& entry, TimePoint now) {
  const auto pace = static_cast<double>(entry.pace);
  if (HasLine() && entry.line < kPathNumbers) {
    for (const auto& path : paths_) {
      if (path->number != entry.line) continue;
      path->peer_pace = pace;
      path->peer_pace_at = now;
    }
  } else if (config_.board != nullptr && !HasLine()) {
    config_.board->Heard(*this, entry.line, pace, now);
  }
}

}  // namespace longhaul
