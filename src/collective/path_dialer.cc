#include "collective/path_dialer.h"

#include <algorithm>
#include <optional>
#include <utility>

namespace longhaul {
namespace {

constexpr int kAttemptsPerRound = 3;
constexpr int kRoundTripsPerAttempt = 3;

bool IsFinal(const Status& why) {
  return why.code() == StatusCode::kInvalidArgument ||
         why.code() == StatusCode::kUnsupported;
}

}  // namespace

/// One flow on its way: being dialed, or waiting for the next try.
class PathDialer::Call final : public FlowOpener {
 public:
  Call(PathDialer& owner, size_t on_path, uint16_t number)
      : path(on_path), flow(number), owner_(owner) {}

  bool dialing() const { return connector.has_value(); }

  // Either may end with *this destroyed.
  void FlowOpened(uint16_t, UniqueFd fd, const Hello& theirs,
                  TimePoint now) override {
    owner_.Opened(*this, std::move(fd), theirs, now);
  }
  void FlowFailed(uint16_t, const Status& why, TimePoint now) override {
    owner_.Failed(*this, why, now);
  }

  const size_t path;  ///< its place in the configuration
  const uint16_t flow;
  std::optional<TcpConnector> connector;
  bool in_haste = false;
  TimePoint again_at = kNever;  ///< if not dialing

