// Two connections joined by simulated flows, and messages between them that
// check themselves: a source is scribbled over as soon as its send is back, a
// target is compared when its receive is done, then poisoned, and the poison is
// looked at in the end.
//
// Thread-compatible.
#pragma once

#include <algorithm>
#include <cstring>
#include <map>
#include <optional>
#include <utility>

#include "path/connection.h"
#include "support/frames.h"
#include "support/pch.h"
#include "transport/sim/sim_world.h"

namespace longhaul {

inline constexpr uint32_t kCommunicator = 7;
inline constexpr uint8_t kPoison = 0xa5;

struct TestSend : SendOp {
  std::vector<uint8_t> source;
  int back = 0;
  Status result;
};

struct TestRecv : RecvOp {
  std::vector<uint8_t> target;
  const std::vector<uint8_t>* expected = nullptr;
  int back = 0;
  Status result;

  bool Ok() const { return back == 1 && result.ok(); }
  bool Unharmed() const {
    return std::all_of(target.begin(), target.end(),
                       [](uint8_t byte) { return byte == kPoison; });
  }
};

/// All that a connection says to its users, recorded. It is also what answers
/// how far operations have come: open unless said otherwise.
class Recorder final : public MessageListener, public MessageObserver {
 public:
  std::map<uint64_t, OperationState> states;  ///< by sequence
  std::vector<ChunkHeader> unexpected;
  std::vector<std::pair<MessageId, ChunkHeader>> disagreements;
  std::vector<Notice> notices;
  std::vector<Status> faults;
  std::vector<MessageId> sent;      ///< sends that came back, in order
  std::vector<MessageId> received;  ///< receives that came back, in order
  std::function<void(TestRecv&)> on_received;

  void OnSent(SendOp& op, const Status& status) override {
    auto& send = static_cast<TestSend&>(op);
    ++send.back;
    send.result = status;
    sent.push_back(op.id);
    std::fill(send.source.begin(), send.source.end(), uint8_t{0xdb});
  }
  void OnReceived(RecvOp& op, const Status& status) override {
    auto& recv = static_cast<TestRecv&>(op);
    ++recv.back;
    recv.result = status;
    received.push_back(op.id);
    if (status.ok() && recv.expected != nullptr) {
      EXPECT_TRUE(recv.target == *recv.expected)
          << "message " << op.id.message << " of operation " << op.id.sequence;
    }
    std::fill(recv.target.begin(), recv.target.end(), kPoison);
    if (on_received) on_received(recv);
  }
  OperationState StateOf(uint32_t /*epoch*/, uint64_t sequence) const override {
    const auto at = states.find(sequence);
    return at == states.end() ? OperationState::kOpen : at->second;
  }
  void OnUnexpected(Connection& /*from*/, const ChunkHeader& header) override {
    unexpected.push_back(header);
  }
  void OnDisagreement(Connection& /*from*/, const RecvOp& op,
                      const ChunkHeader& header) override {
    disagreements.emplace_back(op.id, header);
  }
  void OnNotice(Connection& /*from*/, const Notice& notice) override {
    notices.push_back(notice);
  }
  void OnFault(Connection& /*from*/, const Status& why) override {
    faults.push_back(why);
  }
};

/// One end: rank 0 is at a, rank 1 at b.
class Side {
 public:
  Side(SimWorld& world, size_t engine, uint32_t rank_in,
       const ConnectionConfig& config, size_t pool_limit)
      : rank(rank_in), pool(pool_limit) {
    connection =
        std::make_unique<Connection>(world.engine(engine), pool, config);
    connection->Attach(kCommunicator, rank, recorder);
  }

  Connection* operator->() const { return connection.get(); }
  OperationId Operation(uint64_t sequence) const {
    return {kCommunicator, rank, 0, sequence};
  }
  /// Ends an operation on this side: its ops must be back.
  void Finish(uint64_t sequence, OperationState how) {
    recorder.states[sequence] = how;
    connection->Forget(Operation(sequence));
  }

  const uint32_t rank;
  BlockPool pool;
  Recorder recorder;
  std::unique_ptr<Connection> connection;
};

/// A message from one side to the other.
struct Message {
  Side* from = nullptr;
  Side* to = nullptr;
  std::vector<uint8_t> bytes;
  TestSend send;
  TestRecv recv;

  void Send() { (*from)->Send(send); }
  void Recv() { (*to)->Recv(recv); }
  bool Arrived() const { return recv.Ok(); }
};

struct PathConfig {
  bool retain = true;
  uint32_t chunk_size = 64 << 10;
  uint64_t shared_credit = 1 << 20;
  uint64_t stream_reserve = 64 << 10;
  uint64_t retention = 4 << 20;
  size_t pool = 64 << 20;
  Duration timeout = 60 * kSecond;
  uint64_t warm_up = 0;
  uint64_t seed = 1;

