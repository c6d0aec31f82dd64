#include "transport/sim/sim_world.h"

#include <algorithm>

#include "base/check.h"

namespace longhaul {
namespace {

// Turns in one moment before the world is taken to go in circles.
constexpr int kTurnLimit = 1'000'000;

}  // namespace

SimWorld::SimWorld(uint64_t seed, size_t engines) : network_(seed) {
  for (size_t i = 0; i < engines; ++i) {
    engines_.push_back(std::make_unique<Engine>());
  }
}

bool SimWorld::RunUntil(const std::function<bool()>& done, TimePoint limit) {
  for (;;) {
    Settle();
    if (done()) return true;
    const TimePoint next = std::min(NextMoment(), limit);
    if (next <= now()) return false;
    network_.Advance(next);
  }
}

void SimWorld::RunFor(Duration duration) {
  RunUntil([] { return false; }, now() + duration);
}

// Everything that can happen at this moment does.
void SimWorld::Settle() {
  int turns = 0;
  for (bool worked = true; worked;) {
    LH_CHECK(turns++ < kTurnLimit);
    worked = network_.NextEvent() <= now();
    network_.Advance(now());
    for (const auto& engine : engines_) worked |= engine->Turn(now());
  }
}

TimePoint SimWorld::NextMoment() const {
  TimePoint next = network_.NextEvent();
  for (const auto& engine : engines_) {
    next = std::min(next, engine->NextDeadline());
  }
  return next;
}

}  // namespace longhaul
