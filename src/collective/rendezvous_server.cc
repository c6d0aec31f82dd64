#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <deque>
#include <map>
#include <set>
#include <utility>

#include "base/random.h"
#include "base/text.h"
#include "base/unique_fd.h"
#include "collective/rendezvous.h"
#include "collective/rendezvous_frame.h"
#include "collective/rendezvous_store.h"
#include "transport/tcp/tcp_socket.h"

namespace longhaul {
namespace {

constexpr size_t kMaxJoin = kMaxRendezvousBlob + kMaxRendezvousKey + 64;
constexpr Duration kPauseAfterShortage = 100 * kMillisecond;
constexpr int kAcceptsPerTurn = 64;

class Server;

/// A listening socket.
class Port final : public Pollable {
 public:
  Port(Engine& engine, Server& server, UniqueFd fd)
      : Pollable(engine), server_(server), fd_(std::move(fd)) {}
  ~Port() override { engine().Unwatch(fd_.get()); }
  int fd() const { return fd_.get(); }
  void Poll(uint32_t events, TimePoint now) override;

 private:
  Server& server_;
  UniqueFd fd_;
};

/// One connection, from accept to its end.
class Visitor final : public Pollable {
 public:
  Visitor(Engine& engine, Server& server, uint64_t id, UniqueFd fd)
      : Pollable(engine),
        server_(server),
        id_(id),
        fd_(std::move(fd)),
        from_(PeerAddress(fd_.get()).ToString()),
        reader_(kMaxJoin) {}
  ~Visitor() override { engine().Unwatch(fd_.get()); }

  uint64_t id() const { return id_; }
  int fd() const { return fd_.get(); }
  const std::string& from() const { return from_; }
  /// Everything it was to be told is written, and nothing follows.
  bool served() const { return last_ && outgoing_.empty(); }

  void SetPatience(TimePoint until) {
    patience_ = until;
    SetDeadline(until);
  }
  /// Queues it; a notice gives way to what is queued already.
  void Say(RendezvousBytes message, bool last);
  void Poll(uint32_t events, TimePoint now) override;

 private:
  enum class Read : uint8_t { kBlocked, kEnded, kMessage };
  Read TakeBytes();
  bool Write();
  void GiveUp();

  struct Outgoing {
    RendezvousBytes message;
    SipTag proof;
  };