  ConnectionConfig For(const char* peer) const {
    ConnectionConfig config;
    config.peer = peer;
    config.outbox.retain = config.inbox.acknowledge = retain;
    config.outbox.chunk_size = chunk_size;
    config.outbox.retention_limit = config.outbox.retention_most = retention;
    config.outbox.shared_credit = config.inbox.shared_credit = shared_credit;
    config.outbox.stream_reserve = config.inbox.stream_reserve = stream_reserve;
    config.timeout = timeout;
    config.warm_up_bytes = warm_up;
    return config;
  }
};

inline constexpr SimLink kWan{.rate = 1e9, .delay = 10 * kMillisecond};
/// As a WAN, but frames get lost, doubled and out of order.
inline constexpr SimLink kLossyWan{.rate = 1e9,
                                   .delay = 10 * kMillisecond,
                                   .jitter = kMillisecond,
                                   .reliable = false,
                                   .loss = 0.1,
                                   .duplicate = 0.1,
                                   .reorder = 0.1,
                                   .late = 30 * kMillisecond};

class PathWorld {
 public:
  explicit PathWorld(const PathConfig& config = {})
      : world(config.seed, 2),
        a(world, 0, 0, config.For("b"), config.pool),
        b(world, 1, 1, config.For("a"), config.pool) {}

  struct FlowEnds {
    SimEndpoint* a;
    SimEndpoint* b;
  };

  FlowEnds AddFlow(const SimLink& link) { return AddFlow(link, link); }
  FlowEnds AddFlow(const SimLink& a_to_b, const SimLink& b_to_a) {
    auto [at_a, at_b] = world.network().Connect(a_to_b, b_to_a);
    const FlowEnds ends{at_a.get(), at_b.get()};
    at_a->SetSink(*a.connection);
    at_b->SetSink(*b.connection);
    a->AddFlow(std::move(at_a), world.now());
    b->AddFlow(std::move(at_b), world.now());
    flows.push_back(ends);
    return ends;
  }
  void Kill(const FlowEnds& ends) { world.network().Kill(*ends.a); }

  /// A message of an operation of its own, not handed in yet.
  Message& Make(Side& from, Side& to, size_t size, uint64_t sequence) {
    return Make(from, to, size,
                MessageId{kCommunicator, 0, sequence, from.rank, to.rank, 0});
  }
  Message& Make(Side& from, Side& to, size_t size, const MessageId& id) {
    messages.push_back(std::make_unique<Message>());
    Message& message = *messages.back();
    message.from = &from;
    message.to = &to;
    message.bytes = Pattern(size, HashOf(id));
    message.send.source = message.bytes;
    message.send.id = message.recv.id = id;
    message.send.data = message.send.source.data();
    message.send.size = size;
    message.send.listener = &from.recorder;
    message.recv.target.resize(size);
    message.recv.data = message.recv.target.data();
    message.recv.size = size;
    message.recv.expected = &message.bytes;
    message.recv.listener = &to.recorder;
    return message;
  }
  Message& MakeAToB(size_t size) { return Make(a, b, size, next_sequence++); }

  bool RunUntil(const std::function<bool()>& done, Duration limit) {
    return world.RunUntil(done, world.now() + limit);
  }
  void RunFor(Duration duration) { world.RunFor(duration); }
  bool RunUntilArrived(Duration limit) {
    return RunUntil(
        [&] {
          return std::all_of(messages.begin(), messages.end(),
                             [](const auto& m) { return m->Arrived(); });
        },
        limit);
  }

  /// Every op came back once, and no target was written after it did.
  void ExpectUnharmed() const {
    for (const auto& message : messages) {
      EXPECT_LE(message->send.back, 1);
      EXPECT_LE(message->recv.back, 1);
      if (message->recv.back == 0) continue;
      EXPECT_TRUE(message->recv.Unharmed())
          << "a target was written after its receive was done, operation "
          << message->recv.id.sequence;
    }
  }
  void ExpectWell() const {
    EXPECT_TRUE(a->status().ok()) << a->status().ToString();
    EXPECT_TRUE(b->status().ok()) << b->status().ToString();
    ExpectUnharmed();
  }

  std::vector<std::unique_ptr<Message>> messages;
  SimWorld world;
  Side a;
  Side b;
  std::vector<FlowEnds> flows;
  uint64_t next_sequence = 1;
};

}  // namespace longhaul
