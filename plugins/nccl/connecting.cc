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

Connecting::Connecting(Process& process, const Handle& to)
    : process_(process),
      to_(to),
      peer_(Text("process %016llx at %s",
                 static_cast<unsigned long long>(to.incarnation),
                 to.addresses.front().ToString().c_str())) {
  process_.engine().Call([this](TimePoint) {
    const ProcessCard card = Process::CardOf(to_);
    if (SameSite()) {
      connector_ = process_.context().OpenPrivate(card, to_.cookie, *this);
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
  return MakeSiteSend(std::move(socket_), peer_);
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

void Connecting::FlowOpened(uint16_t /*flow*/, UniqueFd fd,
                            const Hello& /*theirs*/, TimePoint /*now*/) {
  socket_ = std::move(fd);
  ended_.store(true, std::memory_order_release);
}

void Connecting::FlowFailed(uint16_t /*flow*/, const Status& why,
                            TimePoint /*now*/) {
  fault_ = why;
  ended_.store(true, std::memory_order_release);
}

}  // namespace longhaul::nccl
