#include "transport/tcp/tcp_connector.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "base/random.h"
#include "base/text.h"

namespace longhaul {
namespace {

// Will trying again not help?
bool IsFinal(const Status& status) {
  return status.code() == StatusCode::kInvalidArgument ||
         status.code() == StatusCode::kUnsupported;
}

// Is the peer's host there, but not the process?
bool WasRefused(const Status& status) {
  return status.code() == StatusCode::kUnreachable &&
         status.scope() == FaultScope::kConnection;
}

Status Unreachable(std::string text) {
  return {StatusCode::kUnreachable, std::move(text), FaultScope::kPath};
}

}  // namespace

/// One flow on its way: rounds over the addresses until one answers.
class TcpConnector::Flow final : public Pollable {
 public:
  Flow(TcpConnector& owner, uint16_t index);
  void Poll(uint32_t events, TimePoint now) override;

  TcpConnector& owner() const { return owner_; }
  uint16_t index() const { return index_; }

  void Connected(Attempt& attempt, TimePoint now);
  void Failed(const Attempt& attempt, const Status& why, TimePoint now);
  void Answered(const Attempt& attempt, const Hello& theirs, TimePoint now);

 private:
  struct Target {
    bool tried = false;  // in this round
    Status last;         // what it said last
  };

  const Config& config() const { return owner_.config_; }
  std::unique_ptr<Attempt> Take(const Attempt& attempt);
  size_t NextTarget() const;
  void TryNext(TimePoint now);
  void EndRound(TimePoint now);
  void AskNext(TimePoint now);
  void Schedule();
  void GiveUp(TimePoint now, StatusCode code, const char* why);
  std::string Summary() const;

  TcpConnector& owner_;
  const uint16_t index_;
  std::vector<Target> targets_;
  std::vector<std::unique_ptr<Attempt>> attempts_;
  Attempt* asking_ = nullptr;  // one of attempts_
  TimePoint next_try_ = 0;
  Duration pause_;
  bool over_ = false;  // the opener knows how it ended
};

/// One socket on its way to one address.
class TcpConnector::Attempt final : public Pollable {
 public:
  Attempt(Flow& flow, size_t target)
      : Pollable(flow.owner().engine_), flow_(flow), target_(target) {}
  ~Attempt() override {
    if (fd_.valid()) engine().Unwatch(fd_.get());
  }

  size_t target() const { return target_; }
  bool ready() const { return state_ == State::kReady; }
  UniqueFd TakeFd() {
    engine().Unwatch(fd_.get());
    return std::move(fd_);
  }

  Status Begin(TimePoint now);
  Status Ask(TimePoint now);
  void Poll(uint32_t events, TimePoint now) override;
  const char* Waiting() const;

 private:
  enum class State : uint8_t { kConnecting, kReady, kAsking };
  const Config& config() const { return flow_.owner().config_; }
  void SetPatience(TimePoint now) {
    patience_ = now + config().attempt_timeout;
    SetDeadline(patience_);
  }
  void PollConnect(TimePoint now);
  void PollAnswer(TimePoint now);
  Result<Hello> Check() const;

  Flow& flow_;
  const size_t target_;
  UniqueFd fd_;
  State state_ = State::kConnecting;
  TimePoint patience_ = kNever;
  Hello question_;
  HelloBytes bytes_;  // of the answer
  size_t have_ = 0;
};

Status TcpConnector::Attempt::Begin(TimePoint now) {
  const Address& to = config().addresses[target_];
  Result<UniqueFd> fd = OpenTcpSocket(to.family, config().settings);
  if (!fd.ok()) return Unreachable(fd.status().text());
  fd_ = std::move(fd).value();
  Status marked = MarkFlow(fd_.get(), config().settings, config().hello.link);
  if (!marked.ok()) return marked;
  if (config().source.family == to.family) {
    Status bound = BindSource(fd_.get(), config().source);
    if (!bound.ok()) return bound;
  }
  const Result<bool> begun = BeginConnect(fd_.get(), to);
  if (!begun.ok()) return begun.status();
  // Being writable is an event even for a connect that is done already.
  const Status watched = engine().Watch(fd_.get(), *this);
  if (!watched.ok()) return Unreachable(watched.text());
  SetPatience(now);
  return {};
}

Status TcpConnector::Attempt::Ask(TimePoint now) {
  Status configured =
      ConfigureFlow(fd_.get(), config().settings, config().hello.link);
  if (!configured.ok()) return configured;
  question_ = flow_.owner().Question(flow_.index());
  const HelloBytes bytes = EncodeHello(question_);
  // The socket is fresh: its buffer has room for more than this.
  if (::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) !=
      static_cast<ssize_t>(bytes.size())) {
    return Unreachable(std::strerror(errno));
  }
  state_ = State::kAsking;
  SetPatience(now);
  Wake();
  return {};
}

