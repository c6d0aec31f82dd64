#include "path/inbox.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "base/text.h"

namespace longhaul {
namespace {

constexpr uint8_t kCharged =
    ChunkHeader::kChargedShared | ChunkHeader::kChargedReserve;

Status Violation(const char* what) {
  return {StatusCode::kCorrupt, Text("the peer broke the protocol: %s", what),
          FaultScope::kConnection};
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

Inbox::Inbox(Connection& owner, BlockPool& pool, const InboxConfig& config)
    : owner_(owner),
      pool_(pool),
      config_(config),
      shared_(config.shared_credit) {
  acks_.reserve(1024);
  grants_.reserve(1024);
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

void Inbox::Detach(uint32_t communicator, uint32_t rank) {
  Ear* ear = ears_.Find(EarKey(communicator, rank));
  if (ear != nullptr) ear->observer = nullptr;
}

MessageObserver* Inbox::ObserverOf(uint32_t communicator, uint32_t rank) const {
  const Ear* ear = ears_.Find(EarKey(communicator, rank));
  return ear == nullptr ? nullptr : ear->observer;
}

OperationState Inbox::StateOf(const MessageId& id) const {
  const Ear* ear = ears_.Find(EarKey(id.communicator, id.target));
  if (ear == nullptr) return OperationState::kOpen;  // not begun here yet
  return ear->observer == nullptr
             ? OperationState::kAborted
             : ear->observer->StateOf(id.epoch, id.sequence);
}

InboundMessage* Inbox::FindOrMake(const MessageId& id) {
  InboundMessage* message = messages_.Find(id);
  if (message != nullptr) return message;
  if (idle_.empty()) {
    message = message_pool_.Make();
  } else {
    message = idle_.back();
    idle_.pop_back();
  }
  message->id = id;
  messages_.Insert(*message);
  return message;
}

// Ends a message but keeps the object and what its range set has allocated.
void Inbox::Retire(InboundMessage& message) {
  DropStored(message);
  messages_.Remove(message);
  message.known = message.complete = false;
  message.posted = nullptr;
  message.received.Clear();
  idle_.push_back(&message);
}

void Inbox::DropStored(InboundMessage& message) {
  while (StoredChunk* chunk = message.stored.PopFront()) {
    Release(chunk->header);
    if (chunk->data != nullptr) pool_.Give(chunk->data, chunk->header.size);
    stored_pool_.Destroy(chunk);
  }
}

void Inbox::Recv(RecvOp& op) {
  LH_DCHECK(!op.posted);
  InboundMessage* message = FindOrMake(op.id);
  LH_CHECK(message->posted == nullptr && !message->complete);
  message->posted = &op;
  op.posted = true;
  ++posted_;
  if (message->known) {
    Agree(*message, message->first);
    if (message->first.total != op.size) return;
  }
  while (StoredChunk* chunk = message->stored.PopFront()) {
    if (chunk->data != nullptr) {
      std::memcpy(op.data + chunk->header.offset, chunk->data,
                  chunk->header.size);
      pool_.Give(chunk->data, chunk->header.size);
    }
    Release(chunk->header);
    stored_pool_.Destroy(chunk);
  }
  CompleteIfWhole(*message);
  if (op.posted) grants_.push_back({op.id});
}

// A posted receive and a header of its message: the same operation?
void Inbox::Agree(InboundMessage& message, const ChunkHeader& header) {
  RecvOp* op = message.posted;
  if (op == nullptr) return;
  if (header.total == op->size && header.fingerprint == op->fingerprint) return;
  if (MessageObserver* observer =
          ObserverOf(op->id.communicator, op->id.target)) {
    observer->OnDisagreement(owner_, *op, header);
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
    Release(flow->header);
    Acknowledge(flow->header);
    flow->arriving = Flow::Arriving::kNothing;
    flow->message = nullptr;
  }
  message->posted = nullptr;
  End(op, why);
}

void Inbox::End(RecvOp& op, const Status& status) {
  op.posted = false;
  --posted_;
  op.listener->OnReceived(op, status);
}

void Inbox::Forget(const OperationId& operation, Flows flows) {
  for (const auto& flow : flows) {
    if (flow->message != nullptr && BelongsTo(flow->message->id, operation)) {
      LH_DCHECK(flow->arriving != Flow::Arriving::kInPlace);
      flow->message = nullptr;  // its block goes when the chunk is here
    }
  }
  messages_.ForEach([&](InboundMessage& message) {
    if (!BelongsTo(message.id, operation)) return;
    LH_DCHECK(message.posted == nullptr);
    Retire(message);
  });
}

void Inbox::ForEachUnexpected(
    const OperationId& operation,
    const std::function<void(const ChunkHeader&)>& visit) {
  messages_.ForEach([&](InboundMessage& message) {
    if (message.known && message.posted == nullptr && !message.complete &&
        BelongsTo(message.id, operation)) {
      visit(message.first);
    }
  });
}

RecvCredit* Inbox::AccountOf(const ChunkHeader& header) {
  if ((header.flags & ChunkHeader::kChargedShared) != 0) return &shared_;
  const MessageId key = StreamOf(header.id);
  Account* account = accounts_.Find(key);
  if (account == nullptr) {
    if (accounts_.size() >= kMaxStreams) return nullptr;
    account = account_pool_.Make(key, config_.stream_reserve);
    accounts_.Insert(*account);
  }
  return &account->credit;
}

bool Inbox::Accept(const ChunkHeader& header) {
  if ((header.flags & kCharged) == 0) return true;
  RecvCredit* credit = AccountOf(header);
  return credit != nullptr && credit->Accept(header.size);
}

void Inbox::Release(const ChunkHeader& header) {
  if ((header.flags & kCharged) == 0) return;
  AccountOf(header)->Release(header.size);
  if ((header.flags & ChunkHeader::kChargedReserve) != 0) {
    Account* account = accounts_.Find(StreamOf(header.id));
    if (std::find(due_.begin(), due_.end(), account) == due_.end()) {
      due_.push_back(account);
    }
  }
}

void Inbox::Acknowledge(const ChunkHeader& header) {
  if (config_.acknowledge) {
    acks_.push_back({header.id, header.offset, header.size});
  }
}

// What is to become of a chunk that begins to arrive.
Flow::Arriving Inbox::Judge(InboundMessage& message, const ChunkHeader& header,
                            const Flow& flow, Flows flows) {
  if (message.complete ||
      message.received.Overlaps(header.offset, header.offset + header.size) ||
      (header.total == 0 && message.known && !message.stored.empty())) {
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

Status Inbox::Begin(Flow& flow, const ChunkHeader& header, Flows flows) {
  flow.header = header;
  flow.message = nullptr;
  flow.block = nullptr;
  flow.arriving = Flow::Arriving::kDiscard;
  const OperationState state = StateOf(header.id);
  if (state == OperationState::kAborted) {
    if (!Accept(header)) return Violation("no credit");
    Release(header);
  }
  if (state != OperationState::kOpen) return {};
  InboundMessage* message = FindOrMake(header.id);
  if (!message->known) {
    message->known = true;
    message->first = header;
    MessageObserver* observer =
        ObserverOf(header.id.communicator, header.id.target);
    if (message->posted == nullptr && observer != nullptr) {
      observer->OnUnexpected(owner_, header);
    }
  } else if (message->first.total != header.total) {
    return Violation("a message changed its length");
  }
  Agree(*message, header);
  flow.arriving = Judge(*message, header, flow, flows);
  switch (flow.arriving) {
    case Flow::Arriving::kDiscard:
      counters_.twin_bytes += header.size;
      return {};
    case Flow::Arriving::kStored:
      if ((header.flags & kCharged) == 0) return Violation("no grant");
      [[fallthrough]];
    case Flow::Arriving::kInPlace:
      if (!Accept(header)) return Violation("no credit");
      break;
    default:
      break;
  }
  flow.message = message;
  if (flow.arriving != Flow::Arriving::kInPlace && header.size > 0) {
    flow.block = pool_.Take(header.size);
    if (flow.block == nullptr) {
      return {StatusCode::kExhausted, "out of memory for unexpected messages",
              FaultScope::kConnection};
    }
  }
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

Status Inbox::Arrived(Flow& flow, const ChunkHeader& header, Flows flows) {
  if (header.size == 0) {
    Status begun = Begin(flow, header, flows);
    if (!begun.ok()) return begun;
  }
  const Flow::Arriving how = flow.arriving;
  InboundMessage* message = flow.message;
  flow.arriving = Flow::Arriving::kNothing;
  flow.message = nullptr;
  Acknowledge(header);
  if (how == Flow::Arriving::kDiscard) return {};
  if (message == nullptr) {  // the operation ended meanwhile
    if (how == Flow::Arriving::kStored) Release(header);
    GiveBlock(flow);
    return {};
  }
  if (how == Flow::Arriving::kTwin) {
    flow.message = message;
    return TwinArrived(flow, header, flows);
  }
  counters_.bytes += header.size;
  message->received.Add(header.offset, header.offset + header.size);
  if (how == Flow::Arriving::kInPlace) {
    Release(header);
  } else {
    Store(*message, header, flow.block);
    flow.block = nullptr;
  }
  CompleteIfWhole(*message);
  return {};
}

// The same range came over another flow in the meantime, or still does: that
// one is turned away, so that it writes no more once the receive is done.
Status Inbox::TwinArrived(Flow& flow, const ChunkHeader& header, Flows flows) {
  InboundMessage& message = *flow.message;
  flow.message = nullptr;
  if (message.complete ||
      message.received.Overlaps(header.offset, header.offset + header.size)) {
    counters_.twin_bytes += header.size;
    GiveBlock(flow);
    return {};
  }
  Flow* first = nullptr;
  for (const auto& other : flows) {
    if (other->message == &message && Overlap(other->header, header) &&
        other->arriving != Flow::Arriving::kTwin) {
      first = other.get();
    }
  }
  if (first != nullptr) {
    first->endpoint->Divert();
    GiveBlock(*first);
    first->arriving = Flow::Arriving::kNothing;
    first->message = nullptr;
  } else if (!Accept(header)) {
    return Violation("no credit");
  }
  counters_.bytes += header.size;
  message.received.Add(header.offset, header.offset + header.size);
  Store(message, header, flow.block);
  flow.block = nullptr;
  CompleteIfWhole(message);
  return {};
}

// Into the posted receive if there is one by now, else kept.
void Inbox::Store(InboundMessage& message, const ChunkHeader& header,
                  uint8_t* data) {
  RecvOp* op = message.posted;
  if (op != nullptr && op->size == header.total) {
    if (data != nullptr) {
      std::memcpy(op->data + header.offset, data, header.size);
      pool_.Give(data, header.size);
    }
    Release(header);
    return;
  }
  counters_.unexpected_bytes += header.size;
  StoredChunk* chunk = stored_pool_.Make();
  chunk->header = header;
  chunk->data = data;
  message.stored.PushBack(*chunk);
}

void Inbox::CompleteIfWhole(InboundMessage& message) {
  RecvOp* op = message.posted;
  if (op == nullptr || !message.known || message.first.total != op->size ||
      message.received.covered() != op->size ||
      message.first.fingerprint != op->fingerprint) {
    return;
  }
  message.complete = true;
  message.posted = nullptr;
  End(*op, Status());
}

void Inbox::OnFlowLost(Flow& flow) {
  const bool accepted = flow.arriving == Flow::Arriving::kInPlace ||
                        flow.arriving == Flow::Arriving::kStored;
  if (accepted && (flow.header.flags & kCharged) != 0) {
    AccountOf(flow.header)->Retract(flow.header.size);
  }
  GiveBlock(flow);
  flow.arriving = Flow::Arriving::kNothing;
  flow.message = nullptr;
}

void Inbox::Fail(const Status& why) {
  messages_.ForEach([&](InboundMessage& message) {
    RecvOp* op = message.posted;
    message.posted = nullptr;
    if (op != nullptr) End(*op, why);
  });
}

void Inbox::TakeCredit(std::vector<CreditEntry>* out, bool everything) {
  if (everything || shared_.Due()) {
    out->push_back({kSharedAccount, 0, 0, shared_.Announce()});
  }
  const auto announce = [out](Account& account) {
    out->push_back({account.key.communicator, account.key.source,
                    account.key.target, account.credit.Announce()});
  };
  if (everything) {
    accounts_.ForEach(announce);
    messages_.ForEach([this](InboundMessage& message) {
      if (message.posted != nullptr) grants_.push_back({message.id});
    });
    due_.clear();
    return;
  }
  for (Account* account : due_) {
    if (account->credit.Due()) announce(*account);
  }
  due_.clear();
}

}  // namespace longhaul
