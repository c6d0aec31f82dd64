#include "path/earliest_finish.h"

#include <algorithm>

namespace longhaul {

// Begins with all flows and leaves out those that start after the moment found,
// until nothing changes: each round raises no start and lowers the moment.
double FinishTogether(std::span<const FlowView> flows, size_t but,
                      double bytes) {
  double finish = kNoFinish;
  for (;;) {
    double rate = 0;
    double work = bytes;
    double soonest = kNoFinish;
    for (size_t i = 0; i < flows.size(); ++i) {
      const FlowView& flow = flows[i];
      if (i == but || !flow.usable) continue;
      if (flow.start() < soonest) soonest = flow.start();
      if (flow.start() >= finish) continue;
      rate += flow.rate;
      work += flow.rate * flow.start();
    }
    if (rate == 0) return soonest;  // nothing to carry, or nobody to do it
    const double next = work / rate;
    if (!(next < finish)) return finish;
    finish = next;
  }
}

size_t EarliestFinish(std::span<const FlowView> flows, double bytes,
                      double pending) {
  size_t best = flows.size();
  double finish = kNoFinish;
  double without_room = kNoFinish;
  for (size_t i = 0; i < flows.size(); ++i) {
    if (!flows[i].usable) continue;
    const double mine = flows[i].Finish(bytes);
    if (!flows[i].room) {
      without_room = std::min(without_room, mine);
    } else if (mine < finish) {
      finish = mine;
      best = i;
    }
  }
  // A chunk is not divided: one flow is the first to deliver it.
  if (finish <= without_room) return best;
  return finish <= FinishTogether(flows, best, pending) ? best : flows.size();
}

}  // namespace longhaul
