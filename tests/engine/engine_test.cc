#include "engine/engine.h"

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <csignal>
#include <thread>

#include "base/clock.h"
#include "engine/engine_parts.h"

namespace longhaul {
namespace {

// Driven inline.

TEST(EngineTurnTest, CommandsRunInOrderWithTheTurnsTime) {
  Engine engine;
  std::vector<int> order;
  TimePoint time = 0;
  Work first([&](TimePoint now) {
    order.push_back(1);
    time = now;
  });
  Work second([&](TimePoint) { order.push_back(2); });
  engine.Post(&first);
  engine.Post(&second);
  EXPECT_TRUE(order.empty());
  EXPECT_TRUE(engine.Turn(42));
  EXPECT_EQ(order, (std::vector<int>{1, 2}));
  EXPECT_EQ(time, 42);
  EXPECT_FALSE(engine.Turn(43));
}

TEST(EngineTurnTest, CommandMayBePostedAgainAndDestroyItself) {
  Engine engine;
  int runs = 0;
  Work again([&](TimePoint) { ++runs; });
  for (int i = 0; i < 3; ++i) {
    engine.Post(&again);
    engine.Turn(0);
  }
  EXPECT_EQ(runs, 3);
  Work after([&](TimePoint) { ++runs; });
  class OneShot final : public Command {
    void Run(TimePoint) override { delete this; }
  };
  engine.Post(new OneShot);
  engine.Post(&after);
  engine.Turn(0);
  EXPECT_EQ(runs, 4);
}

TEST(EngineTurnTest, WakeAsksForOnePoll) {
  Engine engine;
  Probe probe(engine);
  EXPECT_FALSE(engine.Turn(1));
  probe.Wake();
  probe.Wake();
  EXPECT_TRUE(engine.HasReady());
  EXPECT_TRUE(engine.Turn(7));
  EXPECT_EQ(probe.polls, 1);
  EXPECT_EQ(probe.last_events, 0u);
  EXPECT_EQ(probe.last_time, 7);
  EXPECT_FALSE(engine.Turn(8));
}

TEST(EngineTurnTest, WhoWakesItselfDoesNotStarveOthers) {
  Engine engine;
  Probe greedy(engine);
  Probe other(engine);
  greedy.on_poll = [&] { greedy.Wake(); };
  greedy.Wake();
  other.Wake();
  engine.Turn(0);
  EXPECT_EQ(greedy.polls, 1);
  EXPECT_EQ(other.polls, 1);
  engine.Turn(0);
  EXPECT_EQ(greedy.polls, 2);
}

TEST(EngineTurnTest, DeadlinesComeInOrderAndOnce) {
  Engine engine;
  std::array<std::unique_ptr<Probe>, 3> probes;
  std::vector<size_t> order;
  for (size_t i = 0; i < probes.size(); ++i) {
    probes[i] = std::make_unique<Probe>(engine);
    probes[i]->on_poll = [&order, i] { order.push_back(i); };
  }
  EXPECT_EQ(engine.NextDeadline(), kNever);
  probes[0]->SetDeadline(30);
  probes[1]->SetDeadline(10);
  probes[2]->SetDeadline(20);
  EXPECT_EQ(engine.NextDeadline(), 10);
  EXPECT_FALSE(engine.Turn(9));
  EXPECT_TRUE(engine.Turn(10));
  EXPECT_EQ(order, (std::vector<size_t>{1}));
  EXPECT_EQ(probes[1]->deadline(), kNever);
  EXPECT_TRUE(engine.Turn(30));
  EXPECT_EQ(order, (std::vector<size_t>{1, 2, 0}));
  EXPECT_FALSE(engine.Turn(100));
}

TEST(EngineTurnTest, DeadlinesMoveAndGo) {
  Engine engine;
  Probe probe(engine);
  auto gone = std::make_unique<Probe>(engine);
  probe.SetDeadline(10);
  probe.SetDeadline(50);
  gone->SetDeadline(5);
  EXPECT_EQ(engine.NextDeadline(), 5);
  gone.reset();
  EXPECT_EQ(engine.NextDeadline(), 50);
  EXPECT_FALSE(engine.Turn(49));
  probe.SetDeadline(20);
  EXPECT_EQ(engine.NextDeadline(), 20);
  probe.SetDeadline(kNever);
  EXPECT_EQ(engine.NextDeadline(), kNever);
  EXPECT_FALSE(engine.Turn(1000));
  EXPECT_EQ(probe.polls, 0);
}

TEST(EngineTurnTest, DestroyingAReadyPollableDuringATurn) {
  Engine engine;
  Probe killer(engine);
  auto later = std::make_unique<Probe>(engine);  // ready in this turn
  auto woken = std::make_unique<Probe>(engine);  // ready in the next
  killer.on_poll = [&] {
    woken->Wake();
    later.reset();
    woken.reset();
  };
  killer.Wake();
  later->Wake();
  engine.Turn(0);
  engine.Turn(0);
  EXPECT_EQ(killer.polls, 1);
}

TEST(EngineTurnTest, PollableMayDestroyItself) {
  class OneShot final : public Pollable {
   public:
    using Pollable::Pollable;
    void Poll(uint32_t /*events*/, TimePoint /*now*/) override {
      Wake();
      SetDeadline(5);
      delete this;
    }
  };
  Engine engine;
  (new OneShot(engine))->Wake();
  EXPECT_TRUE(engine.Turn(0));
  engine.Turn(10);
  EXPECT_EQ(engine.NextDeadline(), kNever);
}

TEST(EngineTurnTest, DescriptorEventsAreEdgeTriggered) {
  Engine engine;
  ASSERT_TRUE(engine.Open().ok());
  std::array<int, 2> fds;
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds.data()),
            0);
  Probe probe(engine);
  ASSERT_TRUE(engine.Watch(fds[0], probe).ok());
  ASSERT_TRUE(engine.TakeEvents(kSecond)) << "writable from the start";
  engine.Turn(0);
  EXPECT_EQ(probe.last_events, uint32_t{EPOLLOUT});
  EXPECT_FALSE(engine.TakeEvents(0));

