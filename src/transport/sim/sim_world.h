// A simulated network and the engines that live on it, in virtual time: minutes
// of a wide-area job pass in milliseconds, the same way for the same seed.
//
//   SimWorld world(seed, 2);
//   auto [a, b] = world.network().Connect(link, link);
//   EXPECT_TRUE(world.RunUntil([&] { return arrived == 10; }, 5 * kSecond));
//
// Engines are neither opened nor started; they turn here. Everything that lives
// on them must be destroyed before the world.
//
// Thread-compatible.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "base/time.h"
#include "engine/engine.h"
#include "transport/sim/sim_network.h"

namespace longhaul {

class SimWorld {
 public:
  SimWorld(uint64_t seed, size_t engines);

  SimNetwork& network() { return network_; }
  Engine& engine(size_t index) { return *engines_[index]; }
  TimePoint now() const { return network_.now(); }

  /// Lets time pass until `done` answers true (asked whenever nothing is left
  /// to do at a moment) or `limit` is reached. What `done` answered last.
  bool RunUntil(const std::function<bool()>& done, TimePoint limit);
  /// Lets `duration` pass.
  void RunFor(Duration duration);

 private:
  void Settle();
  TimePoint NextMoment() const;

  SimNetwork network_;
  std::vector<std::unique_ptr<Engine>> engines_;
};

}  // namespace longhaul
