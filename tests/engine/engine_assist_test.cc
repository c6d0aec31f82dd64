// An engine that other threads turn as well. Which thread takes a given turn is
// not determined; what is asserted holds whichever it was, or is tried until it
// was the one that is meant.
#include <fcntl.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdio>
#include <memory>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/text.h"
#include "engine/engine.h"
#include "engine/engine_parts.h"

namespace longhaul {
namespace {

// As many as it takes, on any machine, for each thread to be the one at least
// once.
constexpr int kTries = 10'000;
constexpr size_t kThreads = 3;

// Threads that assist until they are told to leave.
class Assistants {
 public:
  Assistants(Engine& engine, size_t count) : threads_(count) {
    for (std::thread& thread : threads_) {
      thread = std::thread([this, &engine] {
        while (!leave_.load(std::memory_order_relaxed)) {
          engine.Assist(Now());
          turns_.fetch_add(1, std::memory_order_relaxed);
        }
      });
    }
  }
  ~Assistants() {
    leave_.store(true, std::memory_order_relaxed);
    for (std::thread& thread : threads_) thread.join();
  }
  // Until they have come some times more.
  void AwaitTurns() const {
    const int enough = turns_.load(std::memory_order_relaxed) + 100;
    while (turns_.load(std::memory_order_relaxed) < enough) {
      std::this_thread::yield();
    }
  }

 private:
  std::atomic<bool> leave_{false};
  std::atomic<int> turns_{0};
  std::vector<std::thread> threads_;
};

// Reading and writing end of a pipe.
class ByteWay {
 public:
  ByteWay() { EXPECT_EQ(::pipe2(fds_.data(), O_NONBLOCK | O_CLOEXEC), 0); }
  ~ByteWay() {
    ::close(fds_[0]);
    ::close(fds_[1]);
  }
  ByteWay(const ByteWay&) = delete;
  ByteWay& operator=(const ByteWay&) = delete;

  int end() const { return fds_[0]; }
  void Write() const { ASSERT_EQ(::write(fds_[1], "x", 1), 1); }
  bool Read() const {
    char byte = 0;
    return ::read(fds_[0], &byte, 1) == 1;
  }

 private:
  std::array<int, 2> fds_{-1, -1};
};

class EngineAssistTest : public testing::TestWithParam<Duration> {
 protected:
  void SetUp() override {
    ASSERT_TRUE(engine_.Open().ok());
    ASSERT_TRUE(engine_.Start(GetParam(), /*assisted=*/true).ok());
  }
  // Without assisting.
  void Run(const std::function<void(TimePoint)>& what) {
    Signal done;
    Work work([&](TimePoint now) {
      what(now);
      done.Raise();
    });
    engine_.Post(&work);
    done.Wait();
  }
  std::unique_ptr<Probe> MakeProbe() {
    std::unique_ptr<Probe> probe;
    Run([&](TimePoint) { probe = std::make_unique<Probe>(engine_); });
    return probe;
  }
  void Destroy(std::unique_ptr<Probe> probe) {
    Run([&](TimePoint) { probe.reset(); });
  }

