#include "collective/context_impl.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "base/address.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/random.h"
#include "base/text.h"
#include "topology/interfaces.h"

namespace longhaul {
namespace {

constexpr size_t kPoolLimit = size_t{16} << 30;
/// Flows at first where BBR may not be asked for: what one flow loses to its
/// congestion control, others make up for (docs/tuning.md).
constexpr uint16_t kFlowsWithoutBbr = 16;
constexpr Duration kPollPause = 200 * kMicrosecond;

}  // namespace

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
    log_->Write(
        LogLevel::kWarn,
        "flows between sites use %s: BBR is not permitted here; "
        "opening %u flows per peer and path, or more. To permit it: modprobe "
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
    labels_.push_back(interface.name);
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
  settings.dscp = options_.wan_dscp;
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
  own.labels = labels_;
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
    site_ = site;
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

// --- The end

void Context::Impl::Close() {
  if (log_ == nullptr) return;
  const TimePoint deadline =
      Now() + std::max<Duration>(options_.timeout.count(), kSecond);
  engine_.Call([this](TimePoint now) {
    for (const auto& [incarnation, peer] : peers_) {
      peer->connection().StartClose(now);
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
      done = done && peer->connection().closed();
    }
    done = done && (server_ == nullptr || server_->Drained());
    done = done || now >= deadline;
  });
  return done;
}

}  // namespace longhaul