  Server& server_;
  const uint64_t id_;
  UniqueFd fd_;
  const std::string from_;
  RendezvousReader reader_;
  bool joined_ = false;  // or at least said so
  SipTag join_proof_{};
  std::deque<Outgoing> outgoing_;
  size_t written_ = 0;  // of the first
  bool last_ = false;
  TimePoint patience_ = kNever;
};

class Server final : public RendezvousServer,
                     private RendezvousMailer,
                     private Pollable {
 public:
  Server(Engine& engine, Config config, const RendezvousStore::Config& store,
         Logger& log)
      : Pollable(engine),
        config_(std::move(config)),
        log_(log),
        store_(store, *this) {}

  Status Listen() {
    for (const Address& address : config_.addresses) {
      Result<UniqueFd> fd = ListenTcp(address, {}, {});
      if (!fd.ok()) {
        return {StatusCode::kUnreachable,
                fd.status().text() +
                    "; is another job using this LONGHAUL_RENDEZVOUS?",
                FaultScope::kCommunicator};
      }
      addresses_.push_back(LocalAddress(fd->get()));
      ports_.push_back(
          std::make_unique<Port>(engine(), *this, std::move(fd).value()));
      Status watched = engine().Watch(ports_.back()->fd(), *ports_.back());
      if (!watched.ok()) return watched;
    }
    Wake();
    return {};
  }

  const std::vector<Address>& addresses() const override { return addresses_; }
  bool Drained() const override { return store_.Drained(); }
  size_t clients() const override { return visitors_.size(); }
  size_t keys() const override { return store_.keys(); }

  const Config& config() const { return config_; }
  Logger& log() { return log_; }

  void Admit(UniqueFd fd, TimePoint now);
  void Join(Visitor& visitor, const RendezvousReader& reader, TimePoint now);
  void Leave(Visitor& visitor);
  void Ignore(Visitor& visitor, const char* kind, const char* what);

 private:
  // The store's tick.
  void Poll(uint32_t, TimePoint now) override {
    store_.Tick(now);
    SetDeadline(now + std::max<Duration>(config_.notice_interval / 5, 1));
  }
  void Deliver(uint64_t client, RendezvousBytes message, bool last) override {
    const auto at = visitors_.find(client);
    if (at != visitors_.end()) at->second->Say(std::move(message), last);
  }
  void Replaced(uint64_t client) override { visitors_.erase(client); }
  Status Check(const Visitor& visitor, const JoinMessage& join,
               const RendezvousReader& reader) const;
  void Refuse(Visitor& visitor, const Status& why);

  const Config config_;
  Logger& log_;
  RendezvousStore store_;
  std::vector<Address> addresses_;
  std::vector<std::unique_ptr<Port>> ports_;
  std::map<uint64_t, std::unique_ptr<Visitor>> visitors_;
  std::set<uint64_t> strangers_;  // have not joined; oldest first
  uint64_t last_id_ = 0;
};

void Port::Poll(uint32_t, TimePoint now) {
  for (int i = 0; i < kAcceptsPerTurn; ++i) {
    UniqueFd fd(
        ::accept4(fd_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (fd.valid()) {
      server_.Admit(std::move(fd), now);
      continue;
    }
    if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS ||
        errno == ENOMEM) {
      // The connection stays in the backlog and no new event comes for it.
      server_.log().Once(LogLevel::kError, "rendezvous/shortage",
                         "the rendezvous cannot accept connections: %s; it "
                         "needs one descriptor per rank: raise the limit on "
                         "open files (ulimit -n)",
                         std::strerror(errno));
      SetDeadline(now + kPauseAfterShortage);
      return;
    }
    if (errno == EAGAIN || errno == EINVAL || errno == EBADF) return;
  }
  Wake();
}

Visitor::Read Visitor::TakeBytes() {
  for (;;) {
    const std::span<uint8_t> space = reader_.Space();
    const ssize_t got =
        ::recv(fd_.get(), space.data(), space.size(), MSG_DONTWAIT);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EAGAIN) return Read::kBlocked;
    if (got <= 0) return Read::kEnded;
    if (last_) {  // whatever it still says
      reader_.Next();
      continue;
    }
    // After its join a client has nothing more to say.
    if (joined_ || !reader_.Took(static_cast<size_t>(got)).ok()) {
      return Read::kEnded;
    }
    if (reader_.Complete()) return Read::kMessage;
  }
}

// Ends with *this destroyed wherever it leaves.
void Visitor::Poll(uint32_t, TimePoint now) {
  const Read read = TakeBytes();
  if (read == Read::kEnded) {
    GiveUp();
    return;
  }
  if (read == Read::kMessage) {
    joined_ = true;
    join_proof_ = reader_.proof();
    SetPatience(kNever);
    server_.Join(*this, reader_, now);
    reader_.Next();
    Wake();  // for what came behind
  }
  const bool served_before = served();
  if (!Write()) {
    server_.Leave(*this);
    return;
  }
  if (served() && !served_before) {
    ::shutdown(fd_.get(), SHUT_WR);
    SetPatience(now + server_.config().keep);  // for it to read all that
  } else if (now >= patience_) {
    GiveUp();
  }
}

void Visitor::GiveUp() {
  if (joined_ || last_) {
    server_.Leave(*this);
  } else {
    server_.Ignore(*this, "stranger", "does not speak to the rendezvous");
  }
}

void Visitor::Say(RendezvousBytes message, bool last) {
  if (last_ || (!last && !outgoing_.empty())) return;
  const SipTag proof =
      ProofOfMessage(server_.config().key, *message, join_proof_);
  outgoing_.push_back({std::move(message), proof});
  last_ = last;
  Wake();
}

// False if the connection is gone.
bool Visitor::Write() {
  while (!outgoing_.empty()) {
    Outgoing& first = outgoing_.front();
    const size_t size = first.message->size();
    const size_t body = std::min(written_, size);
    const size_t tail = written_ - body;
    std::array<iovec, 2> parts = {
        iovec{const_cast<uint8_t*>(first.message->data()) + body, size - body},
        iovec{first.proof.data() + tail, first.proof.size() - tail}};
    msghdr header{};
    header.msg_iov = parts.data();
    header.msg_iovlen = parts.size();
    const ssize_t sent =
        ::sendmsg(fd_.get(), &header, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) return errno == EAGAIN;
    written_ += static_cast<size_t>(sent);
    if (written_ < size + first.proof.size()) continue;
    outgoing_.pop_front();
    written_ = 0;
  }
  return true;
}

void Server::Admit(UniqueFd fd, TimePoint now) {
  if (visitors_.size() >= config_.max_clients) {
    log_.Once(LogLevel::kError, "rendezvous/full",
              "the rendezvous serves %zu clients and takes no more",
              visitors_.size());
    return;
  }
  if (strangers_.size() >= config_.max_strangers) {
    Ignore(*visitors_.at(*strangers_.begin()), "crowd",
           "made room for newer connections");
  }
  const uint64_t id = ++last_id_;
  TcpSettings settings;
  settings.keepalive = settings.user_timeout = 30 * kSecond;
  const Status configured =
      ConfigureFlow(fd.get(), settings, LinkClass::kSameSite);
  auto visitor = std::make_unique<Visitor>(engine(), *this, id, std::move(fd));
  const Status watched = engine().Watch(visitor->fd(), *visitor);
  if (!configured.ok() || !watched.ok()) {
    log_.Once(LogLevel::kError, "rendezvous/shortage", "%s",
              (configured.ok() ? watched : configured).text().c_str());
    return;
  }
  visitor->SetPatience(now + config_.join_timeout);
  strangers_.insert(id);
  visitors_.emplace(id, std::move(visitor));
}

void Server::Join(Visitor& visitor, const RendezvousReader& reader,
                  TimePoint now) {
  strangers_.erase(visitor.id());
  if (reader.version() != kRendezvousVersion) {
    Refuse(visitor,
           {StatusCode::kUnsupported,
            Text("%s speaks rendezvous version %u, rank 0 speaks %u: install "
                 "the same longhaul everywhere",
                 visitor.from().c_str(), unsigned{reader.version()},
                 unsigned{kRendezvousVersion})});
    return;
  }
  Result<JoinMessage> join =
      reader.kind() == RendezvousKind::kJoin
          ? DecodeJoin(reader.payload())
          : Status(StatusCode::kCorrupt, "a message only servers send");
  if (!join.ok()) {
    Refuse(visitor, {join.status().code(),
                     visitor.from() + ": " + join.status().text()});
    return;
  }
  const Status fits = Check(visitor, *join, reader);
  if (!fits.ok()) {
    Refuse(visitor, fits);
    return;
  }
  log_.Write(LogLevel::kDebug, "rendezvous: rank %u of %u joins %s from %s",
             join->rank, join->size, join->key.c_str(), visitor.from().c_str());
  store_.Join(visitor.id(), visitor.from(), *std::move(join), now);
}

Status Server::Check(const Visitor& visitor, const JoinMessage& join,
                     const RendezvousReader& reader) const {
  const char* why = nullptr;
  if (config_.key && !join.proved) {
    why = "has no LONGHAUL_SECRET_FILE, but rank 0 has";
  } else if (!config_.key && join.proved) {
    why = "has a LONGHAUL_SECRET_FILE, but rank 0 has none";
  } else if (!SameTag(reader.proof(),
                      ProofOfMessage(config_.key, reader.message(), {}))) {
    why = "has another secret in its LONGHAUL_SECRET_FILE than rank 0";
  }
  if (why == nullptr) return {};
  return {StatusCode::kInvalidArgument,
          Text("rank %u of %u (%s) %s", join.rank, join.size,
               visitor.from().c_str(), why)};
}

// Says so to the one, and to those who may wait for it in vain; it does not end
// their wait, since a stranger could do that.
void Server::Refuse(Visitor& visitor, const Status& why) {
  log_.Once(LogLevel::kWarn, why.text(), "rendezvous: %s", why.text().c_str());
  store_.Note(why.text());
  visitor.Say(std::make_shared<const std::vector<uint8_t>>(
                  EncodeMessage(ErrorMessage{why.code(), why.text()})),
              true);
}

void Server::Leave(Visitor& visitor) {
  const uint64_t id = visitor.id();
  strangers_.erase(id);
  store_.Leave(id, visitor.served());
  visitors_.erase(id);
}

void Server::Ignore(Visitor& visitor, const char* kind, const char* what) {
  log_.Once(LogLevel::kWarn, std::string("rendezvous/") + kind,
            "rendezvous: ignored %s, which %s; more of the same is not logged",
            visitor.from().c_str(), what);
  Leave(visitor);
}

}  // namespace

Result<std::unique_ptr<RendezvousServer>> RendezvousServer::Open(Engine& engine,
                                                                 Config config,
                                                                 Logger& log) {
  RendezvousStore::Config store;
  store.job = RandomU64();
  if (!config.key) FillRandom(store.secret);
  store.notice_interval = config.notice_interval;
  store.keep = config.keep;
  store.max_keys = config.max_keys;
  store.max_bytes = config.max_bytes;
  auto server = std::make_unique<Server>(engine, std::move(config), store, log);
  const Status listening = server->Listen();
  if (!listening.ok()) return listening;
  return std::unique_ptr<RendezvousServer>(std::move(server));
}

}  // namespace longhaul
