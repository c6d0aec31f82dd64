// Which other processes a context is connected to, over which paths, and who
// calls.
#include <algorithm>
#include <utility>

#include "base/clock.h"
#include "base/text.h"
#include "collective/context_impl.h"
#include "transport/loopback_endpoint.h"

namespace longhaul {
namespace {

constexpr uint32_t kSiteChunk = 1 << 20;
constexpr uint32_t kWanChunk = 128 << 10;
constexpr uint64_t kSiteCredit = 8 << 20;
constexpr uint64_t kWanCredit = 32 << 20;
constexpr uint64_t kStreamReserve = 64 << 10;
constexpr uint64_t kFirstRetention = 16 << 20;
constexpr uint64_t kMostRetention = 64 << 20;
constexpr uint64_t kWarmUp = 256 << 20;
constexpr uint64_t kWanNotsentLowat = 512 << 10;

PathEnd EndOf(const ProcessCard& card) {
  return {card.incarnation, card.host, card.addresses, card.labels};
}

}  // namespace

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
  config.reopen = PathTimeout();
  config.warm_up_bytes = options_.warmup.value_or(kWarmUp);
  config.pace = options_.wan_pace;
  config.line = line;
  config.access = &access_;
  // One flow with BBR fills its line: more would only take from others.
  config.grow_flows = !options_.wan_flows && !bbr_;
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

PathEnd Context::Impl::OwnEnd() const {
  return {incarnation_, host_, listener_->addresses(), labels_};
}

// The paths to the process of a card in another site.
Result<std::vector<PathDialer::Path>> Context::Impl::PathsTo(
    const ProcessCard& card, const std::string& peer) const {
  std::vector<PathRule> rules = options_.paths;
  if (rules.empty() && topology_file_) {
    rules = topology_file_->PathRules(site_, card.site);
  }
  const Result<PathPlan> plan =
      PlanPaths(OwnEnd(), EndOf(card), rules, options_.wan_rate_limit);
  if (!plan.ok()) {
    return Status(
        plan.status().code(),
        Text("cannot reach %s: %s", peer.c_str(), plan.status().text().c_str()),
        FaultScope::kConnection);
  }
  if (!plan->unmet.empty()) {
    log_->Once(LogLevel::kWarn, "paths/" + plan->unmet,
               "there is no path %s to %s: one of the two has no such "
               "interface; more of the same is not logged",
               plan->unmet.c_str(), peer.c_str());
  }
  std::vector<PathDialer::Path> paths;
  for (const PlannedPath& path : plan->paths) {
    paths.push_back({path.number,
                     {path.remote},
                     path.local,
                     {path.name, path.rate_limit},
                     path.guessed});
  }
  return paths;
}

// Tells a peer where to call the process of a card.
Status Context::Impl::Introduce(Peer& peer, const ProcessCard& card) {
  const std::string& name = peer.connection().peer();
  PathDialer::Config config;
  config.call =
      CallTo(card, name,
             peer.same_site() ? LinkClass::kSameSite : LinkClass::kOtherSite);
  config.call.hello.shared_credit =
      peer.same_site() ? kSiteCredit : options_.wan_pool.value_or(kWanCredit);
  config.call.hello.stream_reserve = kStreamReserve;
  config.connect_timeout = options_.connect_timeout.count();
  config.path_timeout = PathTimeout();
  if (peer.same_site()) {
    config.paths.push_back({0, card.addresses, {}, {}, false});
  } else {
    config.flows = WanFlows(card);
    Result<std::vector<PathDialer::Path>> paths = PathsTo(card, name);
    if (!paths.ok()) return paths.status();
    config.paths = std::move(paths).value();
  }
  peer.Know(std::move(config));
  return {};
}

std::unique_ptr<Peer> Context::Impl::MakePeer(const ConnectionConfig& config,
                                              bool same_site) {
  return std::make_unique<Peer>(
      engine_, pool_, *log_,
      Peer::Config{config, same_site,
                   options_.notsent_lowat.value_or(kWanNotsentLowat),
                   same_site ? nullptr : pipes_});
}

Connection& Context::Impl::ConnectionTo(const ProcessCard& card,
                                        const std::string& peer, bool same_site,
                                        uint64_t line) {
  std::unique_ptr<Peer>& entry = peers_[card.incarnation];
  const bool self = card.incarnation == incarnation_;
  if (entry != nullptr) {
    if (!self) Learn(card);
    return entry->connection();
  }
  entry = MakePeer(ConfigFor(card.incarnation, line, peer, same_site || self),
                   same_site || self);
  Connection& connection = entry->connection();
  if (self) {
    connection.Welcome(kSiteCredit, kStreamReserve);
    connection.AddFlow(std::make_unique<LoopbackEndpoint>(engine_, connection),
                       Now());
    return connection;
  }
  const Status introduced = Introduce(*entry, card);
  if (!introduced.ok()) {
    connection.Break(introduced);
    return connection;
  }
  // Of two processes that know each other the lower name calls, so that they do
  // not both. Who has a door may not know us: calls may cross then, and Accept
  // sorts it out.
  if (incarnation_ < card.incarnation || card.door.job != 0) {
    entry->Call(Now());
  }
  return connection;
}

void Context::Impl::Learn(const ProcessCard& card) {
  const auto at = peers_.find(card.incarnation);
  if (at == peers_.end() || at->second->known()) return;
  const Status introduced = Introduce(*at->second, card);
  if (!introduced.ok()) {
    log_->Write(LogLevel::kInfo, "%s calls, but %s",
                at->second->connection().peer().c_str(),
                introduced.text().c_str());
  }
}

uint32_t Context::Impl::NextPipe(uint64_t incarnation) {
  return peers_.at(incarnation)->NextPipe();
}

const Connection* Context::Impl::Find(uint64_t incarnation) const {
  const auto at = peers_.find(incarnation);
  return at == peers_.end() ? nullptr : &at->second->connection();
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
    entry = MakePeer(own, same_site);
    if (card != known_.end()) Learn(card->second);
  }
  // Both may call: the lower name's call is the one that counts.
  const Status welcome = entry->Accept(theirs, incarnation_ < theirs.from);
  if (!welcome.ok()) return welcome;
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
  const PathInfo path = theirs.link == LinkClass::kSameSite
                            ? PathInfo{}
                            : PathOf(flow.get(), theirs.from);
  peers_.at(theirs.from)->Accepted(std::move(flow), theirs, path, now);
}

// What path a flow from that process is on.
PathInfo Context::Impl::PathOf(int fd, uint64_t incarnation) const {
  const Address local = LocalAddress(fd);
  const Address remote = PeerAddress(fd);
  const PathEnd own = OwnEnd();
  const std::string_view label = LabelOf(own, local);
  const auto card = known_.find(incarnation);
  const PathEnd peer = card == known_.end() ? PathEnd{} : EndOf(card->second);
  return {PathName(local, remote, label, LabelOf(peer, remote)),
          RateLimitOf(options_.wan_rate_limit, local, label)};
}

}  // namespace longhaul