// Ends with *this destroyed wherever the flow is called.
void TcpConnector::Attempt::Poll(uint32_t, TimePoint now) {
  if (state_ == State::kConnecting) {
    PollConnect(now);
  } else if (state_ == State::kAsking) {
    PollAnswer(now);
  }
}

void TcpConnector::Attempt::PollConnect(TimePoint now) {
  const Status outcome = ConnectOutcome(fd_.get());
  if (!outcome.ok()) {
    flow_.Failed(*this, outcome, now);
  } else if (PeerAddress(fd_.get()).family != AddressFamily::kAuto) {
    state_ = State::kReady;
    SetDeadline(kNever);
    flow_.Connected(*this, now);
  } else if (now >= patience_) {
    flow_.Failed(*this, Unreachable(Waiting()), now);
  }
}

void TcpConnector::Attempt::PollAnswer(TimePoint now) {
  while (have_ < bytes_.size()) {
    const ssize_t got = ::recv(fd_.get(), bytes_.data() + have_,
                               bytes_.size() - have_, MSG_DONTWAIT);
    if (got > 0) {
      have_ += static_cast<size_t>(got);
      continue;
    }
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EAGAIN) {
      if (now >= patience_) flow_.Failed(*this, Unreachable(Waiting()), now);
      return;
    }
    const Status left =
        Unreachable(got == 0 ? "it closed the connection without an answer"
                             : Text("no answer: %s", std::strerror(errno)));
    flow_.Failed(*this, left, now);
    return;
  }
  const Result<Hello> answer = Check();
  if (answer.ok()) {
    flow_.Answered(*this, *answer, now);
  } else {
    flow_.Failed(*this, answer.status(), now);
  }
}

Result<Hello> TcpConnector::Attempt::Check() const {
  Result<Hello> answer = DecodeHello(bytes_);
  if (!answer.ok()) return Unreachable("what is there does not speak longhaul");
  const Status welcome = CheckAnswer(*answer, question_, config().policy);
  if (!welcome.ok()) return welcome;
  return answer;
}

const char* TcpConnector::Attempt::Waiting() const {
  return state_ == State::kAsking ? "connected, but no answer"
                                  : "no answer to connect";
}

TcpConnector::Flow::Flow(TcpConnector& owner, uint16_t index)
    : Pollable(owner.engine_),
      owner_(owner),
      index_(index),
      targets_(owner.config_.addresses.size()),
      pause_(owner.config_.first_pause) {
  Wake();
}

void TcpConnector::Flow::Poll(uint32_t, TimePoint now) {
  if (over_) return;
  if (targets_.empty()) {
    GiveUp(now, StatusCode::kInvalidArgument, "it has given no address");
  } else if (now >= config().deadline) {
    GiveUp(now, StatusCode::kTimedOut, "time is up");
  } else if (now >= next_try_) {
    TryNext(now);
  } else {
    Schedule();
  }
}

void TcpConnector::Flow::Schedule() {
  SetDeadline(std::min(config().deadline, next_try_));
}

// The untried target that comes first, from the preferred one on; the number
// of targets if there is none.
size_t TcpConnector::Flow::NextTarget() const {
  const size_t count = targets_.size();
  for (size_t i = 0; i < count; ++i) {
    const size_t target = i == 0                   ? owner_.preferred_
                          : i <= owner_.preferred_ ? i - 1
                                                   : i;
    if (!targets_[target].tried) return target;
  }
  return count;
}

// May end with *this destroyed.
void TcpConnector::Flow::TryNext(TimePoint now) {
  for (;;) {
    const size_t target = NextTarget();
    if (target == targets_.size()) break;
    targets_[target].tried = true;
    auto attempt = std::make_unique<Attempt>(*this, target);
    const Status begun = attempt->Begin(now);
    if (begun.ok()) {
      attempts_.push_back(std::move(attempt));
      next_try_ = now + config().stagger;
      Schedule();
      return;
    }
    targets_[target].last = begun;
  }
  next_try_ = kNever;
  if (attempts_.empty()) {
    EndRound(now);
  } else {
    Schedule();
  }
}