 private:
  PathDialer& owner_;
};

PathDialer::PathDialer(Engine& engine, Connection& connection, Config config,
                       FlowTaker& taker, Logger& log)
    : Pollable(engine),
      connection_(connection),
      config_(std::move(config)),
      taker_(taker),
      log_(log),
      states_(config_.paths.size()) {}

PathDialer::~PathDialer() = default;

void PathDialer::Start(TimePoint now) {
  calls_first_ = true;
  deadline_ = now + config_.connect_timeout;
  DialAll(now);
}

void PathDialer::Reopen(TimePoint now) {
  cut_ = true;
  // The connection gives up by itself, a little earlier.
  deadline_ = now + config_.path_timeout + kSecond;
  for (State& state : states_) state.refused = false;
  DialAll(now);
}

bool PathDialer::Want(FlowId flow, TimePoint now) {
  const size_t path = PlaceOf(flow.path);
  if (!calls_first_ || path == config_.paths.size()) return false;
  if (Find(flow) != nullptr) return true;
  LearnRtt();
  calls_.push_back(std::make_unique<Call>(*this, path, flow.flow));
  Dial(*calls_.back(), now);
  return true;
}

void PathDialer::Spare(FlowId flow) {
  if (const Call* call = Find(flow)) Take(*call);
}

bool PathDialer::Dialing(uint16_t path) const {
  return std::any_of(calls_.begin(), calls_.end(), [&](const auto& call) {
    return call->dialing() && config_.paths[call->path].number == path;
  });
}

void PathDialer::Stop(uint16_t path) {
  std::erase_if(calls_, [&](const auto& call) {
    return config_.paths[call->path].number == path;
  });
}

void PathDialer::Accepted(uint16_t path, TimePoint now) {
  NoteOpen(PlaceOf(path), now);
}

void PathDialer::DialAll(TimePoint now) {
  LearnRtt();
  calls_.clear();
  for (size_t path = 0; path < config_.paths.size(); ++path) {
    for (uint16_t flow = 0; flow < config_.flows; ++flow) {
      calls_.push_back(std::make_unique<Call>(*this, path, flow));
      Dial(*calls_.back(), now);
    }
  }
}

void PathDialer::Dial(Call& call, TimePoint now) {
  const Path& path = config_.paths[call.path];
  TcpConnector::Config config = config_.call;
  config.addresses = path.to;
  config.source = path.from;
  config.hello.path = path.number;
  config.hello.flows =
      std::max(config_.flows, static_cast<uint16_t>(call.flow + 1));
  config.first_flow = call.flow;
  config.flow_count = 1;
  config.refusal_is_final = cut_;
  config.deadline = deadline_;
  // With the round trip known there is no need to wait for what does not come.
  call.in_haste = rtt_ > 0;
  if (call.in_haste) {
    config.attempt_timeout =
        std::max(config_.least_attempt, kRoundTripsPerAttempt * rtt_);
    config.first_pause = config_.first_pause;
    config.longest_pause = config_.longest_pause;
  }
  if (connection_.connected()) {
    config.deadline =
        now + std::max(config_.shortest_round,
                       kAttemptsPerRound * config.attempt_timeout);
  }
  call.connector.reset();
  call.again_at = kNever;
  call.connector.emplace(engine(), std::move(config), call, log_);
}

// May end with `call` destroyed.
void PathDialer::Opened(const Call& call, UniqueFd fd, const Hello& theirs,
                        TimePoint now) {
  const std::unique_ptr<Call> done = Take(call);
  const Path& path = config_.paths[done->path];
  NoteOpen(done->path, now);
  taker_.TakeFlow(FlowId{path.number, done->flow}, path.info, std::move(fd),
                  theirs, now);
}

void PathDialer::NoteOpen(size_t path, TimePoint now) {
  if (!connection_.connected()) {
    cut_ = false;
    hurry_at_ = now + config_.grace;
    for (State& state : states_) state.refused = false;
    Schedule();
  }
  if (path == config_.paths.size()) return;
  State& state = states_[path];
  if (state.told) {
    log_.Write(LogLevel::kInfo, "path %s to %s is open",
               config_.paths[path].info.name.c_str(),
               connection_.peer().c_str());
  }
  state = State();
  state.was_open = true;
}

void PathDialer::Failed(Call& call, const Status& why, TimePoint now) {
  call.connector.reset();
  if (!connection_.status().ok()) {
    calls_.clear();
    return;
  }
  NoteFailure(call.path, why);
  call.again_at = NextTry(call.path, why, now);
  Schedule();
  if (IsHopeless(now)) {
    const Status summary = Summary();
    calls_.clear();
    connection_.Break(summary);
  }
}

void PathDialer::NoteFailure(size_t path, const Status& why) {
  State& state = states_[path];
  state.refused = why.code() != StatusCode::kTimedOut;
  state.why = why.text();
  if (!connection_.connected() || std::exchange(state.told, true)) return;
  const bool expected = config_.paths[path].guessed && !state.was_open;
  log_.Write(expected ? LogLevel::kInfo : LogLevel::kWarn,
             "path %s to %s cannot be opened, the others go on: %s",
             config_.paths[path].info.name.c_str(), connection_.peer().c_str(),
             why.text().c_str());
}

TimePoint PathDialer::NextTry(size_t path, const Status& why,
                              TimePoint now) const {
  if (IsFinal(why)) return now + config_.pause_if_final;
  if (!connection_.connected() && now >= deadline_) return kNever;
  const bool doubtful = config_.paths[path].guessed && !states_[path].was_open;
  return now + (doubtful ? config_.pause_if_guessed : config_.longest_pause);
}

// Is there no flow, and will there be none?
bool PathDialer::IsHopeless(TimePoint now) const {
  if (connection_.connected()) return false;
  // A path that was open shows best whether there is anybody: others may never
  // have led there.
  const bool any_was_open =
      std::any_of(states_.begin(), states_.end(),
                  [](const State& state) { return state.was_open; });
  const bool all_refuse = std::all_of(
      states_.begin(), states_.end(), [any_was_open](const State& state) {
        return state.refused || (any_was_open && !state.was_open);
      });
  const bool all_idle =
      std::none_of(calls_.begin(), calls_.end(),
                   [](const auto& call) { return call->dialing(); });
  return all_refuse || (now >= deadline_ && all_idle);
}

Status PathDialer::Summary() const {
  std::string text;
  for (const State& state : states_) {
    if (!text.empty() && !state.why.empty()) text += "; ";
    text += state.why;
  }
  return {StatusCode::kUnreachable, text, FaultScope::kConnection};
}

std::unique_ptr<PathDialer::Call> PathDialer::Take(const Call& call) {
  const auto at =
      std::find_if(calls_.begin(), calls_.end(),
                   [&call](const auto& own) { return own.get() == &call; });
  std::unique_ptr<Call> taken = std::move(*at);
  calls_.erase(at);
  return taken;
}

PathDialer::Call* PathDialer::Find(FlowId flow) const {
  const auto at =
      std::find_if(calls_.begin(), calls_.end(), [&](const auto& call) {
        return call->flow == flow.flow &&
               config_.paths[call->path].number == flow.path;
      });
  return at == calls_.end() ? nullptr : at->get();
}

// Its place in the configuration; the number of paths if it is none of ours.
size_t PathDialer::PlaceOf(uint16_t path) const {
  const auto at =
      std::find_if(config_.paths.begin(), config_.paths.end(),
                   [path](const Path& own) { return own.number == path; });
  return static_cast<size_t>(at - config_.paths.begin());
}

void PathDialer::LearnRtt() {
  const Duration rtt = connection_.Counters().transport.rtt;
  if (rtt > 0) rtt_ = rtt;
}

void PathDialer::Poll(uint32_t, TimePoint now) {
  if (!connection_.status().ok()) {
    calls_.clear();
    return;
  }
  LearnRtt();
  const bool hurry = now >= hurry_at_;
  if (hurry) hurry_at_ = kNever;
  for (const std::unique_ptr<Call>& call : calls_) {
    const bool slow = call->dialing() && !call->in_haste;
    if (now >= call->again_at || (hurry && slow)) Dial(*call, now);
  }
  Schedule();
}

void PathDialer::Schedule() {
  TimePoint next = hurry_at_;
  for (const std::unique_ptr<Call>& call : calls_) {
    next = std::min(next, call->again_at);
  }
  SetDeadline(next);
}

}  // namespace longhaul