  ASSERT_EQ(::write(fds[1], "x", 1), 1);
  ASSERT_TRUE(engine.TakeEvents(kSecond));
  engine.Turn(0);
  EXPECT_NE(probe.last_events & EPOLLIN, 0u);
  EXPECT_FALSE(engine.TakeEvents(0)) << "the same byte, told twice";

  ::close(fds[1]);
  ASSERT_TRUE(engine.TakeEvents(kSecond));
  engine.Turn(0);
  EXPECT_NE(probe.last_events & EPOLLRDHUP, 0u);
  engine.Unwatch(fds[0]);
  ::close(fds[0]);
}

TEST(EngineTurnTest, UnwatchedDescriptorIsSilent) {
  Engine engine;
  ASSERT_TRUE(engine.Open().ok());
  std::array<int, 2> fds;
  ASSERT_EQ(::pipe2(fds.data(), O_NONBLOCK | O_CLOEXEC), 0);
  {
    Probe probe(engine);
    ASSERT_TRUE(engine.Watch(fds[0], probe).ok());
    ASSERT_EQ(::write(fds[1], "x", 1), 1);
    ASSERT_TRUE(engine.TakeEvents(kSecond));
    engine.Unwatch(fds[0]);
  }
  EXPECT_TRUE(engine.HasReady()) << "an empty place is left";
  engine.Turn(0);
  EXPECT_FALSE(engine.HasReady());
  EXPECT_FALSE(engine.TakeEvents(0));
  ::close(fds[0]);
  ::close(fds[1]);
}

TEST(EngineTurnTest, WatchingWhatIsNoDescriptorIsAFault) {
  Engine engine;
  ASSERT_TRUE(engine.Open().ok());
  Probe probe(engine);
  EXPECT_FALSE(engine.Watch(-1, probe).ok());
}

