#include "collective/context_impl.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <climits>
#include <thread>

#include "base/address.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/random.h"
#include "base/text.h"
#include "topology/interfaces.h"
#include "transport/loopback_endpoint.h"
#include "transport/tcp/tcp_endpoint.h"

namespace longhaul {
namespace {

constexpr size_t kPoolLimit = size_t{16} << 30;
constexpr uint32_t kSiteChunk = 1 << 20;
constexpr uint32_t kWanChunk = 128 << 10;
constexpr uint64_t kSiteCredit = 8 << 20;
constexpr uint64_t kWanCredit = 32 << 20;
constexpr uint64_t kStreamReserve = 64 << 10;
constexpr uint64_t kFirstRetention = 16 << 20;
constexpr uint64_t kMostRetention = 64 << 20;
constexpr uint64_t kWarmUp = 256 << 20;
constexpr uint64_t kWanNotsentLowat = 512 << 10;
/// Flows where BBR may not be asked for: what one flow loses to its congestion
/// control, others make up for (docs/tuning.md).
constexpr uint16_t kFlowsWithoutBbr = 16;
constexpr Duration kPollPause = 200 * kMicrosecond;

}  // namespace

// The connection to one process, and who opens it.
class Context::Impl::Peer final : public FlowOpener, public FlowSource {
 public:
  Peer(Impl& owner, const ConnectionConfig& config, bool same_site_in)
      : connection(owner.engine_, owner.pool_, WithSource(config)),
        same_site(same_site_in),
        inbox(config.inbox),
        owner_(owner) {
    if (owner.pipes_ != nullptr && !same_site) {
      pipes_.emplace(owner.engine_, connection, *owner.pipes_);
    }
  }

  void Open(TcpConnector::Config config) {
    left_ = config.flow_count;
    any_ = false;
    connector_.emplace(owner_.engine_, std::move(config), *this, *owner_.log_);
  }

  /// Is a call of ours on its way?
  bool calling() const { return connector_.has_value() && left_ > 0; }
  /// The peer's own call is taken in place of ours.
  void StopCalling() {
    connector_.reset();
    left_ = 0;
  }

  void FlowOpened(uint16_t flow, UniqueFd fd, const Hello& theirs,
                  TimePoint now) override {
    any_ = true;
    --left_;
    owner_.AddFlow(*this, flow, std::move(fd), theirs, now);
  }

  void FlowFailed(uint16_t flow, const Status& why,
                  TimePoint /*now*/) override {
    --left_;
    if (any_ || left_ > 0) {
      owner_.log_->Write(LogLevel::kWarn, "flow %u to %s is missing: %s", flow,
                         connection.peer().c_str(), why.text().c_str());
      return;
    }
    connection.Break(
        Status(StatusCode::kUnreachable, why.text(), FaultScope::kConnection));
  }

  // Both sides call, where they know whom: a process that is no more is told
  // from a line that is cut by that its host refuses the call.
  void Reopen(const Status& why, TimePoint /*now*/) override {
    owner_.log_->Write(LogLevel::kWarn, "lost %s: %s; connecting again",
                       connection.peer().c_str(), why.text().c_str());
    if (card && !calling()) owner_.Call(*this, true);
  }
  bool Want(FlowId /*flow*/, TimePoint /*now*/) override { return false; }
  void Spare(FlowId /*flow*/) override {}

  Connection connection;
  const bool same_site;
  const InboxConfig inbox;
  std::optional<ProcessCard> card;  ///< if known: where to call it
  uint32_t last_pipe = 0;

 private:
  ConnectionConfig WithSource(ConnectionConfig config) {
    config.source = this;
    return config;
  }

