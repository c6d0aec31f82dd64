// Which flows a connection has, how they do, and which it wants.
#include <algorithm>
#include <utility>

#include "base/text.h"
#include "path/connection.h"

namespace longhaul {
namespace {

/// Acknowledgements that may wait to be sent before there is an allocation.
constexpr size_t kUsualAcks = 1024;
/// More flows no peer needs.
constexpr size_t kMostFlows = 1024;
/// Looks at a flow per round trip while there is something to send, between
/// these times; else it is only asked whether it gets through.
constexpr int kLooks = 4;
constexpr Duration kShortestLook = kMillisecond;
constexpr Duration kLongestLook = 25 * kMillisecond;
constexpr Duration kIdleLook = 50 * kMillisecond;
/// A flow that has been silent for so long more is opened anew: the transport
/// by itself would try again at ever longer intervals.
constexpr Duration kReopenAfter = 300 * kMillisecond;
/// A path has one flow where its congestion control fills a line: another is
/// tried in long jobs only.
constexpr Duration kAloneFor = 10 * kSecond;
/// The peer is asked for a flow so often, and does not open it once more for a
/// wish that is as old.
constexpr Duration kAskAgain = kSecond;

}  // namespace

// The flow's place is that of the one of its id, if there was one.
Flow* Connection::PlaceFor(std::optional<FlowId> id) {
  const auto known =
      std::find_if(flows_.begin(), flows_.end(), [&](const auto& flow) {
        return id ? flow->id == id : !flow->id && flow->endpoint == nullptr;
      });
  if (known != flows_.end()) return known->get();
  if (flows_.size() >= kMostFlows) return nullptr;
  flows_.push_back(std::make_unique<Flow>());
  Flow& flow = *flows_.back();
  flow.place = flows_.size() - 1;
  flow.id = id;
  flow.acks.reserve(kUsualAcks);
  flow.control_in = std::make_unique<std::array<uint8_t, kMaxControlPayload>>();
  return &flow;
}

void Connection::AddFlow(std::unique_ptr<Endpoint> endpoint, TimePoint now,
                         std::optional<FlowId> id, const PathInfo& path) {
  Wake();
  const bool over = !status_.ok() || closing_ >= Closing::kFinishing;
  Flow* flow = over ? nullptr : PlaceFor(id);
  if (flow == nullptr) {
    endpoint->Close();
    lost_.push_back(std::move(endpoint));
    return;
  }
  if (flow->endpoint != nullptr) {
    CountLoss(*flow);
    flow->endpoint->Close();
    LoseFlow(*flow);
  }
  // What a lost flow carried of credit is lost as well.
  if (flows_lost_ > 0) advertise_ = true;
  cut_ = Status();
  cut_since_ = kNever;
  flow->endpoint = std::move(endpoint);
  flow->path = &PathOf(id ? id->path : 0, path);
  flow->resting =
      config_.grow_flows && id && id->flow >= flow->path->growth.flows();
  flow->writable = true;
  flow->pacer = Pacer(config_.pace);
  flow->meter = FlowMeter();
  flow->health = FlowHealth();
  flow->next_look = 0;
  flow->added = now;
  flow->told_delivered = flow->told_received = 0;
  flow->abandoned = flow->wanted = flow->asked = false;
  flow->pong_due = false;
  flow->heard = last_heard_ = now;
  flow->pinged = now;
  for (const auto& other : flows_) {
    if (other->path == flow->path) LimitPace(*other);
  }
}

Path& Connection::PathOf(uint16_t number, const PathInfo& info) {
  for (const auto& path : paths_) {
    if (path->number == number) return *path;
  }
  paths_.push_back(std::make_unique<Path>());
  paths_.back()->number = number;
  paths_.back()->info = info;
  paths_.back()->growth = FlowGrowth(start_flows_, kAloneFor);
  return *paths_.back();
}

void Connection::CountLoss(Flow& flow) {
  ++flows_lost_;
  if (!flow.fell) ++flow.path->failures;
}

// Looks at the flows that it is time to look at. Says when to look again.
TimePoint Connection::LookAtFlows(TimePoint now) {
  if (!config_.outbox.retain) return kNever;
  const bool busy = !outbox_.idle() || padding_left_ > 0;
  if (!busy && !Expecting() && AllSpeak()) return kNever;
  const bool resumed = busy && std::exchange(resumed_, false);
  TimePoint next = kNever;
  bool looked = false;
  for (const auto& flow : flows_) {
    if (flow->endpoint == nullptr) continue;
    if (now >= flow->next_look) {
      looked = true;
      const EndpointStats stats = flow->endpoint->Stats();
      flow->meter.Sample(now, stats);
      if (flow->endpoint->reliable()) flow->health.Sample(now, stats);
      TellProgress(*flow, stats, now);
      if (busy && !flow->resting) PaceFlow(*flow, resumed, stats, now);
      flow->next_look = now + (busy ? std::clamp(stats.rtt / kLooks,
                                                 kShortestLook, kLongestLook)
                                    : kIdleLook);
    }
    next = std::min(next, flow->next_look);
  }
  if (busy && looked) SettlePace(now);
  if (config_.grow_flows) GrowFlows(busy, now);
  return next;
}

void Connection::TellProgress(Flow& flow, const EndpointStats& stats,
                              TimePoint now) const {
  const uint64_t confirmed =
      stats.bytes_delivered -
      std::exchange(flow.told_delivered, stats.bytes_delivered);
  const uint64_t came = stats.bytes_received -
                        std::exchange(flow.told_received, stats.bytes_received);
  const bool more = stats.bytes_unsent > 0;
  if (config_.access != nullptr) {
    config_.access->Look(now, stats.rtt, confirmed, came, more || flow.resting);
  }
  if (!flow.resting) {
    flow.path->delivered += confirmed;
    flow.path->full &= more;
  }
}

bool Connection::Speaks(const Flow& flow) const {
  return flow.endpoint != nullptr && !flow.health.silent();
}

bool Connection::AllSpeak() const {
  return std::all_of(flows_.begin(), flows_.end(), [this](const auto& flow) {
    return flow->endpoint == nullptr || Speaks(*flow);
  });
}

// Does no flow get anything through?
bool Connection::Mute() const {
  return std::none_of(flows_.begin(), flows_.end(),
                      [this](const auto& flow) { return Speaks(*flow); });
}

// What silent and lost flows carried goes over the others, and they are opened
// again.
void Connection::CheckHealth(TimePoint now) {
  if (!config_.outbox.retain) return;
  const bool mute = Mute();
  mute_since_ = mute && HasFlow() ? std::min(mute_since_, now) : kNever;
  for (const auto& flow : flows_) {
    if (flow->resting) Spare(*flow);
    if (Speaks(*flow)) {
      flow->fell = flow->abandoned = false;
      Spare(*flow);
      continue;
    }
    if (flow->endpoint == nullptr) {
      if (!mute) Want(*flow, now);
      continue;
    }
    if (!std::exchange(flow->fell, true)) {
      ++flow->path->failures;
      advertise_ = true;  // credit and grants may be stuck in it
    }
    if (!mute && now - flow->health.heard() >= config_.timeout / 2) {
      GiveUp(*flow);
      continue;
    }
    if (!mute && !flow->abandoned) outbox_.Abandon(*flow);
    if (now - flow->health.heard() >
        FlowHealth::Patience(2 * flow->meter.round_trip()) + kReopenAfter) {
      Want(*flow, now);
    }
  }
}

void Connection::GiveUp(Flow& flow) {
  const Status why(StatusCode::kUnreachable,
                   Text("%s is silent", flow.endpoint->Name().c_str()),
                   FaultScope::kPath);
  flow.endpoint->Close();
  DropFlow(flow, why);
}

// The side that opens flows is asked; if that is the peer, now and then.
void Connection::Want(Flow& flow, TimePoint now) {
  if (flow.resting || !flow.id) return;
  if (flow.wanted && (!flow.asked || now - flow.asked_at < kAskAgain)) return;
  if (config_.source == nullptr) return;
  if (closing_ != Closing::kOpen || peer_left_) return;
  flow.wanted = true;
  flow.asked = !config_.source->Want(*flow.id, now);
  flow.asked_at = now;
  if (!flow.asked) return;
  wants_.push_back({flow.id->path, flow.id->flow, true});
  Wake();
}

void Connection::Spare(Flow& flow) {
  if (!std::exchange(flow.wanted, false)) return;
  if (flow.asked) {
    wants_.push_back({flow.id->path, flow.id->flow, false});
    Wake();
  } else {
    config_.source->Spare(*flow.id);
  }
}

// Of flows that there are or were does the peer have a say, and of those that
// its growth may ask for.
void Connection::TakeWant(const WantEntry& entry, TimePoint now) {
  const FlowId id{entry.path, entry.flow};
  const auto flow =
      std::find_if(flows_.begin(), flows_.end(),
                   [&](const auto& known) { return known->id == id; });
  if (flow == flows_.end() && !MayBeGrown(id)) return;
  // It has just been opened: the wish was for that. If not, it comes again.
  const bool just_opened = flow != flows_.end() && Speaks(**flow) &&
                           now - (*flow)->added < kAskAgain;
  if (entry.wanted && just_opened) return;
  if (config_.source == nullptr || closing_ != Closing::kOpen) return;
  if (entry.wanted) {
    config_.source->Want(id, now);
  } else {
    config_.source->Spare(id);
  }
}

void Connection::CountPaths(std::vector<PathCounters>* out) const {
  for (const auto& path : paths_) {
    PathCounters& counters = out->emplace_back();
    counters.name = path->info.name;
    counters.state = PathState::kDown;
    counters.bytes_sent = path->past_sent;
    counters.bytes_received = path->past_received;
    counters.retransmits = path->past_retransmits;
    counters.payload_sent = path->sent_bytes;
    counters.payload_restriped = path->restriped_bytes;
    counters.failures = path->failures;
    counters.rate_limit = path->info.rate_limit;
    for (const auto& flow : flows_) {
      if (flow->path == path.get()) CountFlow(*flow, &counters);
    }
  }
}

void Connection::CountFlow(const Flow& flow, PathCounters* path) const {
  if (flow.endpoint == nullptr) return;
  const EndpointStats stats = flow.endpoint->Stats();
  if (!flow.resting) {
    ++path->flows;
    path->goodput += flow.meter.rate();
  }
  path->bytes_sent += stats.bytes_sent;
  path->bytes_received += stats.bytes_received;
  path->retransmits += stats.retransmits;
  if (Speaks(flow)) {
    path->state = PathState::kUp;
  } else if (path->state == PathState::kDown) {
    path->state = PathState::kSilent;
  }
  const auto least = [](std::chrono::nanoseconds* to, Duration rtt) {
    if (rtt > 0 && (to->count() == 0 || rtt < to->count())) {
      *to = std::chrono::nanoseconds(rtt);
    }
  };
  least(&path->rtt, stats.rtt);
  least(&path->min_rtt, stats.min_rtt);
}

}  // namespace longhaul
