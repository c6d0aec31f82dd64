// The sending half of a connection: cuts messages into chunks, sends what
// credit allows over whatever flow has room, keeps what must be kept until it
// is acknowledged, and sends it again when its flow is lost.
//
// Between sites every chunk is first copied into retention memory, so a send
// is done once its last chunk is copied; inside a site chunks are lent to the
// endpoint and the send is done once the transport has read them.
//
// Order: streams (communicator, source, target) take turns chunk by chunk;
// within a stream messages leave in the order of Send, but one that lacks
// credit never holds up one that a posted receive has granted.
//
// Engine thread only.
#pragma once

#include <longhaul/status.h>

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "memory/block_pool.h"
#include "memory/object_pool.h"
#include "path/credit.h"
#include "path/earliest_finish.h"
#include "path/flow.h"
#include "path/message.h"

namespace longhaul {

struct OutboxConfig {
  bool retain = false;
  uint32_t chunk_size = 1 << 20;        ///< largest chunk, bytes
  uint64_t retention_limit = 16 << 20;  ///< memory retained; grows if it limits
  uint64_t retention_most = 64 << 20;   ///< bytes it may grow to
  uint64_t shared_credit = 0;           ///< what the peer grants from the start
  uint64_t stream_reserve = 0;          ///< likewise, for every stream
};

struct OutboxCounters {
  uint64_t messages = 0;
  uint64_t bytes = 0;         ///< payload, first transmissions
  uint64_t resent_bytes = 0;  ///< payload, later ones
  uint64_t credit_waits = 0;  ///< turns in which credit was what lacked
  uint64_t retention_waits = 0;
};

class Outbox {
 public:
  using Flows = std::span<const std::unique_ptr<Flow>>;

  Outbox(BlockPool& pool, const OutboxConfig& config);
  ~Outbox();

  /// The peer has said what it grants from the start.
  void Welcome(uint64_t shared_credit, uint64_t stream_reserve);

  /// False, and nothing done, if there are too many streams.
  bool Send(SendOp& op);
  /// Gives up a message: its listener hears `why` at once, or when the
  /// endpoints have returned what they were lent of it.
  void Cancel(SendOp& op, const Status& why);
  /// Sends `payload` to the peer connection itself, reliably and without
  /// credit; it may overtake messages. At most kMaxNotice bytes. No two
  /// notices may have the same id, nor a notice that of a message.
  void SendNotice(const MessageId& id, std::span<const uint8_t> payload);
  static constexpr size_t kMaxNotice = 4 << 10;

  /// Sends what can be sent now. True if anything was.
  bool Pump(Flows flows, TimePoint now);

  void OnSent(FrameCookie* cookie);
  /// False: acknowledges what was never sent, or not like that.
  bool OnAck(const AckEntry& entry);
  /// False if the peer names more streams or messages than it may.
  bool OnCredit(const CreditEntry& entry);
  /// `to_come`: the message may still be handed to Send, it is worth keeping a
  /// grant for.
  bool OnGrant(const GrantEntry& entry, bool to_come);
  /// `flow` is gone: what it carried goes again over others.
  void OnFlowLost(Flow& flow);
  /// `flow` is silent: what it carries goes over others as well.
  void Abandon(Flow& flow);
  /// Chunks that left over flows that may lose frames go again if they are not
  /// acknowledged after `patience`. Says when that is for the next of them.
  TimePoint Resend(Flows flows, Duration patience, TimePoint now);
  /// Every send ends with `why`; nothing is retained any more. Every flow must
  /// have been lost.
  void Fail(const Status& why);

  /// Early grants of an operation that is over are forgotten.
  void Forget(const OperationId& operation);
  /// Likewise all of a rank's.
  void Forget(uint32_t communicator, uint32_t rank);

  /// Is nothing queued, lent or retained?
  bool idle() const {
    return queued_ == 0 && retained_.size() == 0 && lent_.empty();
  }
  /// Is memory of the pool what lacked last? Nobody tells when there is some.
  bool starved() const { return starved_; }
  uint64_t retained_bytes() const { return retained_bytes_; }
  const OutboxCounters& counters() const { return counters_; }

 private:
  /// What a retained chunk of `size` bytes takes of the limit.
  static uint64_t MemoryFor(uint64_t size) {
    return BlockPool::BlockSize(size);
  }

  static constexpr size_t kMaxEarlyGrants = 1 << 16;
  static constexpr size_t kMaxStreams = 1 << 16;