// Has the calling thread, and those it starts, find no epoll_pwait2, as on
// Linux before 5.11. False if the kernel does not permit that.
bool ForgetEpollPwait2() {
  std::array<sock_filter, 4> program = {
      sock_filter BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
                           offsetof(seccomp_data, nr)),
      sock_filter BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_epoll_pwait2, 0, 1),
      sock_filter BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
      sock_filter BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
  const sock_fprog filter{program.size(), program.data()};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

void CheckThatDescriptorsAndTimesAreKept() {
  if (!ForgetEpollPwait2()) GTEST_SKIP() << "no seccomp here";
  Engine engine;
  ASSERT_TRUE(engine.Open().ok());
  TimePoint begin = Now();
  EXPECT_FALSE(engine.TakeEvents(1500 * kMicrosecond));
  EXPECT_GE(Now() - begin, 1500 * kMicrosecond);

  std::array<int, 2> fds;
  ASSERT_EQ(::pipe2(fds.data(), O_NONBLOCK | O_CLOEXEC), 0);
  Probe probe(engine);
  ASSERT_TRUE(engine.Watch(fds[0], probe).ok());
  ASSERT_EQ(::write(fds[1], "x", 1), 1);
  EXPECT_TRUE(engine.TakeEvents(kNever));
  engine.Unwatch(fds[0]);
  ::close(fds[0]);
  ::close(fds[1]);
}

TEST(EngineTurnTest, KernelsWithoutEpollPwait2Serve) {
  std::thread(CheckThatDescriptorsAndTimesAreKept).join();
}

// On a thread of its own. Without time to spin it sleeps whenever it can; with
// much it never does.
class EngineThreadTest : public testing::TestWithParam<Duration> {
 protected:
  void SetUp() override {
    ASSERT_TRUE(engine_.Open().ok());
    ASSERT_TRUE(engine_.Start(GetParam()).ok());
  }
  Engine engine_;
};

TEST_P(EngineThreadTest, StopsWithNothingToDo) {
  engine_.Stop();
  engine_.Stop();
}

TEST_P(EngineThreadTest, StartsAgainAfterStop) {
  engine_.Stop();
  ASSERT_TRUE(engine_.Start(GetParam()).ok());
  std::thread::id where;
  engine_.Call([&](TimePoint) { where = std::this_thread::get_id(); });
  EXPECT_NE(where, std::this_thread::get_id());
}

TEST_P(EngineThreadTest, CallRunsOnTheEnginesThreadAndWaits) {
  std::thread::id where;
  std::thread::id nested;
  engine_.Call([&](TimePoint) {
    where = std::this_thread::get_id();
    engine_.Call([&](TimePoint) { nested = std::this_thread::get_id(); });
  });
  EXPECT_NE(where, std::this_thread::get_id());
  EXPECT_EQ(where, nested);
  engine_.Stop();
  engine_.Call([&](TimePoint) { where = std::this_thread::get_id(); });
  EXPECT_EQ(where, std::this_thread::get_id()) << "without a thread: inline";
}

TEST_P(EngineThreadTest, CommandsOfManyThreadsRunOnceAndInOrder) {
  constexpr size_t kThreads = 4;
  constexpr size_t kCommands = 2000;
  std::array<std::vector<size_t>, kThreads> ran;  // on the engine's thread
  std::array<std::vector<std::unique_ptr<Work>>, kThreads> commands;
  for (size_t t = 0; t < kThreads; ++t) {
    for (size_t i = 0; i < kCommands; ++i) {
      commands[t].push_back(std::make_unique<Work>(
          [&ran, t, i](TimePoint) { ran[t].push_back(i); }));
    }
  }
  std::vector<std::thread> threads;
  for (size_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (const auto& command : commands[t]) engine_.Post(command.get());
    });
  }
  for (std::thread& thread : threads) thread.join();
  engine_.Stop();
  for (const auto& order : ran) {
    ASSERT_EQ(order.size(), kCommands);
    for (size_t i = 0; i < kCommands; ++i) ASSERT_EQ(order[i], i);
  }
}

