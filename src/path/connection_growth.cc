// How many flows the paths of a connection have, where that is for it to find
// out. Each side does so for what it sends. Those that one side has no use for
// rest on it: they stay open, for the other side may use them, and so may the
// next trial.
#include <algorithm>
#include <utility>

#include "path/connection.h"

namespace longhaul {

void Connection::GrowFlows(bool busy, TimePoint now) {
  for (const auto& path : paths_) {
    if (now < path->next_look) continue;
    path->next_look = now + FlowGrowth::kLook;
    FlowGrowth::Look look = LookAt(*path);
    look.full = look.full && busy;
    path->delivered = 0;
    path->full = true;
    if (path->growth.Sample(now, look)) UseFlows(*path);
  }
}

FlowGrowth::Look Connection::LookAt(const Path& path) const {
  FlowGrowth::Look look;
  look.delivered = path.delivered;
  look.full = path.full;
  look.limit = path.info.rate_limit;
  for (const auto& flow : flows_) {
    if (flow->endpoint == nullptr || flow->resting || flow->path != &path) {
      continue;
    }
    ++look.flows;
    look.silent = look.silent || flow->health.silent();
    look.round_trip = std::max(look.round_trip, flow->meter.round_trip());
  }
  return look;
}

// Their number has changed. Those that are not there are wanted from now on, as
// if they had been lost.
void Connection::UseFlows(Path& path) {
  const uint16_t flows = path.growth.flows();
  for (uint16_t number = 0; number < flows; ++number) {
    Flow* flow = PlaceFor(FlowId{path.number, number});
    if (flow != nullptr) flow->path = &path;
  }
  for (const auto& flow : flows_) {
    if (flow->path != &path) continue;
    LetRest(*flow, flow->id && flow->id->flow >= flows);
  }
  for (const auto& flow : flows_) {
    if (flow->path == &path) LimitPace(*flow);
  }
  Wake();
}

void Connection::LetRest(Flow& flow, bool resting) const {
  if (!std::exchange(flow.resting, resting) || resting) return;
  // What was known of it is old.
  flow.pacer = Pacer(config_.pace);
  flow.meter = FlowMeter();
  flow.next_look = 0;
}

// Might the peer's growth ask for it?
bool Connection::MayBeGrown(FlowId id) const {
  return config_.grow_flows && id.flow < FlowGrowth::kMost &&
         std::any_of(paths_.begin(), paths_.end(), [id](const auto& path) {
           return path->number == id.path;
         });
}

}  // namespace longhaul
