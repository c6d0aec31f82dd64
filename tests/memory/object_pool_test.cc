#include "memory/object_pool.h"

#include <set>

namespace longhaul {
namespace {

class Counted {
 public:
  Counted(int* alive, int value) : alive_(alive), value_(value) { ++*alive_; }
  ~Counted() { --*alive_; }
  Counted(const Counted&) = delete;
  Counted& operator=(const Counted&) = delete;
  int value() const { return value_; }

 private:
  int* alive_;
  int value_;
};

TEST(ObjectPoolTest, MakesAndDestroysAtStableAddresses) {
  int alive = 0;
  ObjectPool<Counted> pool;
  std::vector<Counted*> made;
  for (int i = 0; i < 1000; ++i) made.push_back(pool.Make(&alive, i));
  EXPECT_EQ(alive, 1000);
  EXPECT_EQ(pool.count(), 1000u);
  EXPECT_EQ(std::set<Counted*>(made.begin(), made.end()).size(), 1000u);
  for (int i = 0; i < 1000; ++i) {
    EXPECT_EQ(made[static_cast<size_t>(i)]->value(), i);
  }
  for (Counted* object : made) pool.Destroy(object);
  EXPECT_EQ(alive, 0);
  EXPECT_EQ(pool.count(), 0u);
}

TEST(ObjectPoolTest, ReusesPlaces) {
  ObjectPool<int> pool;
  pool.Reserve(100);
  std::set<int*> places;
  for (int round = 0; round < 50; ++round) {
    std::vector<int*> made;
    for (int i = 0; i < 100; ++i) made.push_back(pool.Make(i));
    places.insert(made.begin(), made.end());
    for (int* object : made) pool.Destroy(object);
  }
  EXPECT_LE(places.size(), 128u);
}

struct alignas(64) Line {
  char bytes[80];
};

TEST(ObjectPoolTest, KeepsAlignment) {
  ObjectPool<Line> pool;
  for (int i = 0; i < 3; ++i) {
    Line* line = pool.Make();
    EXPECT_EQ(reinterpret_cast<uintptr_t>(line) % 64, 0u);
    pool.Destroy(line);
  }
}

}  // namespace
}  // namespace longhaul
