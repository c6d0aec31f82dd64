#include "collective/rate_planner.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "collective/cost.h"

namespace longhaul {

RatePlanner::RatePlanner(const Topology& topology, Rank self, bool watch)
    : planned_(topology),
      site_(topology.SiteOf(self)),
      watch_(watch),
      told_(kToldPerSite * static_cast<size_t>(topology.site_count())) {}

bool RatePlanner::IsLarge(const OperationCall& call) const {
  return Matters() && call.collective == Collective::kAllReduce &&
         call.count >= kLarge / SizeOf(call.type);
}

RatePlanner::Turn RatePlanner::TurnOf(const OperationCall& call) const {
  if (!IsLarge(call)) return Turn::kNothing;
  const uint64_t number = (counted_ + 1) % kEvery;
  if (number == kEvery / 2) return Turn::kAsk;
  return number == 0 ? Turn::kUse : Turn::kNothing;
}

OperationCall RatePlanner::Ask(const LineRates& own) {
  std::fill(told_.begin(), told_.end(), 0.0);
  Tell(site_, own, told_);
  auto* memory = reinterpret_cast<uint8_t*>(told_.data());
  OperationCall call;
  call.collective = Collective::kAllReduce;
  call.type = DataType::kFloat64;
  call.op = ReduceOp::kSum;
  call.input = memory;
  call.output = memory;
  call.count = told_.size();
  return call;
}

bool RatePlanner::Use(const SiteShares& shares, bool at_once) {
  std::optional<Topology> seen =
      Replanned(planned_, shares, told_, CostParameters().goodput);
  if (!seen && watch_) {
    seen = Changed(planned_, told_, CostParameters().goodput);
  }
  const bool again = std::exchange(doubted_, seen.has_value());
  if (!seen || (!at_once && !again)) return false;
  doubted_ = false;
  planned_ = *std::move(seen);
  return true;
}

}  // namespace longhaul
