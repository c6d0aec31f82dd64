#include "path/credit.h"

#include <deque>
#include <random>

#include "support/pch.h"

namespace longhaul {
namespace {

using Entry = RecvCredit::Entry;

TEST(Credit, AChunkIsChargedTheMemoryItTakes) {
  EXPECT_EQ(ChargeFor(0), kChunkCost);
  EXPECT_EQ(ChargeFor(1), kChunkCost + BlockPool::kMinBlock);
  EXPECT_EQ(ChargeFor(1 << 20), kChunkCost + (1 << 20));
  EXPECT_EQ(ChargeFor((1 << 20) + 1), kChunkCost + (2 << 20));
}

TEST(Credit, TheSenderStopsAtTheLimit) {
  SendCredit credit(2 * ChargeFor(1000));
  EXPECT_EQ(credit.Room(1000), 1000);
  EXPECT_EQ(credit.Charge(1000), 0u);
  EXPECT_EQ(credit.Charge(1000), ChargeFor(1000));
  EXPECT_EQ(credit.Room(1000), -1);
  EXPECT_EQ(credit.Room(0), -1) << "an empty chunk costs, too";
  credit.Raise(2 * ChargeFor(1000) + kChunkCost);
  EXPECT_EQ(credit.Room(0), 0);
  EXPECT_EQ(credit.Room(1), -1);
}

TEST(Credit, ALimitNeverFalls) {
  SendCredit credit(10'000);
  credit.Raise(5'000);
  EXPECT_EQ(credit.Room(4096), 4096);
}

TEST(Credit, LongMessagesAreCutOnlyInWorthwhilePieces) {
  SendCredit credit(100'000);
  EXPECT_EQ(credit.Room(1 << 20), 65536);
  SendCredit little(kSmallestCut + kChunkCost - 1);
  EXPECT_EQ(little.Room(1 << 20), -1);
  SendCredit enough(kSmallestCut + kChunkCost);
  EXPECT_EQ(enough.Room(1 << 20), static_cast<int64_t>(kSmallestCut));
}

TEST(Credit, WhatDidNotGoIsRefunded) {
  SendCredit credit(ChargeFor(100));
  credit.Charge(100);
  credit.Refund(100);
  EXPECT_EQ(credit.Room(100), 100);
}

TEST(Credit, TheReceiverRefusesWhatIsNotCovered) {
  RecvCredit credit(ChargeFor(1000));
  EXPECT_TRUE(credit.Covers(0, 1000));
  EXPECT_FALSE(credit.Covers(1, 1000));
  EXPECT_FALSE(credit.Covers(0, 2000));
  EXPECT_FALSE(credit.Covers(~uint64_t{0}, 0));
  EXPECT_FALSE(credit.Covers(~uint64_t{0} - 100, 1000)) << "it would wrap";
}

TEST(Credit, AChunkIsCountedOnceHoweverOftenItComes) {
  RecvCredit credit(100'000);
  EXPECT_EQ(credit.Enter(0, 1000), Entry::kNew);
  EXPECT_EQ(credit.Enter(0, 1000), Entry::kKnown);
  EXPECT_EQ(credit.Enter(2 * ChargeFor(1000), 1000), Entry::kNew);
  EXPECT_EQ(credit.Enter(ChargeFor(1000), 1000), Entry::kNew);
  EXPECT_EQ(credit.Enter(2 * ChargeFor(1000), 1000), Entry::kKnown);
}

TEST(Credit, ChargesThatOverlapAreWrong) {
  RecvCredit credit(100'000);
  EXPECT_EQ(credit.Enter(1000, 1000), Entry::kNew);
  EXPECT_EQ(credit.Enter(999, 1000), Entry::kWrong);
  EXPECT_EQ(credit.Enter(1001, 1000), Entry::kWrong);
}

TEST(Credit, NothingIsDueWhereNothingWasReleased) {
  EXPECT_FALSE(RecvCredit(0).Due()) << "it would be told for ever";
  EXPECT_FALSE(RecvCredit(1000).Due());
}

TEST(Credit, AQuarterReleasedIsDueAndSaidOnce) {
  RecvCredit credit(4 * ChargeFor(1000));
  EXPECT_EQ(credit.Enter(0, 1000), Entry::kNew);
  EXPECT_FALSE(credit.Due());
  credit.Release(1000);
  EXPECT_TRUE(credit.Due());
  EXPECT_EQ(credit.Announce(), 5 * ChargeFor(1000));
  EXPECT_FALSE(credit.Due());
}

// A sender and a receiver with the smallest account there is, chunks that come
// late, twice, and in any order: the sender never ends up without credit once
// all is consumed, and the receiver never holds more than the account.
TEST(Credit, TheSmallestAccountNeverLocksUp) {
  struct Chunk {
    uint64_t at;
    uint64_t size;
  };
  for (unsigned seed = 0; seed < 100; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    SendCredit sender(kLeastReserve);
    RecvCredit receiver(kLeastReserve);
    std::vector<Chunk> on_the_way;
    std::deque<Chunk> held;
    uint64_t memory = 0;
    uint64_t left = 1'000'000;
    for (int step = 0; left > 0; ++step) {
      ASSERT_LT(step, 100'000) << "locked up";
      const uint64_t want = std::min<uint64_t>(left, 1 + random() % 20'000);
      const int64_t room = sender.Room(want);
      if (room > 0 && random() % 2 == 0) {
        const auto size = static_cast<uint64_t>(room);
        on_the_way.push_back({sender.Charge(size), size});
        if (random() % 4 == 0) on_the_way.push_back(on_the_way.back());
        left -= size;
      }
      if (!on_the_way.empty() && random() % 2 == 0) {
        const size_t which = random() % on_the_way.size();
        const Chunk chunk = on_the_way[which];
        on_the_way.erase(on_the_way.begin() + static_cast<long>(which));
        ASSERT_TRUE(receiver.Covers(chunk.at, chunk.size));
        const Entry entry = receiver.Enter(chunk.at, chunk.size);
        ASSERT_NE(entry, Entry::kWrong);
        if (entry == Entry::kNew) {
          held.push_back(chunk);
          memory += BlockPool::BlockSize(chunk.size);
          ASSERT_LE(memory, kLeastReserve);
        }
      }
      if (!held.empty() && random() % 2 == 0) {
        receiver.Release(held.front().size);
        memory -= BlockPool::BlockSize(held.front().size);
        held.pop_front();
      }
      if (receiver.Due()) sender.Raise(receiver.Announce());
    }
  }
}

}  // namespace
}  // namespace longhaul
