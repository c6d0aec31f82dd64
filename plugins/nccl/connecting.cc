#include "connecting.h"

#include <utility>

#include "base/clock.h"
#include "base/text.h"
#include "pipe_comm.h"
#include "site_comm.h"

namespace longhaul::nccl {
namespace {

/// How often the engine is asked whether a shared connection is there.
constexpr Duration kPause = 500 * kMicrosecond;

}  // namespace

Connecting::Connecting(Process& process, SitePlugin::Session* site,
                       const Handle& to)
    : process_(process),
      site_(site),
      to_(to),
      peer_(Text("process %016llx at %s",
                 static_cast<unsigned long long>(to.incarnation),
                 to.addresses.front().ToString().c_str())),
      deadline_(Now() + process.patience()) {
  process_.engine().Call([this](TimePoint) {
    const ProcessCard card = Process::CardOf(to_);
    if (SameSite()) {
      connector_ = process_.context().OpenPrivate(card, to_.cookie,
                                                  FlagsOf(site_), *this);
    } else {
      connection_ =
          &process_.context().ConnectionTo(card, peer_, false, to_.site);
    }
  });
}

Connecting::~Connecting() {
  process_.engine().Call([this](TimePoint) { connector_.reset(); });
}

Result<std::unique_ptr<SendComm>> Connecting::Poll() {
  return SameSite() ? PollSite() : PollWan();
}

Result<std::unique_ptr<SendComm>> Connecting::PollSite() {
  if (!ended_.load(std::memory_order_acquire)) {
    return std::unique_ptr<SendComm>();
  }
  if (!fault_.ok()) return fault_;
  const Status alike = CheckBothDelegate(site_, theirs_, peer_);
  if (!alike.ok()) return alike;
  if (site_ == nullptr) return MakeSiteSend(std::move(socket_), peer_);
  if (delegated_ == nullptr) {
    delegated_ = std::make_unique<DelegatedConnect>(*site_, std::move(socket_),
                                                    peer_, deadline_);
  }
  return delegated_->Poll(Now());
}

Result<std::unique_ptr<SendComm>> Connecting::PollWan() {
  const TimePoint now = Now();
  if (now < look_again_) return std::unique_ptr<SendComm>();
  look_again_ = now + kPause;
  bool connected = false;
  Status status;
  process_.engine().Call([&](TimePoint) {
    connected = connection_->connected();
    status = connection_->status();
  });
  if (!status.ok()) return status;
  if (!connected) return std::unique_ptr<SendComm>();
  return MakePipeSend(process_, *connection_, to_.incarnation, to_.cookie);
}

void Connecting::FlowOpened(uint16_t /*flow*/, UniqueFd fd, const Hello& theirs,
                            TimePoint /*now*/) {
  socket_ = std::move(fd);
  theirs_ = theirs;
  ended_.store(true, std::memory_order_release);
}

void Connecting::FlowFailed(uint16_t /*flow*/, const Status& why,
                            TimePoint /*now*/) {
  fault_ = why;
  ended_.store(true, std::memory_order_release);
}

}  // namespace longhaul::nccl