  Impl& owner_;
  std::optional<PipeHub> pipes_;
  std::optional<TcpConnector> connector_;
  uint16_t left_ = 0;
  bool any_ = false;
};

Context::Impl::Impl(Options options)
    : options_(std::move(options)), host_(HostName()), pool_(kPoolLimit) {}

Result<std::unique_ptr<Context::Impl>> Context::Impl::Create(Options options,
                                                             bool assisted) {
  std::unique_ptr<Impl> impl(new Impl(std::move(options)));
  Status opened = impl->Open(assisted);
  if (!opened.ok()) return opened;
  return impl;
}

Context::Impl::~Impl() { Close(); }

Status Context::Impl::Open(bool assisted) {
  Result<std::unique_ptr<Logger>> log = Logger::Make(options_);
  if (!log.ok()) return log.status();
  log_ = std::move(log).value();
  for (const std::string& warning : options_.warnings) {
    log_->Write(LogLevel::kWarn, "%s", warning.c_str());
  }
  if (!options_.topology.empty()) {
    Result<TopologyFile> file = TopologyFile::Read(options_.topology);
    if (!file.ok()) return file.status();
    topology_file_ = std::move(file).value();
  }
  if (!options_.secret_file.empty()) {
    Result<SipKey> key = ReadSecretFile(options_.secret_file);
    if (!key.ok()) return key.status();
    secret_file_key_ = *key;
  }
  incarnation_ = RandomU64() | 1;  // 0 is nobody
  Status probed = ProbeCongestionControl();
  if (!probed.ok()) return probed;
  Status opened = engine_.Open();
  if (!opened.ok()) return opened;
  Status started = engine_.Start(options_.busy_poll.count(), assisted);
  if (!started.ok()) return started;
  return OpenListener();
}

Status Context::Impl::ProbeCongestionControl() {
  const UniqueFd probe(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const Result<CongestionChoice> choice =
      SetCongestionControl(probe.get(), options_.wan_cc);
  if (!choice.ok()) return choice.status();
  bbr_ = choice->name == "bbr";
  if (!choice->as_wanted) {
    log_->Write(LogLevel::kWarn,
                "flows between sites use %s: BBR is not permitted here; "
                "opening %u flows per peer instead. To permit it: modprobe "
                "tcp_bbr; sysctl -w net.ipv4.tcp_allowed_congestion_control="
                "\"%s bbr\"",
                choice->name.c_str(), WanFlows({}), choice->name.c_str());
  } else {
    log_->Write(LogLevel::kInfo, "flows between sites use %s",
                choice->name.c_str());
  }
  return {};
}

Status Context::Impl::OpenListener() {
  Result<std::vector<Interface>> all = ListInterfaces();
  if (!all.ok()) return all.status();
  Result<std::vector<Interface>> chosen =
      ChooseInterfaces(*all, options_.interfaces, options_.address_family);
  if (!chosen.ok()) return chosen.status();
  TcpListener::Config config;
  for (const Interface& interface : *chosen) {
    config.addresses.push_back(interface.address);
  }
  config.ports = options_.port_range;
  config.settings = FlowSettings();
  Status status;
  engine_.Call([&](TimePoint) {
    Result<std::unique_ptr<TcpListener>> listener =
        TcpListener::Open(engine_, std::move(config), *this, *log_);
    if (listener.ok()) {
      listener_ = std::move(listener).value();
    } else {
      status = listener.status();
    }
  });
  return status;
}

TcpSettings Context::Impl::FlowSettings() const {
  TcpSettings settings;
  settings.congestion_control = options_.wan_cc;
  settings.buffer = options_.socket_buffer;
  settings.user_timeout = options_.timeout.count();
  return settings;
}

uint16_t Context::Impl::WanFlows(const ProcessCard& card) const {
  if (options_.wan_flows) return static_cast<uint16_t>(*options_.wan_flows);
  const bool both = bbr_ && (card.capabilities & kBbr) != 0;
  return both ? 1 : kFlowsWithoutBbr;
}

// --- Joining

ProcessCard Context::Impl::Card(const std::string& site,
                                bool wan_access) const {
  ProcessCard own;
  own.capabilities = bbr_ ? kBbr : 0;
  own.incarnation = incarnation_;
  own.pid = static_cast<uint32_t>(::getpid());
  if (topology_file_) own.topology = topology_file_->Fingerprint();
  own.door = door_;
  own.wan_access = wan_access;
  own.host = host_;
  own.site = site;
  own.addresses = listener_->addresses();
  return own;
}

std::string Context::Impl::NextKey(const std::string& name, Rank rank) {
  const std::lock_guard lock(join_mutex_);
  return Text("%s#%d", name.c_str(), joins_[{name, rank}]++);
}

Result<Context::Impl::Joined> Context::Impl::Join(const std::string& name,
                                                  Rank rank, Rank size,
                                                  const std::string& site,
                                                  bool wan_access) {
  // Counted on every rank alike, also where it goes no further than this.
  const std::string key = NextKey(name, rank);
  const ProcessCard own = Card(site, wan_access);
  // Alone it sends no message, and needs no id of its own.
  if (size == 1) return Joined{0, {own}};
  if (options_.rendezvous.empty()) {
    return Status(StatusCode::kInvalidArgument,
                  "where do the ranks meet? Set LONGHAUL_RENDEZVOUS=host:port "
                  "(a free port on rank 0's host), or MASTER_ADDR and "
                  "MASTER_PORT");
  }
  Result<HostPort> at = SplitHostPort(options_.rendezvous);
  if (!at.ok()) return at.status();
  if (rank == 0) {
    const Status serving = ServeRendezvous(*at);
    if (!serving.ok()) return serving;
  }
  const std::vector<uint8_t> blob = EncodeCard(own);
  RendezvousJoin join;
  join.server = *at;
  join.family = options_.address_family;
  join.key = key;
  join.rank = static_cast<uint32_t>(rank);
  join.size = static_cast<uint32_t>(size);
  join.incarnation = incarnation_;
  join.blob = blob;
  join.secret = secret_file_key_;
  join.timeout = options_.connect_timeout.count();
  Result<RendezvousTable> table = RendezvousAllGather(join, *log_);
  if (!table.ok()) return table.status();
  Joined joined{table->number, {}};
  for (const std::vector<uint8_t>& bytes : table->blobs) {
    Result<ProcessCard> card = DecodeCard(bytes);
    if (!card.ok()) return card.status();
    joined.cards.push_back(std::move(card).value());
  }
  Status entered;
  engine_.Call([&](TimePoint) {
    for (const ProcessCard& card : joined.cards) {
      known_[card.incarnation] = card;
    }
    entered = EnterJob(table->job, table->secret);
  });
  if (!entered.ok()) return entered;
  return joined;
}

Status Context::Impl::ServeRendezvous(const HostPort& at) {
  Status status;
  engine_.Call([&](TimePoint) {
    // Once in a job, its store is there already, wherever it is.
    if (server_ != nullptr || policy_.job != 0) return;
    RendezvousServer::Config config;
    config.addresses = {Address::Any(options_.address_family, at.port)};
    config.key = secret_file_key_;
    Result<std::unique_ptr<RendezvousServer>> server =
        RendezvousServer::Open(engine_, std::move(config), *log_);
    if (server.ok()) {
      server_ = std::move(server).value();
    } else {
      status = server.status();
    }
  });
  return status;
}

Status Context::Impl::EnterJob(uint64_t job, const SipKey& secret) {
  if (policy_.job == job) return {};
  if (policy_.job != 0) {
    return {StatusCode::kInvalidArgument,
            "this process is part of another job already: one context cannot "
            "use two rendezvous"};
  }
  policy_.job = job;
  policy_.secret = secret;
  policy_.self = incarnation_;
  return listener_->Start(policy_);
}

// --- Connections

ConnectionConfig Context::Impl::ConfigFor(uint64_t incarnation, uint64_t line,
                                          const std::string& peer,
                                          bool same_site) {
  ConnectionConfig config;
  config.peer = peer;
  config.timeout = options_.timeout.count();
  config.outbox.retain = config.inbox.acknowledge = !same_site;
  config.inbox.stream_reserve = kStreamReserve;
  if (incarnation != incarnation_) config.board = &board_;
  if (same_site) {
    config.outbox.chunk_size = kSiteChunk;
    config.inbox.shared_credit = kSiteCredit;
    return config;
  }
  config.outbox.chunk_size = static_cast<uint32_t>(
      std::min<uint64_t>(options_.chunk_size.value_or(kWanChunk), kMaxPayload));
  config.outbox.retention_limit =
      options_.wan_retention.value_or(kFirstRetention);
  config.outbox.retention_most =
      options_.wan_retention.value_or(kMostRetention);
  config.inbox.shared_credit = options_.wan_pool.value_or(kWanCredit);
  config.reopen = options_.timeout.count();
  config.warm_up_bytes = options_.warmup.value_or(kWarmUp);
  config.pace = options_.wan_pace;
  config.line = line;
  return config;
}

// How to call the process of a card. What of the hello concerns credit is the
// caller's to say.
TcpConnector::Config Context::Impl::CallTo(const ProcessCard& card,
                                           const std::string& peer,
                                           LinkClass link) const {
  TcpConnector::Config config;
  config.peer = peer;
  config.addresses = card.addresses;
  config.settings = FlowSettings();
  config.policy = PolicyFor(card);
  config.policy.peer = card.incarnation;
  config.hello.link = link;
  config.hello.flows = config.flow_count;
  config.hello.subject = line_;
  config.deadline = Now() + options_.connect_timeout.count();
  return config;
}

Connection& Context::Impl::ConnectionTo(const ProcessCard& card,
                                        const std::string& peer, bool same_site,
                                        uint64_t line) {
  std::unique_ptr<Peer>& entry = peers_[card.incarnation];
  if (entry != nullptr) return entry->connection;
  const bool self = card.incarnation == incarnation_;
  entry = std::make_unique<Peer>(
      *this, ConfigFor(card.incarnation, line, peer, same_site || self),
      same_site || self);
  if (self) {
    entry->connection.Welcome(kSiteCredit, kStreamReserve);
    entry->connection.AddFlow(
        std::make_unique<LoopbackEndpoint>(engine_, entry->connection), Now());
    return entry->connection;
  }
  entry->card = card;
  // Of two processes that know each other the lower name calls, so that they do
  // not both. Who has a door may not know us: calls may cross then, and Accept
  // sorts it out.
  if (incarnation_ < card.incarnation || card.door.job != 0) {
    Call(*entry, false);
  }
  return entry->connection;
}

void Context::Impl::Call(Peer& peer, bool again) {
  const ProcessCard& card = *peer.card;
  TcpConnector::Config config =
      CallTo(card, peer.connection.peer(),
             peer.same_site ? LinkClass::kSameSite : LinkClass::kOtherSite);
  config.flow_count = peer.same_site ? 1 : WanFlows(card);
  config.hello.flows = config.flow_count;
  config.hello.shared_credit = peer.inbox.shared_credit;
  config.hello.stream_reserve =
      static_cast<uint32_t>(peer.inbox.stream_reserve);
  if (again) {
    config.deadline = Now() + options_.timeout.count();
    config.refusal_is_final = true;
  }
  peer.Open(std::move(config));
}

void Context::Impl::Learn(const ProcessCard& card) {
  const auto peer = peers_.find(card.incarnation);
  if (peer != peers_.end() && !peer->second->card) peer->second->card = card;
}

uint32_t Context::Impl::NextPipe(uint64_t incarnation) {
  return ++peers_.at(incarnation)->last_pipe;
}

const Connection* Context::Impl::Find(uint64_t incarnation) const {
  const auto at = peers_.find(incarnation);
  return at == peers_.end() ? nullptr : &at->second->connection;
}

void Context::Impl::AddFlow(Peer& peer, uint16_t flow, UniqueFd fd,
                            const Hello& theirs, TimePoint now) {
  if (!peer.same_site) {
    // Little unsent in the kernel: acknowledgements and what is urgent need not
    // wait behind it, and a lost flow strands less.
    const uint64_t wanted = options_.notsent_lowat.value_or(kWanNotsentLowat);
    const int lowat = static_cast<int>(std::min<uint64_t>(wanted, INT_MAX));
    ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NOTSENT_LOWAT, &lowat,
                 sizeof lowat);
  }
  auto endpoint = std::make_unique<TcpEndpoint>(engine_, std::move(fd));
  TcpEndpoint& raw = *endpoint;
  peer.connection.Welcome(theirs.shared_credit, theirs.stream_reserve);
  peer.connection.AddFlow(std::move(endpoint), now, FlowId{0, flow});
  const Status watched = raw.SetSink(peer.connection);
  if (!watched.ok()) peer.connection.Break(watched);
}

Result<Hello> Context::Impl::Accept(const Hello& theirs, TimePoint /*now*/) {
  if ((theirs.flags & Hello::kPrivate) != 0) return AcceptPrivate(theirs);
  const auto card = known_.find(theirs.from);
  if (card == known_.end() && pipes_ == nullptr) {
    // It is ahead of us: its communicator is not known here yet.
    return Status(StatusCode::kExhausted, "not known yet");
  }
  const bool same_site = theirs.link == LinkClass::kSameSite;
  std::unique_ptr<Peer>& entry = peers_[theirs.from];
  const std::string peer =
      card == known_.end()
          ? Text("process %016llx",
                 static_cast<unsigned long long>(theirs.from))
          : Text("%s:%u", card->second.host.c_str(), card->second.pid);
  const ConnectionConfig own =
      ConfigFor(theirs.from, theirs.subject, peer, same_site);
  if (entry == nullptr) {
    entry = std::make_unique<Peer>(*this, own, same_site);
    if (card != known_.end()) entry->card = card->second;
  }
  if (entry->same_site != same_site || !entry->connection.status().ok()) {
    return Status(StatusCode::kInvalidArgument,
                  "sites are not the same on both sides, or the connection "
                  "is broken");
  }
  if (entry->calling()) {
    // Both call: the lower name's call is the one that counts.
    if (incarnation_ < theirs.from) {
      return Status(StatusCode::kExhausted, "our own call is on its way");
    }
    entry->StopCalling();
  }
  Hello answer;
  answer.shared_credit = own.inbox.shared_credit;
  answer.stream_reserve = static_cast<uint32_t>(own.inbox.stream_reserve);
  return answer;
}

void Context::Impl::Accepted(UniqueFd flow, const Hello& theirs,
                             TimePoint now) {
  if ((theirs.flags & Hello::kPrivate) != 0) {
    takers_.at(theirs.subject)->Take(std::move(flow), theirs, now);
    return;
  }
  AddFlow(*peers_.at(theirs.from), theirs.flow, std::move(flow), theirs, now);
}

// --- The end

void Context::Impl::Close() {
  if (log_ == nullptr) return;
  const TimePoint deadline =
      Now() + std::max<Duration>(options_.timeout.count(), kSecond);
  engine_.Call([this](TimePoint now) {
    for (const auto& [incarnation, peer] : peers_) {
      peer->connection.StartClose(now);
    }
  });
  while (!CloseStep(deadline)) {
    std::this_thread::sleep_for(std::chrono::nanoseconds(kPollPause));
  }
  engine_.Call([this](TimePoint) {
    peers_.clear();
    listener_.reset();
    server_.reset();
  });
  engine_.Stop();
}

bool Context::Impl::CloseStep(TimePoint deadline) {
  bool done = true;
  engine_.Call([&](TimePoint now) {
    for (const auto& [incarnation, peer] : peers_) {
      done = done && peer->connection.closed();
    }
    done = done && (server_ == nullptr || server_->Drained());
    done = done || now >= deadline;
  });
  return done;
}

}  // namespace longhaul
