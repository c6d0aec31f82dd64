// Pipes: one-way rows of messages between two processes, matched by order
// alone, over the connection that the processes share. Any number of pipes
// share a connection; each has a reserve of credit of its own, so that none can
// starve another.
//
//   sender:    OutPipe pipe(engine, connection, number, door);
//              PipeRequest* r = pipe.Send(data, size);
//   receiver:  PipeHub hub(connection, ..., acceptor);  // one per connection
//              acceptor hears of the pipe, makes InPipe(engine, hub, number)
//              PipeRequest* r = pipe.Recv(data, room);
//
// What is sent need not have been asked for: the receiving connection drains
// the line into its pool, within the credit it has given. The connection must
// be one that retains: a send is done once its bytes are in retention memory, a
// receive once it is filled. A message that is longer than the room of its
// receive fails that receive alone.
//
// Send, Recv and PipeRequest: one thread at a time, any one; no call blocks,
// allocates or locks. Construction, destruction and all else: engine thread
// only. Destroying a pipe takes back what is under way: no memory that was lent
// to it is touched any more, and its requests are gone. What was sent and is
// done arrives all the same.
#pragma once

#include <longhaul/status.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "engine/command.h"
#include "engine/pollable.h"
#include "path/connection.h"
#include "path/message.h"
#include "path/range_set.h"

namespace longhaul {

/// The communicator in whose name pipes travel.
inline constexpr uint32_t kPipes = 0xfffffffeu;

/// One message under way.
class PipeRequest : public Command {
 public:
  bool Done() const noexcept {
    return state_.load(std::memory_order_acquire) == State::kDone;
  }
  /// Valid once done.
  const Status& status() const { return status_; }
  size_t bytes() const { return bytes_; }
  /// Once done: gives the request back.
  void Release() { state_.store(State::kFree, std::memory_order_relaxed); }

 private:
  friend class InPipe;
  friend class OutPipe;
  enum class State : uint8_t { kFree, kPosted, kDone };
  void Finish(const Status& status, size_t bytes) {
    status_ = status;
    bytes_ = bytes;
    state_.store(State::kDone, std::memory_order_release);
  }
  /// The caller's: turns a free request into a posted one.
  bool Claim() {
    if (state_.load(std::memory_order_relaxed) != State::kFree) return false;
    state_.store(State::kPosted, std::memory_order_relaxed);
    return true;
  }

  std::atomic<State> state_{State::kFree};
  Status status_;
  size_t bytes_ = 0;
};

/// Requests a pipe may have under way.
inline constexpr size_t kPipeRequests = 64;
inline constexpr size_t kLongestGreeting = 2048;

class OutPipe final : private MessageListener, private MessageObserver {
 public:
  /// Opens pipe `number` (not 0, used once per connection by this process) to
  /// whoever waits behind `door` at the peer, who gets to read the `greeting`,
  /// of at most kLongestGreeting bytes.
  OutPipe(Engine& engine, Connection& connection, uint32_t number,
          uint64_t door, std::span<const uint8_t> greeting = {});
  ~OutPipe() override;

  /// Lends `size` bytes until the request is done. Null: too many are under
  /// way, try again later.
  PipeRequest* Send(const void* data, size_t size);

 private:
  struct Message final : PipeRequest, SendOp {
    OutPipe* pipe = nullptr;
    bool handed = false;  ///< the connection has it, engine thread
    void Run(TimePoint now) override { pipe->Hand(*this, now); }
  };
  struct Opening {
    std::vector<uint8_t> bytes;  ///< the door, then the greeting
    SendOp op;
  };

  void Hand(Message& message, TimePoint now);

  // MessageListener
  void OnSent(SendOp& op, const Status& status) override;
  void OnReceived(RecvOp&, const Status&) override {}
  // MessageObserver: for grants, which name the sender's operation
  OperationState StateOf(uint32_t epoch, uint64_t sequence) const override;
  void OnUnexpected(Connection&, const ChunkHeader&) override {}
  void OnDisagreement(Connection&, const RecvOp&, const ChunkHeader&) override {
  }
  void OnNotice(Connection&, const Notice&) override {}
  void OnFault(Connection&, const Status&) override {}