  Engine engine_;
};

TEST_P(EngineAssistTest, AnAssistantRunsWhatIsPosted) {
  const std::thread::id self = std::this_thread::get_id();
  std::atomic<int> runs{0};
  std::atomic<int> by_this_thread{0};
  Work work([&](TimePoint) {
    if (std::this_thread::get_id() == self) ++by_this_thread;
    ++runs;
  });
  int posted = 0;
  while (by_this_thread == 0 && posted < kTries) {
    engine_.Post(&work);
    ++posted;
    while (runs < posted) engine_.Assist(Now());
  }
  EXPECT_GT(by_this_thread, 0) << "all was left to the engine's thread";
  engine_.Stop();
  EXPECT_EQ(runs, posted);
}

TEST_P(EngineAssistTest, WithoutAnAssistantTheEnginesThreadRunsWhatIsPosted) {
  std::thread::id where;
  Run([&](TimePoint) { where = std::this_thread::get_id(); });
  EXPECT_NE(where, std::this_thread::get_id());
  EXPECT_NE(where, std::thread::id());
}

// The last assistant leaves at any point of the engine's thread's way to sleep.
TEST_P(EngineAssistTest, WhatIsPostedAfterTheLastAssistantIsRun) {
  std::atomic<uint32_t> runs{0};
  Work work([&](TimePoint) {
    runs.fetch_add(1, std::memory_order_release);
    runs.notify_one();
  });
  for (uint32_t i = 0; i < 500; ++i) {
    for (uint32_t turn = 0; turn < i % 4; ++turn) engine_.Assist(Now());
    engine_.Post(&work);
    runs.wait(i, std::memory_order_acquire);
  }
  engine_.Stop();  // `runs` may still be in use until then
  EXPECT_EQ(runs.load(), 500u);
}

TEST_P(EngineAssistTest, CommandsRunOnceAndInOrderWhoeverRunsThem) {
  constexpr size_t kCommands = 2000;
  std::array<std::vector<size_t>, kThreads> ran;  // in turns only
  std::array<std::vector<std::unique_ptr<Work>>, kThreads> commands;
  for (size_t t = 0; t < kThreads; ++t) {
    for (size_t i = 0; i < kCommands; ++i) {
      commands[t].push_back(std::make_unique<Work>(
          [&ran, t, i](TimePoint) { ran[t].push_back(i); }));
    }
  }
  {
    const Assistants assistants(engine_, kThreads);
    std::vector<std::thread> posters;
    for (size_t t = 0; t < kThreads; ++t) {
      posters.emplace_back([&, t] {
        for (const auto& command : commands[t]) engine_.Post(command.get());
      });
    }
    for (std::thread& poster : posters) poster.join();
    engine_.Stop();
  }
  for (const auto& order : ran) {
    ASSERT_EQ(order.size(), kCommands);
    for (size_t i = 0; i < kCommands; ++i) ASSERT_EQ(order[i], i);
  }
}

TEST_P(EngineAssistTest, AssistantsCall) {
  int count = 0;  // in turns only
  std::vector<std::thread> threads;
  for (size_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 300; ++i) {
        engine_.Assist(Now());
        bool called = false;
        engine_.Call([&](TimePoint) {
          ++count;
          called = true;
        });
        ASSERT_TRUE(called);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  engine_.Call([&](TimePoint) { EXPECT_EQ(count, 300 * 3); });
}

// Within a turn of any thread a call is made at once, or it would wait for
// itself.
TEST_P(EngineAssistTest, CallsFromWithinATurnAreMadeInIt) {
  const std::thread::id self = std::this_thread::get_id();
  std::atomic<bool> here{false};
  std::atomic<bool> there{false};
  std::atomic<int> runs{0};
  Work work([&](TimePoint) {
    const std::thread::id turner = std::this_thread::get_id();
    bool called = false;
    engine_.Call([&](TimePoint) {
      called = true;
      EXPECT_EQ(std::this_thread::get_id(), turner);
    });
    EXPECT_TRUE(called);
    (turner == self ? here : there) = true;
    ++runs;
  });
  int posted = 0;
  for (; posted < kTries && (!here || !there); ++posted) {
    engine_.Post(&work);
    // Now this thread, now the engine's.
    while (runs <= posted) {
      if (posted % 2 == 0) engine_.Assist(Now());
      std::this_thread::yield();
    }
  }
  EXPECT_TRUE(here);
  EXPECT_TRUE(there);
  engine_.Stop();
}

TEST_P(EngineAssistTest, DeadlinesSetInAnAssistantsTurnAreKeptWithoutIt) {
  constexpr int kRounds = 5;
  const std::thread::id self = std::this_thread::get_id();
  std::unique_ptr<Probe> probe = MakeProbe();
  std::unique_ptr<Probe> later = MakeProbe();
  Run([&](TimePoint now) { later->SetDeadline(now + 3600 * kSecond); });
  int set_here = 0;
  for (int i = 0; i < kTries && set_here < kRounds; ++i) {
    Signal polled;
    std::atomic<bool> set{false};
    std::thread::id setter;
    TimePoint deadline = 0;
    Work work([&](TimePoint) {
      setter = std::this_thread::get_id();
      deadline = Now() + 2 * kMillisecond;
      probe->on_poll = [&] { polled.Raise(); };
      probe->SetDeadline(deadline);
      set = true;
    });
    engine_.Post(&work);
    while (!set) engine_.Assist(Now());
    polled.Wait();  // and no more assistance
    Run([&](TimePoint) {
      EXPECT_GE(probe->last_time, deadline);
      EXPECT_EQ(probe->polls, i + 1);
      probe->on_poll = nullptr;
    });
    if (setter == self) ++set_here;
  }
  EXPECT_EQ(set_here, kRounds);
  Destroy(std::move(later));
  Destroy(std::move(probe));
}

TEST_P(EngineAssistTest, DescriptorsWakeTheirOwnersWithoutAssistants) {
  const ByteWay way;
  std::unique_ptr<Probe> probe = MakeProbe();
  for (int i = 0; i < 100; ++i) {
    Signal readable;
    Run([&](TimePoint) {
      probe->on_poll = [&] {
        if (way.Read()) readable.Raise();
      };
      if (i == 0) {
        ASSERT_TRUE(engine_.Watch(way.end(), *probe).ok());
      }
    });
    if (i % 2 == 1) engine_.Assist(Now());  // has just left
    way.Write();
    readable.Wait();
  }
  Run([&](TimePoint) { engine_.Unwatch(way.end()); });
  Destroy(std::move(probe));
}

TEST_P(EngineAssistTest, DescriptorsWakeTheirOwnersInAssistantsTurns) {
  const std::thread::id self = std::this_thread::get_id();
  const ByteWay way;
  std::unique_ptr<Probe> probe = MakeProbe();
  std::atomic<int> read{0};
  std::atomic<int> by_this_thread{0};
  Run([&](TimePoint) {
    probe->on_poll = [&] {
      if (!way.Read()) return;
      EXPECT_NE(probe->last_events & EPOLLIN, 0u);
      if (std::this_thread::get_id() == self) ++by_this_thread;
      ++read;
    };
    ASSERT_TRUE(engine_.Watch(way.end(), *probe).ok());
  });
  int written = 0;
  while (by_this_thread < 10 && written < kTries) {
    way.Write();
    ++written;
    while (read < written) engine_.Assist(Now());
  }
  EXPECT_EQ(by_this_thread, 10);
  EXPECT_EQ(read, written);
  Run([&](TimePoint) { engine_.Unwatch(way.end()); });
  Destroy(std::move(probe));
}

TEST_P(EngineAssistTest, StopsWhileAssistantsCome) {
  int ran = 0;  // in turns only
  std::vector<std::unique_ptr<Work>> pending;
  for (int i = 0; i < 200; ++i) {
    pending.push_back(std::make_unique<Work>([&](TimePoint) { ++ran; }));
  }
  const Assistants assistants(engine_, kThreads);
  assistants.AwaitTurns();
  for (const auto& work : pending) engine_.Post(work.get());
  engine_.Stop();
  EXPECT_EQ(ran, 200) << "what was posted before";
  assistants.AwaitTurns();  // who comes late does no harm
}

TEST_P(EngineAssistTest, StartsAgainAfterStop) {
  for (int i = 0; i < 20; ++i) {
    engine_.Assist(Now());
    engine_.Stop();
    ASSERT_TRUE(engine_.Start(GetParam(), /*assisted=*/true).ok());
    int ran = 0;
    Run([&](TimePoint) { ++ran; });
    EXPECT_EQ(ran, 1);
  }
}

INSTANTIATE_TEST_SUITE_P(All, EngineAssistTest,
                         testing::Values(Duration{0}, 20 * kMicrosecond),
                         [](const auto& spin) {
                           return "Spin" + std::to_string(spin.param) + "ns";
                         });

// Whether a thread of this process is blocked.
bool Sleeps(pid_t thread) {
  const std::string path = Text("/proc/self/task/%d/stat", thread);
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(
      std::fopen(path.c_str(), "re"), &std::fclose);
  char state = 0;
  return file != nullptr &&
         std::fscanf(file.get(), "%*d %*s %c", &state) == 1 && state == 'S';
}

// The engine's thread sleeps until an hour from now; an assistant by whose
// clock the hour is over finds the next deadline in two milliseconds.
TEST(EngineAssistSleepTest, ANearerDeadlineEndsTheThreadsSleep) {
  constexpr Duration kHour = 3600 * kSecond;
  Engine engine;
  ASSERT_TRUE(engine.Open().ok());
  ASSERT_TRUE(engine.Start(0, /*assisted=*/true).ok());
  std::unique_ptr<Probe> probe;
  Signal set_up;
  Signal polled_again;
  std::atomic<pid_t> thread{0};
  TimePoint deadline = 0;
  Work work([&](TimePoint now) {
    thread = ::gettid();
    probe = std::make_unique<Probe>(engine);
    probe->on_poll = [&] {
      if (probe->polls == 1) {
        probe->SetDeadline(Now() + 2 * kMillisecond);
      } else {
        polled_again.Raise();
      }
    };
    deadline = now + kHour;
    probe->SetDeadline(deadline);
    set_up.Raise();
  });
  engine.Post(&work);
  set_up.Wait();
  while (!Sleeps(thread)) std::this_thread::yield();
  engine.Assist(deadline);
  polled_again.Wait();
  engine.Call([&](TimePoint) {
    EXPECT_EQ(probe->polls, 2);
    probe.reset();
  });
}

}  // namespace
}  // namespace longhaul
