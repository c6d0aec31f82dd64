// What a connection's users see while all goes well.
#include "path/connection.h"

#include "path/path_world.h"

namespace longhaul {
namespace {

class Connections : public testing::TestWithParam<bool> {
 protected:
  PathConfig Config() const {
    PathConfig config;
    config.retain = GetParam();
    return config;
  }
};

INSTANTIATE_TEST_SUITE_P(, Connections, testing::Bool(), [](const auto& param) {
  return param.param ? "Retained" : "Lent";
});

TEST_P(Connections, MessagesOfAllSizesArrive) {
  const PathConfig config = Config();
  const size_t chunk = config.chunk_size;
  const std::vector<size_t> sizes = {
      0,         1,     95,        96,        97,
      chunk - 1, chunk, chunk + 1, 2 * chunk, 2 * chunk + 1,
      255,       256,   257,       1'000'003, 10'000'000};
  for (const bool posted_first : {true, false}) {
    SCOPED_TRACE(posted_first ? "posted before" : "posted after");
    PathWorld path(config);
    path.AddFlow(kWan);
    for (const size_t size : sizes) path.MakeAToB(size);
    for (const size_t size : sizes) {
      path.Make(path.b, path.a, size, path.next_sequence++);
    }
    if (posted_first) {
      for (const auto& message : path.messages) message->Recv();
      path.RunFor(100 * kMillisecond);
    }
    for (const auto& message : path.messages) message->Send();
    if (!posted_first) {
      path.RunFor(kSecond);
      for (const auto& message : path.messages) message->Recv();
    }
    EXPECT_TRUE(path.RunUntilArrived(10 * kSecond));
    path.RunFor(kSecond);
    path.ExpectWell();
    EXPECT_EQ(path.a.pool.bytes_in_use(), 0u);
    EXPECT_EQ(path.b.pool.bytes_in_use(), 0u);
    EXPECT_EQ(path.b->Counters().in.twin_bytes, 0u);
  }
}

TEST_P(Connections, SendsWaitForTheFirstFlow) {
  PathWorld path(Config());
  Message& message = path.MakeAToB(1000);
  message.Send();
  message.Recv();
  path.RunFor(kSecond);
  EXPECT_EQ(message.send.back, 0);
  path.AddFlow(kWan);
  EXPECT_TRUE(path.RunUntilArrived(kSecond));
  path.ExpectWell();
}

TEST_P(Connections, AGrantedMessageGoesStraightToItsTarget) {
  PathWorld path(Config());
  path.AddFlow(kWan);
  Message& message = path.MakeAToB(10 << 20);
  message.Recv();
  path.RunFor(kSecond);
  message.Send();
  size_t most = 0;
  EXPECT_TRUE(path.RunUntil(
      [&] {
        most = std::max(most, path.b.pool.bytes_in_use());
        return message.Arrived();
      },
      kSecond));
  EXPECT_EQ(most, 0u) << "it was stored on the way";
  EXPECT_EQ(path.b->Counters().in.unexpected_bytes, 0u);
  EXPECT_TRUE(path.b.recorder.unexpected.empty());
}

TEST_P(Connections, UnexpectedMessagesAreAnnouncedOnce) {
  PathWorld path(Config());
  path.AddFlow(kWan);
  Message& message = path.MakeAToB(300'000);
  message.send.fingerprint.count = 77;
  message.recv.fingerprint.count = 77;
  message.Send();
  path.RunFor(kSecond);
  ASSERT_EQ(path.b.recorder.unexpected.size(), 1u);
  EXPECT_EQ(path.b.recorder.unexpected[0].id, message.send.id);
  EXPECT_EQ(path.b.recorder.unexpected[0].fingerprint.count, 77u);
  int visited = 0;
  const auto count = [&](const ChunkHeader& header) {
    EXPECT_EQ(header.id, message.send.id);
    ++visited;
  };
  path.b->ForEachUnexpected(path.b.Operation(message.send.id.sequence), count);
  path.b->ForEachUnexpected(path.b.Operation(999), count);
  EXPECT_EQ(visited, 1);
  message.Recv();
  EXPECT_TRUE(path.RunUntilArrived(kSecond));
  path.b->ForEachUnexpected(path.b.Operation(message.send.id.sequence), count);
  EXPECT_EQ(visited, 1) << "it is not unexpected any more";
}

TEST(Connection, WhoAttachesLateHearsOfWhatIsThere) {
  PathWorld path;
  path.AddFlow(kWan);
  Recorder late;
  const MessageId id{kCommunicator, 0, 3, 0, 5, 0};  // to rank 5, also at b
  Message& message = path.Make(path.a, path.b, 100, id);
  message.Send();
  path.a->Tell({kCommunicator, 0, 9, Status(StatusCode::kAborted, "enough")});
  path.RunFor(kSecond);
  path.b->Attach(kCommunicator, 5, late);
  ASSERT_EQ(late.unexpected.size(), 1u);
  EXPECT_EQ(late.unexpected[0].id, id);
  ASSERT_EQ(late.notices.size(), 1u);
  EXPECT_EQ(late.notices[0].sequence, 9u);
  message.Recv();
  EXPECT_TRUE(path.RunUntilArrived(kSecond));
}

// --- Order

TEST_P(Connections, MessagesOfAStreamArriveInTheOrderOfSend) {
  PathWorld path(Config());
  path.AddFlow(kWan);
  for (int i = 0; i < 50; ++i) {
    path.MakeAToB(static_cast<size_t>(i * 7919 % 200'000));
  }
  for (const auto& message : path.messages) message->Recv();
  path.RunFor(kSecond);
  for (const auto& message : path.messages) message->Send();
  EXPECT_TRUE(path.RunUntilArrived(10 * kSecond));
  std::vector<uint64_t> order;
  for (const MessageId& id : path.b.recorder.received) {
    order.push_back(id.sequence);
  }
  EXPECT_TRUE(std::is_sorted(order.begin(), order.end()));
}

TEST_P(Connections, AHugeMessageDoesNotStarveOtherStreams) {
  PathConfig config = Config();
  config.retention = 1 << 20;
  PathWorld path(config);
  path.AddFlow({.rate = 1e8, .delay = kMillisecond});
  Message& huge = path.Make(path.a, path.b, 50 << 20,
                            MessageId{kCommunicator, 0, 1, 0, 1, 0});
  huge.Recv();
  path.RunFor(10 * kMillisecond);
  huge.Send();
  path.RunFor(50 * kMillisecond);
  // Ten small messages of another pair of ranks, in the midst of it.
  for (uint64_t i = 0; i < 10; ++i) {
    Message& small =
        path.Make(path.a, path.b, 100, MessageId{kCommunicator, 0, 2, 8, 1, i});
    small.Recv();
    small.Send();
  }
  const TimePoint start = path.world.now();
  EXPECT_TRUE(path.RunUntil(
      [&] {
        return std::all_of(path.messages.begin() + 1, path.messages.end(),
                           [](const auto& m) { return m->Arrived(); });
      },
      kSecond));
  EXPECT_LT(path.world.now() - start, 40 * kMillisecond);
  EXPECT_EQ(huge.recv.back, 0);
  EXPECT_TRUE(path.RunUntilArrived(kSecond));
}

TEST_P(Connections, StreamsShareTheLineEvenly) {
  PathWorld path(Config());
  path.AddFlow({.rate = 1e8, .delay = kMillisecond});
  constexpr uint32_t kStreams = 4;
  for (uint32_t i = 0; i < kStreams; ++i) {
    path.Make(path.a, path.b, 4 << 20,
              MessageId{kCommunicator, 0, 1, 10 + i, 1, 0});
  }
  for (const auto& message : path.messages) message->Recv();
  path.RunFor(10 * kMillisecond);
  for (const auto& message : path.messages) message->Send();
  TimePoint first = 0;
  path.b.recorder.on_received = [&](TestRecv&) {
    if (first == 0) first = path.world.now();
  };
  const TimePoint start = path.world.now();
  EXPECT_TRUE(path.RunUntilArrived(kSecond));
  const Duration last = path.world.now() - start;
  EXPECT_GT(first - start, last * 9 / 10) << "one stream went ahead";
}

// A message without credit waits, one that is granted goes past it.
TEST_P(Connections, LackOfCreditHoldsUpOnlyWhatNeedsIt) {
  PathConfig config = Config();
  config.shared_credit = 64 << 10;
  config.stream_reserve = 16 << 10;
  PathWorld path(config);
  path.AddFlow(kWan);
  Message& waiting = path.MakeAToB(1 << 20);
  Message& granted = path.MakeAToB(1 << 20);
  granted.Recv();
  path.RunFor(100 * kMillisecond);
  waiting.Send();
  granted.Send();
  EXPECT_TRUE(path.RunUntil([&] { return granted.Arrived(); }, kSecond));
  EXPECT_EQ(waiting.send.back, 0);
  EXPECT_GT(path.a->Counters().out.credit_waits, 0u);
  waiting.Recv();
  EXPECT_TRUE(path.RunUntilArrived(kSecond));
  path.ExpectWell();
}

// --- When a send is done

TEST(Connection, ARetainedSendIsDoneWithoutARoundTrip) {
  PathWorld path;
  path.AddFlow({.rate = 1e9, .delay = 100 * kMillisecond});
  Message& message = path.MakeAToB(500'000);
  message.Send();
  EXPECT_TRUE(
      path.RunUntil([&] { return message.send.back == 1; }, kMillisecond));
  EXPECT_EQ(path.b->Counters().in.bytes, 0u);
  EXPECT_GE(path.a.pool.bytes_in_use(), 500'000u);
  message.Recv();
  EXPECT_TRUE(path.RunUntilArrived(kSecond));
  path.RunFor(kSecond);
  EXPECT_EQ(path.a.pool.bytes_in_use(), 0u) << "acknowledged, yet retained";
}

TEST(Connection, ALentSendIsDoneWhenTheTransportHasReadIt) {
  PathConfig config;
  config.retain = false;
  PathWorld path(config);
  path.AddFlow({.rate = 1e6, .delay = 100 * kMillisecond});
  Message& message = path.MakeAToB(500'000);  // half a second on the line
  message.Send();
  path.RunFor(490 * kMillisecond);
  EXPECT_EQ(message.send.back, 0);
  EXPECT_EQ(path.a.pool.bytes_in_use(), 0u) << "nothing is copied";
  EXPECT_TRUE(
      path.RunUntil([&] { return message.send.back == 1; }, 20 * kMillisecond));
  message.Recv();
  EXPECT_TRUE(path.RunUntilArrived(kSecond));
}

TEST(Connection, RetentionIsBounded) {
  PathConfig config;
  config.retention = 1 << 20;
  PathWorld path(config);
  path.AddFlow({.rate = 1e9, .delay = 50 * kMillisecond});
  for (int i = 0; i < 20; ++i) path.MakeAToB(1'000'003);
  for (const auto& message : path.messages) {
    message->Recv();
    message->Send();
  }
  size_t most = 0;
  EXPECT_TRUE(path.RunUntil(
      [&] {
        most = std::max(most, path.a.pool.bytes_in_use());
        return path.b.recorder.received.size() == 20;
      },
      20 * kSecond));
  EXPECT_LE(most, size_t{1} << 20);
  EXPECT_GT(path.a->Counters().out.retention_waits, 0u);
}

TEST(Connection, RetentionGrowsToItsBoundWhereItHoldsTheLineBack) {
  for (const uint64_t most : {1u << 20, 16u << 20}) {
    PathConfig config;
    config.retention = most;
    PathWorld path(config);
    // The bandwidth-delay product is 10 MB.
    path.AddFlow({.rate = 1e8, .delay = 50 * kMillisecond});
    Message& message = path.MakeAToB(50'000'000);
    message.Recv();
    path.RunFor(kSecond);
    const TimePoint start = path.world.now();
    message.Send();
    EXPECT_TRUE(path.RunUntilArrived(60 * kSecond));
    const Duration took = path.world.now() - start;
    if (most == 1 << 20) {
      EXPECT_GT(took, 4 * kSecond);
    } else {
      EXPECT_LT(took, 800 * kMillisecond);
    }
  }
}

// The pool is shared with others: whoever gives memory back does not tell us.
TEST(Connection, GoesOnWhenThePoolHasMemoryAgain) {
  PathConfig config;
  config.pool = 4 << 20;
  PathWorld path(config);
  path.AddFlow(kWan);
  std::vector<uint8_t*> taken;
  while (uint8_t* block = path.a.pool.Take(64 << 10)) taken.push_back(block);
  Message& message = path.MakeAToB(100'000);
  message.Recv();
  message.Send();
  path.RunFor(kSecond);
  EXPECT_EQ(message.send.back, 0);
  for (uint8_t* block : taken) path.a.pool.Give(block, 64 << 10);
  EXPECT_TRUE(path.RunUntilArrived(100 * kMillisecond));
}

// --- Giving up

TEST_P(Connections, ASendNotBegunComesBackAtOnce) {
  PathWorld path(Config());
  Message& message = path.MakeAToB(1000);
  message.Send();
  path.a->Cancel(message.send, Status(StatusCode::kAborted, "changed my mind"));
  EXPECT_EQ(message.send.back, 1);
  EXPECT_EQ(message.send.result.text(), "changed my mind");
  path.AddFlow(kWan);
  path.RunFor(kSecond);
  EXPECT_EQ(path.b->Counters().in.bytes, 0u);
  EXPECT_TRUE(path.a.recorder.faults.empty());
}

TEST_P(Connections, CancelledAtAnyInstantMemoryComesBackAndStaysUntouched) {
  // 2 MB take 20 ms on the line, after 1 ms of delay.
  for (Duration at = 0; at <= 24 * kMillisecond; at += 700 * kMicrosecond) {
    SCOPED_TRACE(at);
    PathConfig config = Config();
    config.chunk_size = 256 << 10;
    PathWorld path(config);
    path.AddFlow({.rate = 1e8, .delay = kMillisecond});
    Message& message = path.MakeAToB(2'000'000);
    const uint64_t sequence = message.send.id.sequence;
    message.Recv();
    path.RunFor(10 * kMillisecond);
    message.Send();
    path.RunFor(at);
    const Status why(StatusCode::kAborted, "enough");
    const bool was_posted = message.recv.posted;
    path.b.recorder.states[sequence] = OperationState::kAborted;
    path.b->Cancel(message.recv, why);
    EXPECT_EQ(message.recv.back, 1);
    if (was_posted) {
      EXPECT_EQ(message.recv.result.text(), "enough");
    }
    path.a.recorder.states[sequence] = OperationState::kAborted;
    path.a->Cancel(message.send, why);
    EXPECT_TRUE(path.RunUntil([&] { return message.send.back == 1; }, kSecond));
    path.a.Finish(sequence, OperationState::kAborted);
    path.b.Finish(sequence, OperationState::kAborted);
    // The connection is as good as new.
    Message& next = path.MakeAToB(2'000'000);
    next.Send();
    next.Recv();
    EXPECT_TRUE(path.RunUntil([&] { return next.Arrived(); }, kSecond));
    path.RunFor(kSecond);
    path.ExpectWell();
    EXPECT_EQ(path.a.pool.bytes_in_use(), 0u);
    EXPECT_EQ(path.b.pool.bytes_in_use(), 0u);
  }
}

// The receiver gives up, the sender does not know yet, and its operation is not
// said to be over: what still comes is no violation.
TEST_P(Connections, AReceiveTakenBackBeforeItsOperationEndsBreaksNothing) {
  PathWorld path(Config());
  path.AddFlow(kWan);
  Message& message = path.MakeAToB(1 << 20);
  message.Recv();
  path.RunFor(100 * kMillisecond);
  path.b->Cancel(message.recv, Status(StatusCode::kAborted, "enough"));
  message.Send();
  path.RunFor(kSecond);
  EXPECT_EQ(message.send.back, 1);
  path.ExpectWell();
}

TEST_P(Connections, TheCreditOfAbortedOperationsComesBack) {
  PathConfig config = Config();
  config.shared_credit = 256 << 10;
  config.stream_reserve = 16 << 10;
  PathWorld path(config);
  path.AddFlow(kWan);
  // Far more than the credit, never asked for.
  for (int i = 0; i < 60; ++i) {
    Message& message = path.MakeAToB(100'000);
    message.Send();
    path.RunFor(i % 3 * 6 * kMillisecond);
    path.b.Finish(message.send.id.sequence, OperationState::kAborted);
    EXPECT_TRUE(path.RunUntil([&] { return message.send.back == 1; }, kSecond))
        << "no credit any more, after " << i;
  }
  path.RunFor(kSecond);
  path.ExpectWell();
  EXPECT_EQ(path.b.pool.bytes_in_use(), 0u);
}

TEST_P(Connections, ARankThatLeavesGivesUpWhatItWasSent) {
  PathConfig config = Config();
  config.shared_credit = 256 << 10;
  PathWorld path(config);
  path.AddFlow(kWan);
  path.MakeAToB(200'000).Send();
  path.RunFor(kSecond);
  EXPECT_GT(path.b.pool.bytes_in_use(), 0u);
  path.b->Detach(kCommunicator, path.b.rank);
  EXPECT_EQ(path.b.pool.bytes_in_use(), 0u);
  // What still comes is thrown away, and its credit returned.
  for (int i = 0; i < 10; ++i) path.MakeAToB(200'000).Send();
  EXPECT_TRUE(path.RunUntil([&] { return path.a.recorder.sent.size() == 11; },
                            10 * kSecond));
  EXPECT_TRUE(path.b->status().ok());
}

// The grant for a message that has gone already is of no use to anybody; in a
// long job there are many of them.
TEST(Connection, GrantsThatComeTooLateAreNotKept) {
  PathConfig config;
  config.chunk_size = 4 << 10;
  config.shared_credit = 16 << 20;
  PathWorld path(config);
  path.AddFlow({.delay = kMillisecond, .queue = 4096, .control_queue = 4096});
  constexpr int kRounds = 700;
  constexpr int kEach = 100;  // 70 000 in all, more than are ever kept
  for (int round = 0; round < kRounds; ++round) {
    path.messages.clear();
    for (int i = 0; i < kEach; ++i) path.MakeAToB(1);
    for (const auto& message : path.messages) {
      message->Send();
      path.RunFor(0);
      message->Recv();
      path.a.Finish(message->send.id.sequence, OperationState::kDone);
    }
    ASSERT_TRUE(path.RunUntilArrived(kSecond)) << round;
    for (const auto& message : path.messages) {
      path.b.Finish(message->send.id.sequence, OperationState::kDone);
    }
  }
  path.RunFor(kSecond);
  path.ExpectWell();
}

// --- Disagreement

TEST_P(Connections, DisagreementIsToldOnceBeforeAndAfterPosting) {
  for (const bool posted_first : {true, false}) {
    for (const bool length : {true, false}) {
      SCOPED_TRACE(testing::Message() << posted_first << length);
      PathWorld path(Config());
      path.AddFlow(kWan);
      Message& message = path.MakeAToB(500'000);
      if (length) {
        message.recv.size = 400'000;
      } else {
        message.send.fingerprint.root = 3;
        message.recv.fingerprint.root = 4;
      }
      if (posted_first) message.Recv();
      path.RunFor(100 * kMillisecond);
      message.Send();
      path.RunFor(100 * kMillisecond);
      if (!posted_first) message.Recv();
      path.RunFor(kSecond);
      ASSERT_EQ(path.b.recorder.disagreements.size(), 1u);
      const auto& [id, header] = path.b.recorder.disagreements[0];
      EXPECT_EQ(id, message.send.id);
      EXPECT_EQ(header.total, 500'000u);
      EXPECT_EQ(header.fingerprint, message.send.fingerprint);
      EXPECT_EQ(message.recv.back, 0) << "it is not what was asked for";
      const uint64_t sequence = message.send.id.sequence;
      path.b.recorder.states[sequence] = OperationState::kAborted;
      path.b->Cancel(message.recv, Status(StatusCode::kInvalidArgument, "no"));
      EXPECT_EQ(message.recv.back, 1);
      path.b.Finish(sequence, OperationState::kAborted);
      path.a->Cancel(message.send, Status(StatusCode::kAborted, "no"));
      EXPECT_TRUE(
          path.RunUntil([&] { return message.send.back == 1; }, kSecond));
      path.a.Finish(sequence, OperationState::kAborted);
      path.RunFor(kSecond);
      EXPECT_EQ(path.b.pool.bytes_in_use(), 0u);
      path.ExpectWell();
    }
  }
}

// --- Notices

TEST_P(Connections, NoticesSayWhatWasSaid) {
  PathWorld path(Config());
  path.AddFlow(kWan);
  path.a->Tell({kCommunicator, 2, 11,
                Status(StatusCode::kInvalidArgument, "rank 3 says f32",
                       FaultScope::kCommunicator)});
  path.a->Tell({kCommunicator + 1, 0, 0, Status(StatusCode::kAborted, "")});
  path.RunFor(kSecond);
  ASSERT_EQ(path.b.recorder.notices.size(), 1u) << "another communicator's";
  const Notice& notice = path.b.recorder.notices[0];
  EXPECT_EQ(notice.communicator, kCommunicator);
  EXPECT_EQ(notice.epoch, 2u);
  EXPECT_EQ(notice.sequence, 11u);
  EXPECT_EQ(notice.status.code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(notice.status.scope(), FaultScope::kCommunicator);
  EXPECT_EQ(notice.status.text(), "rank 3 says f32");
  path.ExpectWell();
}

TEST_P(Connections, NoticesNeedNeitherCreditNorMemoryOfThePool) {
  PathConfig config = Config();
  config.shared_credit = 0;
  config.stream_reserve = 0;
  config.pool = 1 << 20;
  PathWorld path(config);
  path.AddFlow(kWan);
  std::vector<uint8_t*> taken;
  while (uint8_t* block = path.a.pool.Take(256)) taken.push_back(block);
  const std::string text(100'000, 'x');
  path.a->Tell({kCommunicator, 0, 1, Status(StatusCode::kAborted, text)});
  path.RunFor(kSecond);
  ASSERT_EQ(path.b.recorder.notices.size(), 1u);
  EXPECT_GT(path.b.recorder.notices[0].status.text().size(), 1000u);
  for (uint8_t* block : taken) path.a.pool.Give(block, 256);
}

// --- Warm-up

TEST(Connection, PaddingEndsWithItsBudgetAndGivesWayToData) {
  PathConfig config;
  config.warm_up = 10 << 20;
  PathWorld path(config);
  path.AddFlow({.rate = 1e8, .delay = 10 * kMillisecond});
  path.RunFor(5 * kMillisecond);
  Message& message = path.MakeAToB(1000);
  message.Recv();
  message.Send();
  EXPECT_TRUE(path.RunUntilArrived(50 * kMillisecond));
  path.RunFor(10 * kSecond);
  const uint64_t padding = path.a->Counters().padding_bytes;
  EXPECT_GT(padding, 0u);
  EXPECT_LE(padding, uint64_t{10} << 20);
  EXPECT_EQ(path.b->Counters().in.bytes, 1000u);
  path.ExpectWell();
}

// Without any credit configured, ends that have nothing to say are silent.
TEST(Connection, IsSilentWhenIdle) {
  PathConfig config;
  config.shared_credit = 0;
  PathWorld path(config);
  path.AddFlow(kWan);
  Message& message = path.MakeAToB(100'000);
  message.Recv();
  message.Send();
  EXPECT_TRUE(path.RunUntilArrived(kSecond));
  path.RunFor(kSecond);
  const uint64_t events = path.world.network().event_count();
  path.RunFor(600 * kSecond);
  EXPECT_EQ(path.world.network().event_count(), events);
}

}  // namespace
}  // namespace longhaul