  Engine& engine_;
  Connection& connection_;
  const uint32_t number_;
  Opening opening_;
  bool opening_handed_ = true;
  uint64_t handed_ = 0;  ///< messages the connection was given
  std::array<Message, kPipeRequests> messages_;
  size_t next_ = 0;        ///< the caller's
  uint64_t sequence_ = 1;  ///< the caller's; 0 is the opening
};

class PipeHub;

class InPipe final : private MessageListener {
 public:
  /// `number` as the acceptor was told. One InPipe per number.
  InPipe(Engine& engine, PipeHub& hub, uint32_t number);
  ~InPipe() override;

  /// Lends `size` bytes until the request is done, which then says how many
  /// were filled. Null: too many are under way, try again later.
  PipeRequest* Recv(void* data, size_t size);

 private:
  friend class PipeHub;
  struct Message final : PipeRequest, RecvOp {
    InPipe* pipe = nullptr;
    void Run(TimePoint now) override { pipe->Hand(*this, now); }
  };

  void Hand(Message& message, TimePoint now);
  void TooLong(const RecvOp& op, const ChunkHeader& header);
  void TakeBackTooLong();

  // MessageListener
  void OnSent(SendOp&, const Status&) override {}
  void OnReceived(RecvOp& op, const Status& status) override;

  Engine& engine_;
  PipeHub& hub_;
  const uint32_t number_;
  std::array<Message, kPipeRequests> messages_;
  size_t next_ = 0;        ///< the caller's
  uint64_t sequence_ = 1;  ///< the caller's; 0 is the opening
  struct Rejected {
    Message* message;
    Status why;
  };
  std::vector<Rejected> too_long_;
};

/// Hears of pipes that the peer opens. Engine thread.
class PipeAcceptor {
 public:
  virtual ~PipeAcceptor() = default;
  /// A pipe to `door` is there. False: nobody is behind that door; what comes
  /// over the pipe is thrown away.
  virtual bool OnPipe(PipeHub& hub, uint32_t number, uint64_t door,
                      std::span<const uint8_t> greeting) = 0;
};

/// The receiving ends of a connection's pipes.
class PipeHub final : private Pollable,
                      private MessageListener,
                      private MessageObserver {
 public:
  /// Both must outlive it.
  PipeHub(Engine& engine, Connection& connection, PipeAcceptor& acceptor);
  ~PipeHub() override;

  Connection& connection() { return connection_; }
  /// An accepted pipe will not be taken after all, or is done with.
  void Shut(uint32_t number);

 private:
  friend class InPipe;
  struct Row {
    bool shut = false;
    InPipe* pipe = nullptr;
    RangeSet received;                   ///< sequences
    std::vector<uint8_t> opening_bytes;  ///< while it is on its way
    RecvOp op;                           ///< of the opening
  };

  void Join(uint32_t number, InPipe& pipe);
  void Received(const MessageId& id);

  void Poll(uint32_t events, TimePoint now) override;
  // MessageListener, for openings
  void OnSent(SendOp&, const Status&) override {}
  void OnReceived(RecvOp& op, const Status& status) override;
  // MessageObserver
  OperationState StateOf(uint32_t epoch, uint64_t sequence) const override;
  void OnUnexpected(Connection& from, const ChunkHeader& header) override;
  void OnDisagreement(Connection& from, const RecvOp& op,
                      const ChunkHeader& header) override;
  void OnNotice(Connection&, const Notice&) override {}
  void OnFault(Connection&, const Status&) override {}

  Connection& connection_;
  PipeAcceptor& acceptor_;
  std::map<uint32_t, Row> rows_;  ///< by pipe
  // To be acted upon outside of the connection's calls.
  std::vector<uint32_t> new_;
  std::vector<uint32_t> opened_;
  std::vector<MessageId> to_forget_;
  std::vector<InPipe*> with_too_long_;
};

}  // namespace longhaul
