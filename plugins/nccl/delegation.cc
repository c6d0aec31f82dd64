#include "delegation.h"

#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "base/bytes.h"
#include "base/fnv1a.h"
#include "base/text.h"
#include "delegate_comm.h"

namespace longhaul::nccl {
namespace {

using abi::ResultCode;
using Session = SitePlugin::Session;

constexpr size_t kHandleAt = 8;

Status Lost(const std::string& peer, const char* why) {
  return {StatusCode::kUnreachable, Text("lost %s: %s", peer.c_str(), why),
          FaultScope::kConnection};
}

Status TooLate(const Session& session, const std::string& peer) {
  return {StatusCode::kTimedOut,
          Text("no connection with %s by %s, which LONGHAUL_SITE_PLUGIN names, "
               "within LONGHAUL_CONNECT_TIMEOUT: do its devices reach each "
               "other?",
               peer.c_str(), session.name()),
          FaultScope::kConnection};
}

}  // namespace

Status CheckBothDelegate(const Session* session, const Hello& theirs,
                         const std::string& peer) {
  const bool theirs_is_set = (theirs.flags & Hello::kDelegated) != 0;
  if (theirs_is_set == (session != nullptr)) return {};
  return {StatusCode::kInvalidArgument,
          Text("LONGHAUL_SITE_PLUGIN must be the same on all ranks of a site: "
               "it is set %s, not %s",
               session != nullptr ? "here" : ("at " + peer).c_str(),
               session != nullptr ? ("at " + peer).c_str() : "here"),
          FaultScope::kConnection};
}

// --- The end that accepts

DelegatedAccept::DelegatedAccept(Session& session, UniqueFd flow,
                                 std::string peer, TimePoint deadline)
    : session_(session),
      flow_(std::move(flow)),
      peer_(std::move(peer)),
      deadline_(deadline) {}

DelegatedAccept::~DelegatedAccept() {
  if (listen_comm_ != nullptr) session_.net().CloseListen(listen_comm_);
}

Result<std::unique_ptr<RecvComm>> DelegatedAccept::Poll(TimePoint now) {
  Status status = listen_comm_ == nullptr ? Listen() : Status();
  if (status.ok() && told_ < bytes_.size()) status = Tell();
  if (!status.ok()) return status;
  if (told_ == bytes_.size()) {
    void* comm = nullptr;
    const ResultCode code = session_.net().Accept(listen_comm_, &comm);
    if (code != ResultCode::kSuccess) {
      return ChildFault(session_.name(), "accept", code);
    }
    if (comm != nullptr) return MakeDelegateRecv(session_, comm);
  }
  if (now >= deadline_) return TooLate(session_, peer_);
  return std::unique_ptr<RecvComm>();
}

Status DelegatedAccept::Listen() {
  alignas(8) std::array<uint8_t, abi::kHandleBytes> handle{};
  const ResultCode code = session_.net().Listen(
      session_.context(), SitePlugin::kDevice, handle.data(), &listen_comm_);
  if (code != ResultCode::kSuccess) {
    listen_comm_ = nullptr;
    return ChildFault(session_.name(), "listen", code);
  }
  StoreLittle<uint64_t>(bytes_.data(),
                        Fnv1a(std::string_view(session_.name())));
  std::copy(handle.begin(), handle.end(), bytes_.begin() + kHandleAt);
  return {};
}

Status DelegatedAccept::Tell() {
  const ssize_t n = ::send(flow_.get(), bytes_.data() + told_,
                           bytes_.size() - told_, MSG_NOSIGNAL | MSG_DONTWAIT);
  if (n >= 0) {
    told_ += static_cast<size_t>(n);
  } else if (errno != EAGAIN && errno != EINTR) {
    return Lost(peer_, std::strerror(errno));
  }
  if (told_ == bytes_.size()) flow_.Reset();
  return {};
}

// --- The end that connects

DelegatedConnect::DelegatedConnect(Session& session, UniqueFd flow,
                                   std::string peer, TimePoint deadline)
    : session_(session),
      flow_(std::move(flow)),
      peer_(std::move(peer)),
      deadline_(deadline) {}

Result<std::unique_ptr<SendComm>> DelegatedConnect::Poll(TimePoint now) {
  if (heard_ < bytes_.size()) {
    const Status status = Hear();
    if (!status.ok()) return status;
  }
  if (heard_ == bytes_.size()) {
    void* comm = nullptr;
    const ResultCode code =
        session_.net().Connect(session_.context(), SitePlugin::kDevice,
                               bytes_.data() + kHandleAt, &comm);
    if (code != ResultCode::kSuccess) {
      return ChildFault(session_.name(), "connect", code);
    }
    if (comm != nullptr) return MakeDelegateSend(session_, comm);
  }
  if (now >= deadline_) return TooLate(session_, peer_);
  return std::unique_ptr<SendComm>();
}

Status DelegatedConnect::Hear() {
  const ssize_t n = ::recv(flow_.get(), bytes_.data() + heard_,
                           bytes_.size() - heard_, MSG_DONTWAIT);
  if (n > 0) {
    heard_ += static_cast<size_t>(n);
    if (heard_ < bytes_.size()) return {};
    flow_.Reset();
    return CheckName();
  }
  if (n == 0) return Lost(peer_, "it has closed the connection");
  if (errno == EAGAIN || errno == EINTR) return {};
  return Lost(peer_, std::strerror(errno));
}

Status DelegatedConnect::CheckName() const {
  const auto theirs = LoadLittle<uint64_t>(bytes_.data());
  if (theirs == Fnv1a(std::string_view(session_.name()))) return {};
  return {StatusCode::kInvalidArgument,
          Text("LONGHAUL_SITE_PLUGIN must be the same on all ranks of a site: "
               "here it names %s, and at %s another",
               session_.name(), peer_.c_str()),
          FaultScope::kConnection};
}

}  // namespace longhaul::nccl
