#include "listener.h"

#include <utility>

#include "base/random.h"
#include "base/text.h"
#include "pipe_comm.h"
#include "site_comm.h"

namespace longhaul::nccl {

Listener::Listener(Process& process) : process_(process), cookie_(RandomU64()) {
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
  Add({std::move(flow), theirs.from});
}

void Listener::TakePipe(PipeHub& hub, uint32_t number) {
  Add({UniqueFd(), 0, &hub, number});
}

void Listener::Add(Arrival arrival) {
  const std::lock_guard lock(mutex_);
  arrivals_.push_back(std::move(arrival));
  waiting_.store(arrivals_.size(), std::memory_order_release);
}

std::unique_ptr<RecvComm> Listener::Accept() {
  if (waiting_.load(std::memory_order_acquire) == 0) return nullptr;
  Arrival arrival;
  {
    const std::lock_guard lock(mutex_);
    arrival = std::move(arrivals_.front());
    arrivals_.pop_front();
    waiting_.store(arrivals_.size(), std::memory_order_release);
  }
  if (arrival.hub != nullptr) {
    return MakePipeRecv(process_, *arrival.hub, arrival.pipe);
  }
  return MakeSiteRecv(std::move(arrival.socket),
                      Text("process %016llx of this site",
                           static_cast<unsigned long long>(arrival.from)));
}

}  // namespace longhaul::nccl
