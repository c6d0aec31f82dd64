// What the peer says: chunks that have arrived, credit, messages that are over.
#include "path/outbox.h"
#include "path/path.h"

namespace longhaul {

bool Outbox::OnAck(const AckEntry& entry) {
  RetainedChunk* chunk = retained_.Find(ChunkKey{entry.id, entry.offset});
  if (chunk == nullptr) return true;  // a twin was acknowledged before
  if (chunk->header.size != entry.size || !chunk->sent) return false;
  Acknowledge(*chunk);
  return true;
}

// What endpoints still read stays until they have.
void Outbox::Acknowledge(RetainedChunk& chunk) {
  chunk.acknowledged = true;
  retained_.Remove(chunk);
  retained_bytes_ -= MemoryFor(chunk.header.size);
  if (chunk.linked()) {
    pending_ -= chunk.header.size;
    IntrusiveList<RetainedChunk, AgainTag>::Remove(chunk);
  }
  for (Transmission* flight = chunk.flights; flight != nullptr;) {
    Transmission* next = flight->next_of_chunk;
    if (!flight->lent) EndFlight(*flight);
    flight = next;
  }
  if (chunk.flights == nullptr) Release(chunk);
}

// The flow has nothing to do with the chunk any more.
void Outbox::EndFlight(Transmission& flight) {
  FlightList::Remove(flight);
  Transmission** link = &flight.chunk->flights;
  while (*link != &flight) link = &(*link)->next_of_chunk;
  *link = flight.next_of_chunk;
  flight_pool_.Destroy(&flight);
}

// Of an acknowledged chunk without flights.
void Outbox::Release(RetainedChunk& chunk) {
  if ((chunk.header.flags & ChunkHeader::kNotice) != 0) {
    delete[] chunk.data;
  } else if (chunk.data != nullptr) {
    pool_.Give(chunk.data, chunk.header.size);
  }
  chunk_pool_.Destroy(&chunk);
}

bool Outbox::OnCredit(const CreditEntry& entry) {
  if (entry.communicator == kSharedAccount) {
    shared_.Raise(entry.limit);
    return true;
  }
  Stream* stream =
      FindOrMakeStream({entry.communicator, entry.source, entry.target});
  if (stream == nullptr) return false;
  stream->reserve.Raise(entry.limit);
  return true;
}

bool Outbox::OnGrant(const GrantEntry& entry, bool to_come) {
  if (SendOp* op = sends_.Find(entry.id)) {
    Stream* stream =
        FindOrMakeStream({op->id.communicator, op->id.source, op->id.target});
    sends_.Remove(*op);
    IntrusiveList<SendOp, SendQueueTag>::Remove(*op);
    op->granted = true;
    SendOp* place = stream->granted.back();
    while (place != nullptr && place->issue > op->issue) {
      place = stream->granted.Before(*place);
    }
    stream->granted.InsertAfter(place, *op);
    Activate(*stream);
    return true;
  }
  if (!to_come || early_.Find(entry.id) != nullptr) return true;
  if (early_.size() >= kMaxEarlyGrants) return false;
  early_.Insert(*early_pool_.Make(entry.id));
  return true;
}

void Outbox::Drop(EarlyGrant& grant) {
  early_.Remove(grant);
  early_pool_.Destroy(&grant);
}

void Outbox::Forget(const OperationId& operation) {
  if (early_.size() == 0) return;
  early_.ForEach([&](EarlyGrant& grant) {
    if (grant.id.communicator == operation.communicator &&
        grant.id.source == operation.rank &&
        grant.id.epoch == operation.epoch &&
        grant.id.sequence == operation.sequence) {
      Drop(grant);
    }
  });
}

void Outbox::Forget(uint32_t communicator, uint32_t rank) {
  early_.ForEach([&](EarlyGrant& grant) {
    if (grant.id.communicator == communicator && grant.id.source == rank) {
      Drop(grant);
    }
  });
}

}  // namespace longhaul
