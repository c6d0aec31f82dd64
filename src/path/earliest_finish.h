// Which flow should carry the next chunk: the one that delivers it first, and
// only if waiting for a faster one would take longer.
//
// A flow is seen as a line: what is put on it now begins to leave when its
// backlog has left, takes bytes / rate, and arrives a delay later. Flows that
// all work until the same moment T deliver sum rate (T - start)+ bytes, start
// being backlog + delay: the least T that suffices for what is pending is the
// best that striping can do (water-filling). A flow takes a chunk only if it
// delivers it before the others, together, would have delivered everything: so
// a slow path is used for a long vector, and left alone for a short one.
//
// Pure functions; any thread.
#pragma once

#include <cstddef>
#include <limits>
#include <span>

namespace longhaul {

/// A flow, as this decision sees it. Seconds and bytes per second.
struct FlowView {
  double rate = 0;     ///< above 0
  double delay = 0;    ///< one way
  double backlog = 0;  ///< until what it has been given has left
  bool usable = true;
  bool room = true;  ///< takes a chunk now

  double start() const { return backlog + delay; }
  /// When `bytes` more have arrived.
  double Finish(double bytes) const { return start() + bytes / rate; }
};

inline constexpr double kNoFinish = std::numeric_limits<double>::infinity();

/// When `bytes` have arrived that all usable flows but one carry together;
/// infinity if there is none. `but` may be flows.size(): none is left out.
double FinishTogether(std::span<const FlowView> flows, size_t but,
                      double bytes);

/// The flow that takes the next chunk of `bytes`, of `pending` bytes in all
/// that wait; flows.size() if it should wait for one that has no room yet, or
/// none has room.
size_t EarliestFinish(std::span<const FlowView> flows, double bytes,
                      double pending);

}  // namespace longhaul