  struct StreamKey {
    uint32_t communicator;
    uint32_t source;
    uint32_t target;
    friend bool operator==(const StreamKey&, const StreamKey&) = default;
  };
  struct ActiveTag {};
  struct Stream : MapLink<Stream>, ListLink<ActiveTag> {
    Stream(const StreamKey& key_in, uint64_t reserve_in)
        : key(key_in), reserve(reserve_in) {}
    StreamKey key;
    SendCredit reserve;
    IntrusiveList<SendOp, SendQueueTag> granted;  ///< by issue
    IntrusiveList<SendOp, SendQueueTag> waiting;  ///< by issue
  };
  struct StreamTraits {
    static const StreamKey& KeyOf(const Stream& s) { return s.key; }
    static uint64_t Hash(const StreamKey& k) {
      return HashOf(MessageId{k.communicator, 0, 0, k.source, k.target, 0});
    }
  };
  struct SendTraits {
    static const MessageId& KeyOf(const SendOp& op) { return op.id; }
    static uint64_t Hash(const MessageId& id) { return HashOf(id); }
  };
  struct ChunkKey {
    MessageId id;
    uint64_t offset;
    friend bool operator==(const ChunkKey&, const ChunkKey&) = default;
  };
  struct ChunkTraits {
    static ChunkKey KeyOf(const RetainedChunk& c) {
      return {c.header.id, c.header.offset};
    }
    static uint64_t Hash(const ChunkKey& k) {
      return HashOf(k.id) + k.offset * 0x9e3779b97f4a7c15u;
    }
  };
  struct EarlyGrant : MapLink<EarlyGrant> {
    explicit EarlyGrant(const MessageId& id_in) : id(id_in) {}
    MessageId id;
  };
  struct GrantTraits {
    static const MessageId& KeyOf(const EarlyGrant& g) { return g.id; }
    static uint64_t Hash(const MessageId& id) { return HashOf(id); }
  };
  /// How many bytes of a message may go in one chunk, and on whose account.
  struct Permit {
    bool any = false;
    uint8_t flags = 0;
    uint64_t bytes = 0;
  };

  Stream* FindOrMakeStream(const StreamKey& key);
  static int Reluctance(const Flow& flow);
  void Look(Flows flows, TimePoint now);
  Flow* FlowWithRoom(Flows flows);
  Flow* FlowFor(Flows flows, uint64_t bytes);
  uint64_t ChunkLimit(const Flow& flow) const;
  bool PumpAgain(Flows flows, TimePoint now);
  bool PumpStreams(Flows flows, TimePoint now);
  bool PumpTwins(Flows flows, TimePoint now);
  bool SendTwin(Flows flows, size_t over, TimePoint now);
  double ArrivalOf(const Transmission& last, const FlowView& view,
                   TimePoint now) const;
  Transmission* LastAlone(const Flow& flow) const;
  SendOp* Next(const Stream& stream, Permit* permit);
  Permit PermitFor(const Stream& stream, const SendOp& op) const;
  /// What came of a message's turn.
  enum class Turn : uint8_t { kTaken, kHeld, kRefused };
  Turn Emit(Stream& stream, SendOp& op, const Permit& permit, Flow& flow,
            TimePoint now);
  bool EmitRetained(Stream& stream, ChunkHeader* header, const uint8_t* data,
                    Flow& flow, TimePoint now);
  bool Hand(RetainedChunk& chunk, Flow& flow, TimePoint now);
  void SendAgain(RetainedChunk& chunk);
  void EndFlight(Transmission& flight);
  bool OnItsWay(const RetainedChunk& chunk) const;
  bool HasRetentionRoom(uint64_t memory);
  void Charge(Stream& stream, ChunkHeader* header);
  void Refund(Stream& stream, const ChunkHeader& header);
  void Drop(EarlyGrant& grant);
  void Emitted(SendOp& op, uint64_t bytes);
  void FinishIfDone(SendOp& op);
  void Acknowledge(RetainedChunk& chunk);
  void Release(RetainedChunk& chunk);
  void Unqueue(SendOp& op);
  void Activate(Stream& stream);

  BlockPool& pool_;
  OutboxConfig config_;
  SendCredit shared_;
  OutboxCounters counters_;

  IntrusiveMap<Stream, StreamTraits> streams_;
  IntrusiveList<Stream, ActiveTag> active_;   ///< those with messages queued
  IntrusiveMap<SendOp, SendTraits> sends_;    ///< queued, not granted
  IntrusiveList<SendOp, SendQueueTag> lent_;  ///< emitted, not read to the end
  IntrusiveMap<EarlyGrant, GrantTraits> early_;
  IntrusiveMap<RetainedChunk, ChunkTraits> retained_;
  /// To be sent (again): lost flows, notices.
  IntrusiveList<RetainedChunk, AgainTag> again_;
  std::vector<FlowView> views_;  ///< of the flows, in this turn
  uint64_t pending_ = 0;         ///< payload bytes queued, or in again_
  ObjectPool<Stream> stream_pool_;
  ObjectPool<EarlyGrant> early_pool_;
  ObjectPool<RetainedChunk> chunk_pool_;
  ObjectPool<Transmission> flight_pool_;

  uint64_t retained_bytes_ = 0;
  uint64_t issued_ = 0;
  size_t queued_ = 0;
  size_t next_flow_ = 0;
  bool blocked_on_credit_ = false;
  bool starved_ = false;
};

}  // namespace longhaul
