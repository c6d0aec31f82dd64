// The receiving half of a connection: matches chunks with posted receives,
// keeps what nobody has asked for yet within the credit given, tells the sender
// what has arrived, and sees to it that nothing is written twice or after its
// receive is done.
//
// Engine thread only.
#pragma once

#include <longhaul/buffer.h>
#include <longhaul/status.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "memory/block_pool.h"
#include "memory/object_pool.h"
#include "path/credit.h"
#include "path/flow.h"
#include "path/message.h"
#include "path/range_set.h"

namespace longhaul {

struct InboxConfig {
  bool acknowledge = false;     ///< the peer retains
  uint64_t shared_credit = 0;   ///< bytes of unexpected messages, all streams
  uint64_t stream_reserve = 0;  ///< likewise, more, for each stream
};

struct InboxCounters {
  uint64_t bytes = 0;             ///< payload that was new
  uint64_t unexpected_bytes = 0;  ///< of these, those that had to be stored
  uint64_t twin_bytes = 0;        ///< payload that was thrown away
};

/// kCorrupt: the peer does what no peer may do.
Status PeerViolation(const char* what);

/// A chunk kept until its receive is posted.
struct StoredChunk : ListLink<StoredChunk> {
  ChunkHeader header;
  uint8_t* data = nullptr;
};

/// A message of which something has arrived or is expected.
struct InboundMessage : MapLink<InboundMessage> {
  MessageId id;
  bool known = false;  ///< a header has been seen
  bool over = false;   ///< delivered or cancelled: the rest is thrown away
  ChunkHeader first;   ///< the first header seen
  RecvOp* posted = nullptr;
  RangeSet received;
  IntrusiveList<StoredChunk, StoredChunk> stored;
};

class Inbox {
 public:
  using Flows = std::span<const std::unique_ptr<Flow>>;

  /// `owner` is what observers are told the news is from.
  Inbox(Connection& owner, BlockPool& pool, const InboxConfig& config);
  ~Inbox();

  void Attach(uint32_t communicator, uint32_t rank, MessageObserver& observer);
  /// What still arrives for that rank is thrown away.
  void Detach(uint32_t communicator, uint32_t rank, Flows flows);

  template <typename Visit>
  void ForEachObserver(Visit visit) {
    ears_.ForEach([&](Ear& ear) {
      if (ear.observer != nullptr) visit(ear.communicator(), *ear.observer);
    });
  }
  /// How far an operation has come, by what its observer says.
  OperationState StateOf(const OperationId& operation) const;

  /// Posts a receive: its target is the inbox's until its listener is called,
  /// which may be at once. Its id must not have been posted before.
  void Recv(RecvOp& op);
  /// Takes a receive back: its listener hears `why` before this returns.
  void Cancel(RecvOp& op, const Status& why, Flows flows);
  /// An operation is over here: what is left of it goes. The observer must
  /// already say that it is.
  void Forget(const OperationId& operation, Flows flows);
  /// The same for one message, which is delivered or cancelled.
  void Forget(const MessageId& id, Flows flows);
  /// All messages of an epoch; none may be posted.
  void Forget(uint32_t communicator, uint32_t rank, uint32_t epoch,
              Flows flows);
  /// Visits the messages of an operation that nobody has asked for yet.
  void ForEachUnexpected(const OperationId& operation,
                         const std::function<void(const ChunkHeader&)>& visit);

  /// Where the payload of a data chunk goes; kCorrupt if it breaks the rules.
  Result<Buffer> Place(Flow& flow, const ChunkHeader& header, Flows flows);
  /// The chunk is here.
  Status Arrived(Flow& flow, const ChunkHeader& header, Flows flows);
  /// `flow` is gone, and what was arriving on it with it.
  void OnFlowLost(Flow& flow);
  /// Every receive ends with `why`.
  void Fail(const Status& why);

  /// What is to be told to the peer: filled by all the above, emptied by the
  /// caller as it sends.
  std::vector<GrantEntry>& grants() { return grants_; }
  /// Appends the credit that is due. If `everything` (after a loss): all credit
  /// and a grant for every posted receive, in place of what is there.
  void TakeCredit(std::vector<CreditEntry>* out, bool everything);

  size_t posted() const { return posted_; }
  const InboxCounters& counters() const { return counters_; }

 private:
  static constexpr size_t kMaxStreams = 1 << 16;

  struct MessageTraits {
    static const MessageId& KeyOf(const InboundMessage& m) { return m.id; }
    static uint64_t Hash(const MessageId& id) { return HashOf(id); }
  };
  struct Account : MapLink<Account> {
    Account(const MessageId& key_in, uint64_t size)
        : key(key_in), credit(size) {}
    MessageId key;  ///< communicator, source and target only
    RecvCredit credit;
    bool due = false;  ///< is in due_
  };
  struct AccountTraits {
    static const MessageId& KeyOf(const Account& a) { return a.key; }
    static uint64_t Hash(const MessageId& id) { return HashOf(id); }
  };
  struct Ear : MapLink<Ear> {
    Ear(uint64_t key_in, MessageObserver* observer_in)
        : key(key_in), observer(observer_in) {}
    uint32_t communicator() const { return static_cast<uint32_t>(key >> 32); }
    uint64_t key;               ///< communicator, rank
    MessageObserver* observer;  ///< null: detached
  };
  struct EarTraits {
    static uint64_t KeyOf(const Ear& e) { return e.key; }
    static uint64_t Hash(uint64_t k) { return k * 0x9e3779b97f4a7c15u >> 32; }
  };

  MessageObserver* ObserverOf(const MessageId& id) const;
  InboundMessage* FindOrMake(const MessageId& id);
  void Stock();
  void Retire(InboundMessage& message);
  void LetGo(InboundMessage& message, Flows flows);
  Flow::Arriving Judge(const InboundMessage& message, const ChunkHeader& header,
                       const Flow& flow, Flows flows) const;
  Status Begin(Flow& flow, const ChunkHeader& header, Flows flows);
  Status Find(InboundMessage** message, const ChunkHeader& header);
  Status FindPlace(Flow& flow, InboundMessage& message, Flows flows);
  void TurnAwayOthers(const Flow& but, const InboundMessage& message,
                      bool whole, Flows flows);
  Account* AccountFor(const MessageId& id);
  RecvCredit* CreditFor(const ChunkHeader& header);
  RecvCredit::Entry Enter(const ChunkHeader& header);
  void Release(const ChunkHeader& header);
  void Acknowledge(Flow& flow, const ChunkHeader& header) const;
  void Store(InboundMessage& message, const ChunkHeader& header, uint8_t* data);
  void Unstore(StoredChunk& chunk, uint8_t* target);
  void CompleteIfWhole(InboundMessage& message);
  void End(RecvOp& op, const Status& status);
  void Agree(const InboundMessage& message);
  void GiveBlock(Flow& flow);

  Connection& owner_;
  BlockPool& pool_;
  InboxConfig config_;
  InboxCounters counters_;
  IntrusiveMap<InboundMessage, MessageTraits> messages_;
  IntrusiveMap<Account, AccountTraits> accounts_;
  IntrusiveMap<Ear, EarTraits> ears_;
  ObjectPool<InboundMessage> message_pool_;
  std::vector<InboundMessage*> idle_;  ///< for reuse, with their memory
  ObjectPool<StoredChunk> stored_pool_;
  ObjectPool<Account> account_pool_;
  ObjectPool<Ear> ear_pool_;
  RecvCredit shared_;
  std::vector<Account*> due_;  ///< accounts with something to announce
  std::vector<GrantEntry> grants_;
  size_t posted_ = 0;
};

}  // namespace longhaul
