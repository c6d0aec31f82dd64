#include "path/earliest_finish.h"

#include <algorithm>
#include <random>
#include <vector>

#include "support/pch.h"

namespace longhaul {
namespace {

constexpr double kFast = 50e6;  // 400 Mbit/s
constexpr double kSlow = 12.5e6;

std::vector<FlowView> FastAndSlow() {
  return {{.rate = kFast, .delay = 0.010}, {.rate = kSlow, .delay = 0.040}};
}

TEST(FinishTogether, IsTheLatestByWhichAllBytesCanHaveArrived) {
  const auto flows = FastAndSlow();
  // T with 50 (T - 0.01) + 12.5 (T - 0.04) = 10, in millions.
  EXPECT_NEAR(FinishTogether(flows, 2, 10e6), 0.176, 1e-12);
}

TEST(FinishTogether, LeavesOutWhatStartsLater) {
  const auto flows = FastAndSlow();
  EXPECT_DOUBLE_EQ(FinishTogether(flows, 2, 1e6), 0.030);
  EXPECT_DOUBLE_EQ(FinishTogether(flows, 2, 0), 0.010);
}

TEST(FinishTogether, OfNoneIsNever) {
  auto flows = FastAndSlow();
  EXPECT_EQ(FinishTogether({}, 0, 1), kNoFinish);
  flows[1].usable = false;
  EXPECT_EQ(FinishTogether(flows, 0, 1), kNoFinish);
}

TEST(EarliestFinish, AShortMessageTakesTheFastFlow) {
  const auto flows = FastAndSlow();
  EXPECT_EQ(EarliestFinish(flows, 8, 8), 0u);
  EXPECT_EQ(EarliestFinish(flows, 0, 0), 0u);
}

TEST(EarliestFinish, WaitsForTheFastFlowWhenThatIsSooner) {
  auto flows = FastAndSlow();
  flows[0].room = false;
  EXPECT_EQ(EarliestFinish(flows, 64e3, 1e6), 2u);
}

TEST(EarliestFinish, TakesTheSlowFlowWhenTheFastOneHasEnoughToDo) {
  auto flows = FastAndSlow();
  flows[0].room = false;
  EXPECT_EQ(EarliestFinish(flows, 64e3, 2e6), 1u);
}

TEST(EarliestFinish, CountsWhatWaitsAlready) {
  auto flows = FastAndSlow();
  flows[0].backlog = 0.100;
  EXPECT_EQ(EarliestFinish(flows, 64e3, 64e3), 1u);
}

// Two others could deliver half a chunk each, and would all wait for each
// other.
TEST(EarliestFinish, OfEqualFlowsOneAlwaysGoes) {
  for (size_t count = 1; count <= 8; ++count) {
    const std::vector<FlowView> flows(count, {.rate = 1e6, .delay = 0.01});
    EXPECT_EQ(EarliestFinish(flows, 64e3, 64e3), 0u) << count;
  }
}

TEST(EarliestFinish, NoneWithoutRoomOrUse) {
  auto flows = FastAndSlow();
  flows[0].room = flows[1].room = false;
  EXPECT_EQ(EarliestFinish(flows, 1, 1), 2u);
  flows = FastAndSlow();
  flows[0].usable = flows[1].usable = false;
  EXPECT_EQ(EarliestFinish(flows, 1, 1), 2u);
  EXPECT_EQ(EarliestFinish({}, 1, 1), 0u);
}

// Whoever waits must have something to wait for: a flow without room that is
// sooner. Else nothing would ever go.
TEST(EarliestFinish, NeverWaitsForNothing) {
  std::mt19937_64 random(7);
  std::uniform_real_distribution<double> part(0, 1);
  for (int i = 0; i < 20'000; ++i) {
    std::vector<FlowView> flows(1 + random() % 6);
    bool any_busy = false;
    for (FlowView& flow : flows) {
      flow = {1e3 + 1e8 * part(random), 0.2 * part(random), 0.5 * part(random),
              random() % 5 != 0, random() % 3 != 0};
      any_busy = any_busy || (flow.usable && !flow.room);
    }
    const double bytes = 1e5 * part(random);
    const size_t best =
        EarliestFinish(flows, bytes, bytes + 1e7 * part(random));
    const bool any_room = std::any_of(
        flows.begin(), flows.end(), [](auto& f) { return f.usable && f.room; });
    if (any_room && !any_busy) {
      EXPECT_LT(best, flows.size()) << i;
    }
    if (best < flows.size()) {
      EXPECT_TRUE(flows[best].usable && flows[best].room) << i;
    }
  }
}

}  // namespace
}  // namespace longhaul
