#include "listener.h"

#include <utility>

#include "base/clock.h"
#include "base/random.h"
#include "base/text.h"
#include "pipe_comm.h"
#include "site_comm.h"

namespace longhaul::nccl {

Listener::Listener(Process& process, SitePlugin::Session* site)
    : process_(process), site_(site), cookie_(RandomU64()) {
  process_.engine().Call(
      [this](TimePoint) { process_.Expect(cookie_, *this, *this); });
}

Listener::~Listener() {
  process_.engine().Call([this](TimePoint) {
    process_.Unexpect(cookie_);
    for (const Arrival& arrival : arrivals_) {
      if (arrival.hub != nullptr) arrival.hub->Shut(arrival.pipe);
    }
  });
}

void Listener::Take(UniqueFd flow, const Hello& theirs, TimePoint /*now*/) {
  Add({std::move(flow), theirs});
}

void Listener::TakePipe(PipeHub& hub, uint32_t number) {
  Add({UniqueFd(), {}, &hub, number});
}

void Listener::Add(Arrival arrival) {
  const std::lock_guard lock(mutex_);
  arrivals_.push_back(std::move(arrival));
  waiting_.store(arrivals_.size(), std::memory_order_release);
}

std::optional<Listener::Arrival> Listener::Next() {
  if (waiting_.load(std::memory_order_acquire) == 0) return {};
  const std::lock_guard lock(mutex_);
  std::optional<Arrival> arrival(std::move(arrivals_.front()));
  arrivals_.pop_front();
  waiting_.store(arrivals_.size(), std::memory_order_release);
  return arrival;
}

Result<std::unique_ptr<RecvComm>> Listener::Accept() {
  // One that is being introduced keeps nobody waiting who came after it.
  while (std::optional<Arrival> arrival = Next()) {
    Result<std::unique_ptr<RecvComm>> comm = Admit(std::move(*arrival));
    if (!comm.ok() || *comm != nullptr) return comm;
  }
  return PollDelegated();
}

// Null: the other plugin is to connect it.
Result<std::unique_ptr<RecvComm>> Listener::Admit(Arrival arrival) {
  if (arrival.hub != nullptr) {
    return MakePipeRecv(process_, *arrival.hub, arrival.pipe);
  }
  std::string peer = Text("process %016llx of this site",
                          static_cast<unsigned long long>(arrival.theirs.from));
  const Status alike = CheckBothDelegate(site_, arrival.theirs, peer);
  if (!alike.ok()) return alike;
  if (site_ == nullptr) {
    return MakeSiteRecv(std::move(arrival.socket), std::move(peer));
  }
  delegated_.emplace_back(*site_, std::move(arrival.socket), std::move(peer),
                          Now() + process_.patience());
  return std::unique_ptr<RecvComm>();
}

Result<std::unique_ptr<RecvComm>> Listener::PollDelegated() {
  if (delegated_.empty()) return std::unique_ptr<RecvComm>();
  const TimePoint now = Now();
  for (auto one = delegated_.begin(); one != delegated_.end(); ++one) {
    Result<std::unique_ptr<RecvComm>> comm = one->Poll(now);
    if (comm.ok() && *comm == nullptr) continue;
    delegated_.erase(one);
    return comm;
  }
  return std::unique_ptr<RecvComm>();
}

}  // namespace longhaul::nccl
