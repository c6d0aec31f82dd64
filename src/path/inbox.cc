#include "path/inbox.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "base/text.h"

namespace longhaul {
namespace {

/// Messages made at a time.
constexpr size_t kStock = 64;
/// Ranges a message may have before its set allocates.
constexpr size_t kUsualRanges = 8;

constexpr uint8_t kCharged =
    ChunkHeader::kChargedShared | ChunkHeader::kChargedReserve;

bool IsCharged(const ChunkHeader& header) {
  return (header.flags & kCharged) != 0;
}

MessageId StreamOf(const MessageId& id) {
  return {id.communicator, 0, 0, id.source, id.target, 0};
}

bool Overlap(const ChunkHeader& a, const ChunkHeader& b) {
  return a.id == b.id && a.offset < b.offset + b.size &&
         b.offset < a.offset + a.size;
}

bool BelongsTo(const MessageId& id, const OperationId& operation) {
  return id.communicator == operation.communicator &&
         id.target == operation.rank && id.epoch == operation.epoch &&
         id.sequence == operation.sequence;
}

uint64_t EarKey(uint32_t communicator, uint32_t rank) {
  return uint64_t{communicator} << 32 | rank;
}

}  // namespace

Status PeerViolation(const char* what) {
  return {StatusCode::kCorrupt, Text("the peer broke the protocol: %s", what),
          FaultScope::kConnection};
}

Inbox::Inbox(Connection& owner, BlockPool& pool, const InboxConfig& config)
    : owner_(owner),
      pool_(pool),
      config_(config),
      shared_(config.shared_credit) {
  config_.stream_reserve = std::max(config_.stream_reserve, kLeastReserve);
  grants_.reserve(1024);
  due_.reserve(64);
  stored_pool_.Reserve(kStock);
}

Inbox::~Inbox() {
  Fail(Status(StatusCode::kAborted, "the connection was closed",
              FaultScope::kConnection));
  messages_.ForEach([this](InboundMessage& message) { Retire(message); });
  for (InboundMessage* message : idle_) message_pool_.Destroy(message);
  accounts_.ForEach([this](Account& account) {
    accounts_.Remove(account);
    account_pool_.Destroy(&account);
  });
  ears_.ForEach([this](Ear& ear) {
    ears_.Remove(ear);
    ear_pool_.Destroy(&ear);
  });
}

void Inbox::Attach(uint32_t communicator, uint32_t rank,
                   MessageObserver& observer) {
  const uint64_t key = EarKey(communicator, rank);
  LH_CHECK(ears_.Find(key) == nullptr);
  ears_.Insert(*ear_pool_.Make(key, &observer));
  messages_.ForEach([&](InboundMessage& message) {
    if (message.id.communicator == communicator && message.id.target == rank &&
        message.known) {
      observer.OnUnexpected(owner_, message.first);
    }
  });
}

void Inbox::Detach(uint32_t communicator, uint32_t rank, Flows flows) {
  Ear* ear = ears_.Find(EarKey(communicator, rank));
  if (ear == nullptr) return;
  ear->observer = nullptr;
  messages_.ForEach([&](InboundMessage& message) {
    if (message.id.communicator == communicator && message.id.target == rank &&
        message.posted == nullptr) {
      LetGo(message, flows);
    }
  });
}

MessageObserver* Inbox::ObserverOf(const MessageId& id) const {
  const Ear* ear = ears_.Find(EarKey(id.communicator, id.target));
  return ear == nullptr ? nullptr : ear->observer;
}

OperationState Inbox::StateOf(const OperationId& operation) const {
  const Ear* ear = ears_.Find(EarKey(operation.communicator, operation.rank));
  if (ear == nullptr) return OperationState::kOpen;  // not begun here yet
  return ear->observer == nullptr
             ? OperationState::kAborted
             : ear->observer->StateOf(operation.epoch, operation.sequence);
}

InboundMessage* Inbox::FindOrMake(const MessageId& id) {
  InboundMessage* message = messages_.Find(id);
  if (message != nullptr) return message;
  if (idle_.empty()) Stock();
  message = idle_.back();
  idle_.pop_back();
  message->id = id;
  messages_.Insert(*message);
  return message;
}

// More messages at a time than ever before: the only occasion to allocate, and
// so for many at once.
void Inbox::Stock() {
  idle_.reserve(message_pool_.count() + kStock);
  for (size_t i = 0; i < kStock; ++i) {
    idle_.push_back(message_pool_.Make());
    idle_.back()->received.Reserve(kUsualRanges);
  }
}

// Ends a message but keeps the object and what its range set has allocated.
void Inbox::Retire(InboundMessage& message) {
  while (StoredChunk* chunk = message.stored.PopFront()) {
    Unstore(*chunk, nullptr);
  }
  messages_.Remove(message);
  message.known = message.over = false;
  message.posted = nullptr;
  message.received.Clear();
  idle_.push_back(&message);
}

// Retires a message of which chunks may be arriving: their blocks go when they
// are here.
void Inbox::LetGo(InboundMessage& message, Flows flows) {
  for (const auto& flow : flows) {
    if (flow->message == &message) flow->message = nullptr;
  }
  Retire(message);
}

void Inbox::Recv(RecvOp& op) {
  LH_DCHECK(!op.posted);
  InboundMessage* message = FindOrMake(op.id);
  LH_CHECK(message->posted == nullptr && !message->over);
  message->posted = &op;
  op.posted = true;
  ++posted_;
  if (message->known) {
    Agree(*message);
    if (message->first.total != op.size) return;
  }
  while (StoredChunk* chunk = message->stored.PopFront()) {
    Unstore(*chunk, op.data + chunk->header.offset);
  }
  CompleteIfWhole(*message);
  if (!message->over) grants_.push_back({message->id});
}

// A posted receive and what is known of its message: the same operation?
void Inbox::Agree(const InboundMessage& message) {
  RecvOp* op = message.posted;
  if (op == nullptr) return;
  if (op->at_most && message.first.total <= op->size) {
    op->size = message.first.total;
  }
  if (message.first.total == op->size &&
      message.first.fingerprint == op->fingerprint) {
    return;
  }
  if (MessageObserver* observer = ObserverOf(message.id)) {
    observer->OnDisagreement(owner_, *op, message.first);
  }
}

void Inbox::Cancel(RecvOp& op, const Status& why, Flows flows) {
  if (!op.posted) return;
  InboundMessage* message = messages_.Find(op.id);
  for (const auto& flow : flows) {
    if (flow->message != message ||
        flow->arriving != Flow::Arriving::kInPlace) {
      continue;
    }
    flow->endpoint->Divert();
    // It will not be asked for again: to the sender it has arrived.
    if (Enter(flow->header) == RecvCredit::Entry::kNew) Release(flow->header);
    Acknowledge(*flow, flow->header);
    flow->arriving = Flow::Arriving::kNothing;
    flow->message = nullptr;
  }
  message->posted = nullptr;
  message->over = true;
  End(op, why);
}

void Inbox::End(RecvOp& op, const Status& status) {
  op.posted = false;
  --posted_;
  op.listener->OnReceived(op, status);
}

void Inbox::Forget(const MessageId& id, Flows flows) {
  InboundMessage* message = messages_.Find(id);
  if (message != nullptr && message->posted == nullptr) LetGo(*message, flows);
}

void Inbox::Forget(uint32_t communicator, uint32_t rank, uint32_t epoch,
                   Flows flows) {
  messages_.ForEach([&](InboundMessage& message) {
    const MessageId& id = message.id;
    if (id.communicator != communicator || id.target != rank ||
        id.epoch != epoch) {
      return;
    }
    LH_DCHECK(message.posted == nullptr);
    LetGo(message, flows);
  });
}

void Inbox::Forget(const OperationId& operation, Flows flows) {
  messages_.ForEach([&](InboundMessage& message) {
    if (!BelongsTo(message.id, operation)) return;
    LH_DCHECK(message.posted == nullptr);
    LetGo(message, flows);
  });
}

void Inbox::ForEachUnexpected(
    const OperationId& operation,
    const std::function<void(const ChunkHeader&)>& visit) {
  messages_.ForEach([&](InboundMessage& message) {
    if (message.known && message.posted == nullptr && !message.over &&
        BelongsTo(message.id, operation)) {
      visit(message.first);
    }
  });
}

// --- Credit and acknowledgements

// Null if the peer names more streams than it may.
Inbox::Account* Inbox::AccountFor(const MessageId& id) {
  const MessageId key = StreamOf(id);
  Account* account = accounts_.Find(key);
  if (account == nullptr && accounts_.size() < kMaxStreams) {
    account = account_pool_.Make(key, config_.stream_reserve);
    accounts_.Insert(*account);
  }
  return account;
}

RecvCredit* Inbox::CreditFor(const ChunkHeader& header) {
  if ((header.flags & ChunkHeader::kChargedShared) != 0) return &shared_;
  Account* account = AccountFor(header.id);
  return account == nullptr ? nullptr : &account->credit;
}

// A chunk has arrived: is its charge new? What is not charged is.
RecvCredit::Entry Inbox::Enter(const ChunkHeader& header) {
  if (!IsCharged(header)) return RecvCredit::Entry::kNew;
  return CreditFor(header)->Enter(header.charged_at, header.size);
}

void Inbox::Release(const ChunkHeader& header) {
  if (!IsCharged(header)) return;
  CreditFor(header)->Release(header.size);
  if ((header.flags & ChunkHeader::kChargedShared) != 0) return;
  Account* account = AccountFor(header.id);
  if (!account->due) due_.push_back(account);
  account->due = true;
}

void Inbox::Acknowledge(Flow& flow, const ChunkHeader& header) const {
  if (config_.acknowledge) {
    flow.acks.push_back({header.id, header.offset, header.size});
  }
}

void Inbox::TakeCredit(std::vector<CreditEntry>* out, bool everything) {
  if (everything) {
    out->clear();
    grants_.clear();
    messages_.ForEach([this](InboundMessage& message) {
      if (message.posted != nullptr) grants_.push_back({message.id});
    });
  }
  if (everything || shared_.Due()) {
    out->push_back({kSharedAccount, 0, 0, shared_.Announce()});
  }
  const auto announce = [out](Account& account) {
    out->push_back({account.key.communicator, account.key.source,
                    account.key.target, account.credit.Announce()});
  };
  if (everything) accounts_.ForEach(announce);
  for (Account* account : due_) {
    account->due = false;
    if (account->credit.Due()) announce(*account);
  }
  due_.clear();
}

// --- Chunks arrive

// What is to become of a chunk that begins to arrive.
Flow::Arriving Inbox::Judge(const InboundMessage& message,
                            const ChunkHeader& header, const Flow& flow,
                            Flows flows) const {
  if (message.over ||
      message.received.Overlaps(header.offset, header.offset + header.size) ||
      (header.total == 0 && !message.stored.empty())) {
    return Flow::Arriving::kDiscard;
  }
  for (const auto& other : flows) {
    if (other.get() != &flow && other->message == &message &&
        Overlap(other->header, header)) {
      return Flow::Arriving::kTwin;
    }
  }
  if (message.posted == nullptr) return Flow::Arriving::kStored;
  return message.posted->size == header.total ? Flow::Arriving::kInPlace
                                              : Flow::Arriving::kDiscard;
}

// The message of a chunk, made if need be; null if it is of no interest.
Status Inbox::Find(InboundMessage** message, const ChunkHeader& header) {
  *message = nullptr;
  const MessageId& id = header.id;
  if (StateOf({id.communicator, id.target, id.epoch, id.sequence}) !=
      OperationState::kOpen) {
    return {};
  }
  *message = FindOrMake(id);
  InboundMessage& found = **message;
  if (found.known) {
    if (found.first.total != header.total ||
        found.first.fingerprint != header.fingerprint) {
      return PeerViolation("a message has changed its length or operation");
    }
    return {};
  }
  if (found.posted == nullptr && !found.over && !IsCharged(header)) {
    return PeerViolation("a message without grant or credit");
  }
  found.known = true;
  found.first = header;
  if (found.posted != nullptr) {
    Agree(found);
  } else if (MessageObserver* observer = ObserverOf(id)) {
    observer->OnUnexpected(owner_, header);
  }
  return {};
}

Status Inbox::Begin(Flow& flow, const ChunkHeader& header, Flows flows) {
  flow.header = header;
  flow.message = nullptr;
  flow.block = nullptr;
  flow.arriving = Flow::Arriving::kDiscard;
  if (IsCharged(header)) {
    if ((header.flags & kCharged) == kCharged) {
      return PeerViolation("a chunk charged to two accounts");
    }
    const RecvCredit* credit = CreditFor(header);
    if (credit == nullptr || !credit->Covers(header.charged_at, header.size)) {
      return PeerViolation("a chunk without credit");
    }
  }
  InboundMessage* message = nullptr;
  Status found = Find(&message, header);
  if (!found.ok() || message == nullptr) return found;
  flow.arriving = Judge(*message, header, flow, flows);
  return FindPlace(flow, *message, flows);
}

Status Inbox::FindPlace(Flow& flow, InboundMessage& message, Flows flows) {
  if (flow.arriving == Flow::Arriving::kDiscard) return {};
  const ChunkHeader& header = flow.header;
  if (flow.arriving == Flow::Arriving::kStored && !IsCharged(header)) {
    return PeerViolation("a chunk without grant or credit");
  }
  if (flow.arriving != Flow::Arriving::kInPlace && header.size > 0) {
    flow.block = pool_.Take(header.size);
    if (flow.block == nullptr && flow.arriving == Flow::Arriving::kTwin) {
      // No memory to wait and see who is first: the newcomer takes over.
      TurnAwayOthers(flow, message, false, flows);
      flow.arriving = Judge(message, header, flow, flows);
      return FindPlace(flow, message, flows);
    }
    if (flow.block == nullptr) {
      return {StatusCode::kExhausted, "out of memory for unexpected messages",
              FaultScope::kConnection};
    }
  }
  flow.message = &message;
  return {};
}

Result<Buffer> Inbox::Place(Flow& flow, const ChunkHeader& header,
                            Flows flows) {
  Status begun = Begin(flow, header, flows);
  if (!begun.ok()) return begun;
  switch (flow.arriving) {
    case Flow::Arriving::kInPlace:
      return Buffer{flow.message->posted->data + header.offset, header.size};
    case Flow::Arriving::kStored:
    case Flow::Arriving::kTwin:
      return Buffer{flow.block, header.size};
    default:
      return Buffer{};
  }
}

void Inbox::GiveBlock(Flow& flow) {
  if (flow.block != nullptr) pool_.Give(flow.block, flow.header.size);
  flow.block = nullptr;
}

// Flows on which the same bytes are arriving write no more. `whole`: the bytes
// are here.
void Inbox::TurnAwayOthers(const Flow& but, const InboundMessage& message,
                           bool whole, Flows flows) {
  for (const auto& other : flows) {
    if (other.get() == &but || other->message != &message ||
        !Overlap(other->header, but.header)) {
      continue;
    }
    other->endpoint->Divert();
    // This word of it may be lost with its flow; the other one's is as good.
    if (whole && other->header.offset == but.header.offset &&
        other->header.size == but.header.size) {
      Acknowledge(*other, other->header);
    }
    GiveBlock(*other);
    other->arriving = Flow::Arriving::kNothing;
    other->message = nullptr;
  }
}

Status Inbox::Arrived(Flow& flow, const ChunkHeader& header, Flows flows) {
  if (header.size == 0) {
    Status begun = Begin(flow, header, flows);
    if (!begun.ok()) return begun;
  }
  const Flow::Arriving how =
      std::exchange(flow.arriving, Flow::Arriving::kNothing);
  InboundMessage* message = std::exchange(flow.message, nullptr);
  Acknowledge(flow, header);
  const RecvCredit::Entry charge = Enter(header);
  if (charge == RecvCredit::Entry::kWrong) {
    GiveBlock(flow);
    return PeerViolation("credit used twice");
  }
  // No message: its operation has ended meanwhile.
  if (message == nullptr || message->over ||
      message->received.Overlaps(header.offset, header.offset + header.size)) {
    counters_.twin_bytes += header.size;
    if (charge == RecvCredit::Entry::kNew) Release(header);
    GiveBlock(flow);
    return {};
  }
  if (charge == RecvCredit::Entry::kKnown) {
    GiveBlock(flow);
    return PeerViolation("credit used twice");
  }
  if (how == Flow::Arriving::kTwin) TurnAwayOthers(flow, *message, true, flows);
  counters_.bytes += header.size;
  message->received.Add(header.offset, header.offset + header.size);
  if (how == Flow::Arriving::kInPlace) {
    Release(header);
  } else {
    Store(*message, header, std::exchange(flow.block, nullptr));
  }
  CompleteIfWhole(*message);
  return {};
}

// Into the posted receive if there is one by now, else kept.
void Inbox::Store(InboundMessage& message, const ChunkHeader& header,
                  uint8_t* data) {
  StoredChunk* chunk = stored_pool_.Make();
  chunk->header = header;
  chunk->data = data;
  const RecvOp* op = message.posted;
  if (op != nullptr && op->size == header.total) {
    Unstore(*chunk, op->data + header.offset);
    return;
  }
  counters_.unexpected_bytes += header.size;
  message.stored.PushBack(*chunk);
}

// Moves a chunk to its target, or nowhere.
void Inbox::Unstore(StoredChunk& chunk, uint8_t* target) {
  if (chunk.data != nullptr) {
    if (target != nullptr) {
      std::memcpy(target, chunk.data, chunk.header.size);
    }
    pool_.Give(chunk.data, chunk.header.size);
  }
  Release(chunk.header);
  stored_pool_.Destroy(&chunk);
}

void Inbox::CompleteIfWhole(InboundMessage& message) {
  RecvOp* op = message.posted;
  if (op == nullptr || !message.known || message.first.total != op->size ||
      message.received.covered() != op->size ||
      message.first.fingerprint != op->fingerprint) {
    return;
  }
  message.over = true;
  message.posted = nullptr;
  End(*op, Status());
}

void Inbox::OnFlowLost(Flow& flow) {
  GiveBlock(flow);
  flow.arriving = Flow::Arriving::kNothing;
  flow.message = nullptr;
  flow.acks.clear();
}

void Inbox::Fail(const Status& why) {
  messages_.ForEach([&](InboundMessage& message) {
    RecvOp* op = std::exchange(message.posted, nullptr);
    if (op == nullptr) return;
    message.over = true;
    End(*op, why);
  });
}

}  // namespace longhaul
