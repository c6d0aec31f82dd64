// How processes reach each other by cards alone (NCCL's handles), without a
// common rendezvous.
#include <utility>

#include "base/clock.h"
#include "base/random.h"
#include "collective/context_impl.h"

namespace longhaul {

Status Context::Impl::OpenDoor(const std::string& site, PipeAcceptor& pipes) {
  Status status;
  engine_.Call([&](TimePoint) {
    pipes_ = &pipes;
    line_ = PaceBoard::LineTo(site);
    site_ = site;
    door_.job = RandomU64() | 1;
    if (!secret_file_key_) FillRandom(door_.key);
    policy_.job = door_.job;
    policy_.secret = secret_file_key_.value_or(door_.key);
    policy_.self = incarnation_;
    status = listener_->Start(policy_);
  });
  return status;
}

// What to say to the process of a card: what its door asks for, or the job's.
HelloPolicy Context::Impl::PolicyFor(const ProcessCard& card) const {
  HelloPolicy policy = policy_;
  if (card.door.job == 0) return policy;
  policy.job = card.door.job;
  policy.secret = secret_file_key_.value_or(card.door.key);
  return policy;
}

Result<std::vector<Address>> Context::Impl::OpenRendezvous() {
  Status status;
  std::vector<Address> addresses;
  engine_.Call([&](TimePoint) {
    if (server_ == nullptr) {
      RendezvousServer::Config config;
      config.key = policy_.secret;
      for (Address address : listener_->addresses()) {
        address.port = 0;
        config.addresses.push_back(address);
      }
      Result<std::unique_ptr<RendezvousServer>> server =
          RendezvousServer::Open(engine_, std::move(config), *log_);
      if (!server.ok()) {
        status = server.status();
        return;
      }
      server_ = std::move(server).value();
    }
    addresses = server_->addresses();
  });
  if (!status.ok()) return status;
  return addresses;
}

void Context::Impl::Expect(uint64_t subject, PrivateFlowTaker& taker) {
  takers_[subject] = &taker;
}

void Context::Impl::Unexpect(uint64_t subject) { takers_.erase(subject); }

Result<Hello> Context::Impl::AcceptPrivate(const Hello& theirs) {
  const auto taker = takers_.find(theirs.subject);
  if (taker == takers_.end()) {
    return Status(StatusCode::kInvalidArgument,
                  "whom the flow is for does not listen any more");
  }
  Hello answer;
  answer.flags = taker->second->flags();
  return answer;
}

std::unique_ptr<TcpConnector> Context::Impl::OpenPrivate(const ProcessCard& to,
                                                         uint64_t subject,
                                                         uint16_t flags,
                                                         FlowOpener& opener) {
  TcpConnector::Config config = CallTo(to, to.host, LinkClass::kSameSite);
  config.hello.flags = static_cast<uint16_t>(Hello::kPrivate | flags);
  config.hello.subject = subject;
  return std::make_unique<TcpConnector>(engine_, std::move(config), opener,
                                        *log_);
}

}  // namespace longhaul