// Each round leaves the engine time to fall asleep between command and
// command: a wake-up lost would hang it.
TEST_P(EngineThreadTest, EveryPostWakesTheEngine) {
  std::atomic<uint32_t> done{0};
  Work work([&](TimePoint) {
    done.fetch_add(1, std::memory_order_release);
    done.notify_one();
  });
  const uint32_t rounds = GetParam() == kSecond ? 100 : 3000;
  for (uint32_t i = 0; i < rounds; ++i) {
    engine_.Post(&work);
    done.wait(i, std::memory_order_acquire);
  }
  engine_.Stop();  // `done` may still be in use until then
  EXPECT_EQ(done.load(), rounds);
}

TEST_P(EngineThreadTest, CallsFromManyThreads) {
  int count = 0;  // on the engine's thread only
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 200; ++i) {
        engine_.Call([&](TimePoint) { ++count; });
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(count, 800);
}

TEST_P(EngineThreadTest, StopRunsWhatWasPostedBefore) {
  int ran = 0;
  Signal entered;
  Signal leave;
  Work blocker([&](TimePoint) {
    entered.Raise();
    leave.Wait();
  });
  std::vector<std::unique_ptr<Work>> pending;
  engine_.Post(&blocker);
  entered.Wait();
  for (int i = 0; i < 100; ++i) {
    pending.push_back(std::make_unique<Work>([&](TimePoint) { ++ran; }));
    engine_.Post(pending.back().get());
  }
  leave.Raise();
  engine_.Stop();
  EXPECT_EQ(ran, 100);
}

TEST_P(EngineThreadTest, DeadlinePollsWithoutOtherWork) {
  std::unique_ptr<Probe> probe;
  Signal polled;
  TimePoint deadline = 0;
  engine_.Call([&](TimePoint now) {
    probe = std::make_unique<Probe>(engine_);
    probe->on_poll = [&] { polled.Raise(); };
    deadline = now + 2 * kMillisecond;
    probe->SetDeadline(deadline);
  });
  polled.Wait();
  engine_.Call([&](TimePoint) {
    EXPECT_EQ(probe->polls, 1);
    EXPECT_GE(probe->last_time, deadline);
    probe.reset();
  });
}

TEST_P(EngineThreadTest, DescriptorWakesTheEngine) {
  std::array<int, 2> fds;
  ASSERT_EQ(::pipe2(fds.data(), O_NONBLOCK | O_CLOEXEC), 0);
  std::unique_ptr<Probe> probe;
  Signal readable;
  engine_.Call([&](TimePoint) {
    probe = std::make_unique<Probe>(engine_);
    probe->on_poll = [&] {
      if ((probe->last_events & EPOLLIN) != 0) readable.Raise();
    };
    ASSERT_TRUE(engine_.Watch(fds[0], *probe).ok());
  });
  ASSERT_EQ(::write(fds[1], "x", 1), 1);
  readable.Wait();
  engine_.Call([&](TimePoint) {
    engine_.Unwatch(fds[0]);
    probe.reset();
  });
  ::close(fds[0]);
  ::close(fds[1]);
}

TEST_P(EngineThreadTest, ItsThreadBlocksSignals) {
  sigset_t blocked;
  sigset_t here_before;
  sigset_t here;
  pthread_sigmask(SIG_SETMASK, nullptr, &here_before);
  engine_.Call(
      [&](TimePoint) { pthread_sigmask(SIG_SETMASK, nullptr, &blocked); });
  EXPECT_EQ(sigismember(&blocked, SIGINT), 1);
  EXPECT_EQ(sigismember(&blocked, SIGCHLD), 1);
  pthread_sigmask(SIG_SETMASK, nullptr, &here);
  EXPECT_EQ(sigismember(&here, SIGINT), sigismember(&here_before, SIGINT));
}

INSTANTIATE_TEST_SUITE_P(All, EngineThreadTest,
                         testing::Values(Duration{0}, 20 * kMicrosecond,
                                         kSecond),
                         [](const auto& spin) {
                           return "Spin" + std::to_string(spin.param) + "ns";
                         });

}  // namespace
}  // namespace longhaul