// Every address has failed: for good, or to be tried again after a pause.
void TcpConnector::Flow::EndRound(TimePoint now) {
  bool again = false;
  for (Target& target : targets_) {
    target.tried = IsFinal(target.last) ||
                   (config().refusal_is_final && WasRefused(target.last));
    again = again || !target.tried;
  }
  if (!again) {
    GiveUp(now, targets_.front().last.code(), "refused");
    return;
  }
  owner_.log_.Write(LogLevel::kDebug, "flow %u to %s not open yet:%s",
                    unsigned{index_}, config().peer.c_str(), Summary().c_str());
  next_try_ = now + pause_;
  pause_ = std::min(2 * pause_, config().longest_pause);
  Schedule();
}

std::unique_ptr<TcpConnector::Attempt> TcpConnector::Flow::Take(
    const Attempt& attempt) {
  const auto at = std::find_if(
      attempts_.begin(), attempts_.end(),
      [&attempt](const auto& other) { return other.get() == &attempt; });
  std::unique_ptr<Attempt> taken = std::move(*at);
  attempts_.erase(at);
  if (asking_ == taken.get()) asking_ = nullptr;
  return taken;
}

// One handshake at a time, so that the peer never sees a flow twice.
void TcpConnector::Flow::Connected(Attempt& attempt, TimePoint now) {
  if (asking_ != nullptr) return;
  asking_ = &attempt;
  const Status asked = attempt.Ask(now);
  if (!asked.ok()) Failed(attempt, asked, now);
}

void TcpConnector::Flow::Failed(const Attempt& attempt, const Status& why,
                                TimePoint now) {
  const std::unique_ptr<Attempt> failed = Take(attempt);
  targets_[failed->target()].last = why;
  if (asking_ == nullptr) {
    for (const std::unique_ptr<Attempt>& other : attempts_) {
      if (!other->ready()) continue;
      Connected(*other, now);
      return;
    }
  }
  TryNext(now);
}

void TcpConnector::Flow::Answered(const Attempt& attempt, const Hello& theirs,
                                  TimePoint now) {
  const std::unique_ptr<Attempt> winner = Take(attempt);
  owner_.preferred_ = winner->target();
  attempts_.clear();
  over_ = true;
  SetDeadline(kNever);
  // The opener may destroy the connector, and *this with it.
  owner_.opener_.FlowOpened(index_, winner->TakeFd(), theirs, now);
}

void TcpConnector::Flow::GiveUp(TimePoint now, StatusCode code,
                                const char* why) {
  const Status status(code,
                      Text("cannot open flow %u to %s: %s%s", unsigned{index_},
                           config().peer.c_str(), why, Summary().c_str()),
                      FaultScope::kConnection);
  asking_ = nullptr;
  attempts_.clear();
  over_ = true;
  SetDeadline(kNever);
  owner_.opener_.FlowFailed(index_, status, now);
}

std::string TcpConnector::Flow::Summary() const {
  std::string text;
  for (size_t i = 0; i < targets_.size(); ++i) {
    const char* says =
        targets_[i].last.ok() ? "not tried" : targets_[i].last.text().c_str();
    for (const std::unique_ptr<Attempt>& attempt : attempts_) {
      if (attempt->target() == i) says = attempt->Waiting();
    }
    text += Text("; %s: %s", config().addresses[i].ToString().c_str(), says);
  }
  return text;
}

TcpConnector::TcpConnector(Engine& engine, Config config, FlowOpener& opener,
                           Logger& log)
    : engine_(engine), config_(std::move(config)), opener_(opener), log_(log) {
  LH_CHECK(config_.policy.peer.has_value());
  for (uint16_t i = 0; i < config_.flow_count; ++i) {
    const auto index = static_cast<uint16_t>(config_.first_flow + i);
    flows_.push_back(std::make_unique<Flow>(*this, index));
  }
}

TcpConnector::~TcpConnector() = default;

Hello TcpConnector::Question(uint16_t flow) const {
  Hello question = config_.hello;
  question.version_min = config_.policy.version_min;
  question.version_max = config_.policy.version_max;
  question.flow = flow;
  question.verdict = HelloVerdict::kQuestion;
  question.job = config_.policy.job;
  question.from = config_.policy.self;
  question.to = *config_.policy.peer;
  question.nonce = RandomU64();
  question.proof = ProofOf(question, config_.policy.secret);
  return question;
}

}  // namespace longhaul
