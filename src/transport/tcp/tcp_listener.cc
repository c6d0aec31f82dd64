#include "transport/tcp/tcp_listener.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <span>
#include <utility>

#include "base/random.h"

namespace longhaul {
namespace {

constexpr Duration kPauseAfterShortage = 100 * kMillisecond;
constexpr int kAcceptsPerTurn = 64;

bool OutOfResources(int error) {
  return error == EMFILE || error == ENFILE || error == ENOBUFS ||
         error == ENOMEM;
}

bool PeerHasLeft(int fd) {
  char byte;
  return ::recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

}  // namespace

/// A listening socket.
class TcpListener::Port final : public Pollable {
 public:
  Port(TcpListener& owner, UniqueFd fd)
      : Pollable(owner.engine_), owner_(owner), fd_(std::move(fd)) {}
  ~Port() override { engine().Unwatch(fd_.get()); }

  int fd() const { return fd_.get(); }

  void Poll(uint32_t, TimePoint now) override {
    for (int i = 0; i < kAcceptsPerTurn; ++i) {
      UniqueFd fd(
          ::accept4(fd_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
      if (fd.valid()) {
        owner_.Admit(std::move(fd), now);
        continue;
      }
      if (OutOfResources(errno)) {
        // The connection stays in the backlog and no new event comes for it.
        owner_.log_.Once(LogLevel::kError, "listener/shortage",
                         "cannot accept connections: %s; raise the limit on "
                         "open files (ulimit -n)",
                         std::strerror(errno));
        SetDeadline(now + kPauseAfterShortage);
        return;
      }
      if (errno == EAGAIN || errno == EINVAL || errno == EBADF) return;
      // Anything else is the fate of one connection (accept(2)).
    }
    Wake();
  }

 private:
  TcpListener& owner_;
  UniqueFd fd_;
};

/// A connection that has not said its hello yet.
class TcpListener::HalfOpen final : public Pollable {
 public:
  HalfOpen(TcpListener& owner, UniqueFd fd)
      : Pollable(owner.engine_),
        owner_(owner),
        fd_(std::move(fd)),
        from_(PeerAddress(fd_.get()).ToString()) {}
  ~HalfOpen() override {
    if (fd_.valid()) engine().Unwatch(fd_.get());
  }

  int fd() const { return fd_.get(); }
  const std::string& from() const { return from_; }
  UniqueFd TakeFd() {
    engine().Unwatch(fd_.get());
    return std::move(fd_);
  }

  // Ends with *this destroyed wherever the owner is called.
  void Poll(uint32_t, TimePoint now) override {
    while (have_ < bytes_.size()) {
      const ssize_t got = ::recv(fd_.get(), bytes_.data() + have_,
                                 bytes_.size() - have_, MSG_DONTWAIT);
      if (got > 0) {
        have_ += static_cast<size_t>(got);
        if (MayBeHello(std::span(bytes_).first(have_))) continue;
        Drop("stranger", "does not speak longhaul");
        return;
      }
      if (got < 0 && errno == EINTR) continue;
      if (got < 0 && errno == EAGAIN) {
        if (now >= give_up_) Drop("slow", "said no hello in time");
        return;
      }
      Drop("left", "left without a hello");
      return;
    }
    owner_.Greet(*this, bytes_, now);
  }

  void Arm(TimePoint give_up) {
    give_up_ = give_up;
    SetDeadline(give_up);
  }

  void Drop(const char* kind, const char* what) {
    // Who calls at several addresses hangs up on those it does not need.
    const LogLevel level = have_ == 0 ? LogLevel::kInfo : LogLevel::kWarn;
    owner_.log_.Once(level, std::string("listener/") + kind,
                     "ignored %s, which %s; more of the same is not logged",
                     from_.c_str(), what);
    owner_.Take(*this);
  }

 private:
  TcpListener& owner_;
  UniqueFd fd_;
  const std::string from_;
  TimePoint give_up_ = kNever;
  HelloBytes bytes_;
  size_t have_ = 0;
};

TcpListener::TcpListener(Engine& engine, Config config, FlowAcceptor& acceptor,
                         Logger& log)
    : engine_(engine),
      config_(std::move(config)),
      acceptor_(acceptor),
      log_(log) {}

TcpListener::~TcpListener() = default;

Result<std::unique_ptr<TcpListener>> TcpListener::Open(Engine& engine,
                                                       Config config,
                                                       FlowAcceptor& acceptor,
                                                       Logger& log) {
  std::unique_ptr<TcpListener> self(
      new TcpListener(engine, std::move(config), acceptor, log));
  for (const Address& address : self->config_.addresses) {
    Result<UniqueFd> fd =
        ListenTcp(address, self->config_.ports, self->config_.settings);
    if (!fd.ok()) return fd.status();
    self->addresses_.push_back(LocalAddress(fd->get()));
    self->ports_.push_back(
        std::make_unique<Port>(*self, std::move(fd).value()));
  }
  if (self->ports_.empty()) {
    return Status(StatusCode::kInvalidArgument, "no address to listen on");
  }
  return self;
}

Status TcpListener::Start(const HelloPolicy& policy) {
  const bool first = !policy_;
  policy_ = policy;
  if (!first) return {};
  for (const std::unique_ptr<Port>& port : ports_) {
    Status status = engine_.Watch(port->fd(), *port);
    if (!status.ok()) return status;
  }
  return {};
}

void TcpListener::Admit(UniqueFd fd, TimePoint now) {
  if (half_open_.size() >= config_.max_half_open) {
    half_open_.front()->Drop("crowd", "made room for newer connections");
  }
  auto item = std::make_unique<HalfOpen>(*this, std::move(fd));
  const Status watched = engine_.Watch(item->fd(), *item);
  if (!watched.ok()) {
    log_.Once(LogLevel::kError, "listener/shortage", "%s",
              watched.text().c_str());
    return;
  }
  item->Arm(now + config_.hello_timeout);
  half_open_.push_back(std::move(item));
}

std::unique_ptr<TcpListener::HalfOpen> TcpListener::Take(HalfOpen& item) {
  const auto at = std::find_if(
      half_open_.begin(), half_open_.end(),
      [&item](const auto& candidate) { return candidate.get() == &item; });
  std::unique_ptr<HalfOpen> taken = std::move(*at);
  half_open_.erase(at);
  return taken;
}

void TcpListener::Greet(HalfOpen& from, const HelloBytes& bytes,
                        TimePoint now) {
  const std::unique_ptr<HalfOpen> item = Take(from);
  const Result<Hello> theirs = DecodeHello(bytes);
  if (!theirs.ok()) {
    log_.Once(LogLevel::kWarn, "listener/nonsense",
              "ignored %s: %s; more of the same is not logged",
              item->from().c_str(), theirs.status().text().c_str());
    return;
  }
  if (PeerHasLeft(item->fd())) return;  // it has found another way, or given up
  Hello answer;
  answer.verdict = Judge(*theirs, *policy_);
  if (answer.verdict == HelloVerdict::kWelcome) {
    answer = Ask(*theirs, item->from(), now);
  } else {
    const Status why = CheckHello(*theirs, *policy_);
    log_.Once(LogLevel::kWarn,
              std::string("listener/") +
                  std::to_string(static_cast<int>(answer.verdict)),
              "refused a flow from %s: %s; more of the same is not logged",
              item->from().c_str(), why.text().c_str());
  }
  if (!Answer(item->fd(), *theirs, answer)) return;
  if (answer.verdict != HelloVerdict::kWelcome) return;
  const Status configured =
      ConfigureFlow(item->fd(), config_.settings, theirs->link);
  if (!configured.ok()) {
    log_.Once(LogLevel::kWarn, "listener/settings", "flow from %s: %s",
              item->from().c_str(), configured.text().c_str());
  }
  acceptor_.Accepted(item->TakeFd(), *theirs, now);
}

Hello TcpListener::Ask(const Hello& theirs, const std::string& from,
                       TimePoint now) {
  Result<Hello> accepted = acceptor_.Accept(theirs, now);
  if (accepted.ok()) {
    accepted->verdict = HelloVerdict::kWelcome;
    return *std::move(accepted);
  }
  const bool busy = accepted.status().code() == StatusCode::kExhausted;
  log_.Write(LogLevel::kDebug, "refused flow %u from %s: %s",
             unsigned{theirs.flow}, from.c_str(),
             accepted.status().text().c_str());
  Hello refusal;
  refusal.verdict = busy ? HelloVerdict::kBusy : HelloVerdict::kRefused;
  return refusal;
}

bool TcpListener::Answer(int fd, const Hello& theirs, Hello answer) const {
  answer.version_min = policy_->version_min;
  answer.version_max = policy_->version_max;
  answer.flow = theirs.flow;
  answer.flows = theirs.flows;
  answer.link = theirs.link;
  answer.job = policy_->job;
  answer.from = policy_->self;
  answer.to = theirs.from;
  answer.nonce = RandomU64();
  answer.proof = ProofOf(answer, policy_->secret, theirs.proof);
  const HelloBytes bytes = EncodeHello(answer);
  // The socket is fresh: its buffer has room for more than this.
  return ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
         static_cast<ssize_t>(bytes.size());
}

}  // namespace longhaul
