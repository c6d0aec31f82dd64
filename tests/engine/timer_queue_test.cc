#include "engine/timer_queue.h"

#include <algorithm>
#include <map>
#include <random>

#include "engine/engine.h"

namespace longhaul {
namespace {

class Item final : public Pollable {
 public:
  using Pollable::Pollable;
  void Poll(uint32_t, TimePoint) override {}
};

// Against a multimap: the same deadlines come due, in the same order, through
// random settings, moves, removals and advances.
TEST(TimerQueueTest, AgreesWithAMultimap) {
  for (uint32_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    std::mt19937 random(seed);
    Engine engine;
    TimerQueue queue;
    std::multimap<TimePoint, Item*> model;
    std::vector<std::unique_ptr<Item>> items;
    for (int i = 0; i < 60; ++i) {
      items.push_back(std::make_unique<Item>(engine));
    }
    const auto forget = [&](Item* item) {
      std::erase_if(model, [&](const auto& e) { return e.second == item; });
    };
    TimePoint now = 0;
    for (int step = 0; step < 3000; ++step) {
      Item* item = items[random() % items.size()].get();
      switch (random() % 8) {
        case 0:
          queue.Remove(*item);
          forget(item);
          break;
        case 1:
          queue.Set(*item, kNever);
          forget(item);
          break;
        case 2:
          now += static_cast<TimePoint>(random() % 40);
          while (Pollable* due = queue.TakeDue(now)) {
            ASSERT_FALSE(model.empty());
            const TimePoint earliest = model.begin()->first;
            ASSERT_LE(earliest, now);
            const auto equal = model.equal_range(earliest);
            const auto found =
                std::find_if(equal.first, equal.second,
                             [&](const auto& e) { return e.second == due; });
            ASSERT_NE(found, equal.second) << "taken out of turn";
            model.erase(found);
            ASSERT_EQ(due->deadline(), kNever);
          }
          break;
        default: {
          const TimePoint deadline =
              now + static_cast<TimePoint>(random() % 99);
          queue.Set(*item, deadline);
          forget(item);
          model.emplace(deadline, item);
          ASSERT_EQ(item->deadline(), deadline);
        }
      }
      const TimePoint expected = model.empty() ? kNever : model.begin()->first;
      ASSERT_EQ(queue.Next(), expected);
    }
    for (const auto& item : items) queue.Remove(*item);
  }
}

}  // namespace
}  // namespace longhaul
