#include "collective/peer.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <climits>
#include <memory>
#include <utility>

#include "topology/path_plan.h"
#include "transport/tcp/tcp_endpoint.h"

namespace longhaul {

Peer::Peer(Engine& engine, BlockPool& pool, Logger& log, Config config)
    : engine_(engine),
      log_(log),
      same_site_(config.same_site),
      notsent_lowat_(config.notsent_lowat),
      connection_(engine, pool, WithSource(std::move(config.connection))) {
  if (config.pipes != nullptr) {
    pipes_.emplace(engine, connection_, *config.pipes);
  }
}

void Peer::Know(PathDialer::Config paths) {
  FlowTaker& taker = *this;
  connection_.StartFlows(paths.flows);
  dialer_.emplace(engine_, connection_, std::move(paths), taker, log_);
}

Status Peer::Accept(const Hello& theirs, bool ours_counts) {
  const bool same_site = theirs.link == LinkClass::kSameSite;
  if (same_site_ != same_site || !connection_.status().ok()) {
    return {StatusCode::kInvalidArgument,
            "sites are not the same on both sides, or the connection is "
            "broken"};
  }
  if (theirs.path >= (same_site ? 1 : kMostPathEnds * kMostPathEnds)) {
    return {StatusCode::kInvalidArgument, "there is no such path"};
  }
  if (!dialer_ || !dialer_->Dialing(theirs.path)) return {};
  if (ours_counts) {
    return {StatusCode::kExhausted, "our own call is on its way"};
  }
  dialer_->Stop(theirs.path);
  return {};
}

void Peer::Accepted(UniqueFd fd, const Hello& theirs, const PathInfo& path,
                    TimePoint now) {
  // It is the caller who says how many.
  if (!connection_.connected()) connection_.StartFlows(theirs.flows);
  if (dialer_) dialer_->Accepted(theirs.path, now);
  TakeFlow(FlowId{theirs.path, theirs.flow}, path, std::move(fd), theirs, now);
}

void Peer::TakeFlow(FlowId id, const PathInfo& path, UniqueFd fd,
                    const Hello& theirs, TimePoint now) {
  if (!same_site_) {
    // Little unsent in the kernel: acknowledgements and what is urgent need not
    // wait behind it, and a lost flow strands less.
    const int lowat =
        static_cast<int>(std::min<uint64_t>(notsent_lowat_, INT_MAX));
    ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NOTSENT_LOWAT, &lowat,
                 sizeof lowat);
  }
  auto endpoint = std::make_unique<TcpEndpoint>(engine_, std::move(fd));
  TcpEndpoint& raw = *endpoint;
  connection_.Welcome(theirs.shared_credit, theirs.stream_reserve);
  connection_.AddFlow(std::move(endpoint), now, id, path);
  const Status watched = raw.SetSink(connection_);
  if (!watched.ok()) connection_.Break(watched);
}

// Both sides call, where they know whom: a process that is no more is told from
// a line that is cut by that its host refuses the call.
void Peer::Reopen(const Status& why, TimePoint now) {
  log_.Write(LogLevel::kWarn, "lost %s: %s; connecting again",
             connection_.peer().c_str(), why.text().c_str());
  if (dialer_) dialer_->Reopen(now);
}

bool Peer::Want(FlowId flow, TimePoint now) {
  return dialer_ && dialer_->Want(flow, now);
}

void Peer::Spare(FlowId flow) {
  if (dialer_) dialer_->Spare(flow);
}

}  // namespace longhaul
