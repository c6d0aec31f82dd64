#include "path/pipe.h"

#include <algorithm>
#include <utility>

#include "base/bytes.h"
#include "base/check.h"
#include "base/text.h"
#include "engine/engine.h"

namespace longhaul {
namespace {

// Ranks, in the name of which a pipe's messages travel: the sender's is the
// pipe's number, so that each pipe is a stream with credit of its own; the
// receiver's is the hub.
constexpr uint32_t kHubRank = 0;
// What fingerprints say in place of a collective.
constexpr uint8_t kPipeMessage = 0xff;
constexpr size_t kDoorBytes = 8;

MessageId IdOf(uint32_t pipe, uint64_t sequence) {
  return {kPipes, pipe, sequence, pipe, kHubRank, 0};
}

Fingerprint PipeFingerprint() {
  Fingerprint fingerprint;
  fingerprint.collective = kPipeMessage;
  return fingerprint;
}

Status Closed() {
  return {StatusCode::kAborted, "the pipe was closed", FaultScope::kOperation};
}

}  // namespace

// --- Sending

OutPipe::OutPipe(Engine& engine, Connection& connection, uint32_t number,
                 uint64_t door, std::span<const uint8_t> greeting)
    : engine_(engine), connection_(connection), number_(number) {
  LH_CHECK(number != kHubRank && greeting.size() <= kLongestGreeting);
  for (Message& message : messages_) {
    message.pipe = this;
    message.listener = this;
    message.fingerprint = PipeFingerprint();
  }
  connection_.Attach(kPipes, number_, *this);
  opening_.bytes.resize(kDoorBytes);
  StoreLittle<uint64_t>(opening_.bytes.data(), door);
  opening_.bytes.insert(opening_.bytes.end(), greeting.begin(), greeting.end());
  opening_.op.id = IdOf(number_, 0);
  opening_.op.fingerprint = PipeFingerprint();
  opening_.op.data = opening_.bytes.data();
  opening_.op.size = opening_.bytes.size();
  opening_.op.listener = this;
  connection_.Send(opening_.op);
}

OutPipe::~OutPipe() {
  // Chunks were copied, so that a cancelled message is back at once.
  if (opening_handed_) connection_.Cancel(opening_.op, Closed());
  for (Message& message : messages_) {
    if (message.handed) connection_.Cancel(message, Closed());
    LH_CHECK(!message.handed);
  }
  connection_.Detach(kPipes, number_);
}

PipeRequest* OutPipe::Send(const void* data, size_t size) {
  Message& message = messages_[next_ % kPipeRequests];
  if (!message.Claim()) return nullptr;
  ++next_;
  message.id = IdOf(number_, sequence_++);
  message.data = static_cast<const uint8_t*>(data);
  message.size = size;
  engine_.Post(&message);
  return &message;
}

void OutPipe::Hand(Message& message, TimePoint /*now*/) {
  message.handed = true;
  ++handed_;
  connection_.Send(message);
}

void OutPipe::OnSent(SendOp& op, const Status& status) {
  if (&op == &opening_.op) {
    opening_handed_ = false;
    return;
  }
  auto& message = static_cast<Message&>(op);
  message.handed = false;
  message.Finish(status, message.size);
}

// A grant is of use for messages that are still to come.
OperationState OutPipe::StateOf(uint32_t /*epoch*/, uint64_t sequence) const {
  return sequence <= handed_ ? OperationState::kDone : OperationState::kOpen;
}

// --- Receiving

InPipe::InPipe(Engine& engine, PipeHub& hub, uint32_t number)
    : engine_(engine), hub_(hub), number_(number) {
  for (Message& message : messages_) {
    message.pipe = this;
    message.listener = this;
    message.fingerprint = PipeFingerprint();
  }
  too_long_.reserve(kPipeRequests);
  hub_.Join(number_, *this);
}

InPipe::~InPipe() {
  for (Message& message : messages_) {
    if (message.posted) hub_.connection().Cancel(message, Closed());
  }
  hub_.Shut(number_);
}

PipeRequest* InPipe::Recv(void* data, size_t size) {
  Message& message = messages_[next_ % kPipeRequests];
  if (!message.Claim()) return nullptr;
  ++next_;
  message.id = IdOf(number_, sequence_++);
  message.data = static_cast<uint8_t*>(data);
  message.size = size;
  message.at_most = true;
  engine_.Post(&message);
  return &message;
}

void InPipe::Hand(Message& message, TimePoint /*now*/) {
  hub_.connection().Recv(message);
}

void InPipe::OnReceived(RecvOp& op, const Status& status) {
  auto& message = static_cast<Message&>(op);
  hub_.Received(message.id);
  message.Finish(status, status.ok() ? message.size : 0);
}

void InPipe::TooLong(const RecvOp& op, const ChunkHeader& header) {
  const auto at =
      std::find_if(messages_.begin(), messages_.end(),
                   [&op](const Message& message) { return &op == &message; });
  LH_CHECK(at != messages_.end());
  too_long_.push_back(
      {&*at, Status(StatusCode::kInvalidArgument,
                    Text("a message of %llu bytes for a receive of %llu",
                         static_cast<unsigned long long>(header.total),
                         static_cast<unsigned long long>(op.size)))});
}

void InPipe::TakeBackTooLong() {
  for (const Rejected& rejected : too_long_) {
    if (rejected.message->posted) {
      hub_.connection().Cancel(*rejected.message, rejected.why);
    }
  }
  too_long_.clear();
}

// --- The hub

PipeHub::PipeHub(Engine& engine, Connection& connection, PipeAcceptor& acceptor)
    : Pollable(engine), connection_(connection), acceptor_(acceptor) {
  connection_.Attach(kPipes, kHubRank, *this);
}

PipeHub::~PipeHub() {
  for (auto& [number, row] : rows_) {
    LH_CHECK(row.pipe == nullptr);
    if (row.op.posted) connection_.Cancel(row.op, Closed());
  }
  connection_.Detach(kPipes, kHubRank);
}

void PipeHub::Join(uint32_t number, InPipe& pipe) {
  Row& row = rows_.at(number);
  LH_CHECK(row.pipe == nullptr && !row.shut);
  row.pipe = &pipe;
}

void PipeHub::Shut(uint32_t number) {
  Row& row = rows_.at(number);
  std::erase(with_too_long_, row.pipe);
  row.pipe = nullptr;
  row.shut = true;
  row.received.Clear();
  // What has been stored for it goes at once, what still comes as it comes.
  connection_.ForgetEpoch(kPipes, kHubRank, number);
}

void PipeHub::Received(const MessageId& id) {
  rows_.at(id.epoch).received.Add(id.sequence, id.sequence + 1);
  to_forget_.push_back(id);
  Wake();
}

OperationState PipeHub::StateOf(uint32_t epoch, uint64_t sequence) const {
  const auto row = rows_.find(epoch);
  if (row == rows_.end()) return OperationState::kOpen;
  if (row->second.shut) return OperationState::kAborted;
  return row->second.received.Contains(sequence, sequence + 1)
             ? OperationState::kDone
             : OperationState::kOpen;
}

void PipeHub::OnUnexpected(Connection& /*from*/, const ChunkHeader& header) {
  if (header.id.sequence != 0 || rows_.contains(header.id.epoch)) return;
  rows_.try_emplace(header.id.epoch);
  new_.push_back(header.id.epoch);
  Wake();
}

void PipeHub::OnDisagreement(Connection& /*from*/, const RecvOp& op,
                             const ChunkHeader& header) {
  Row& row = rows_.at(op.id.epoch);
  if (row.pipe == nullptr) {
    row.shut = true;  // an opening that is none
    return;
  }
  row.pipe->TooLong(op, header);
  with_too_long_.push_back(row.pipe);
  Wake();
}

void PipeHub::OnReceived(RecvOp& op, const Status& status) {
  Received(op.id);
  if (!status.ok()) return;
  opened_.push_back(op.id.epoch);
}

void PipeHub::Poll(uint32_t /*events*/, TimePoint /*now*/) {
  for (const uint32_t number : new_) {
    Row& row = rows_.at(number);
    row.op.id = IdOf(number, 0);
    row.op.fingerprint = PipeFingerprint();
    row.opening_bytes.resize(kDoorBytes + kLongestGreeting);
    row.op.data = row.opening_bytes.data();
    row.op.size = row.opening_bytes.size();
    row.op.at_most = true;
    row.op.listener = this;
    connection_.Recv(row.op);
  }
  new_.clear();
  for (InPipe* pipe : with_too_long_) pipe->TakeBackTooLong();
  with_too_long_.clear();
  for (const MessageId& id : to_forget_) connection_.ForgetMessage(id);
  to_forget_.clear();
  for (const uint32_t number : opened_) {
    Row& row = rows_.at(number);
    const std::vector<uint8_t> bytes = std::move(row.opening_bytes);
    if (row.shut) continue;
    const std::span opening = std::span(bytes).first(row.op.size);
    const bool taken =
        opening.size() >= kDoorBytes &&
        acceptor_.OnPipe(*this, number, LoadLittle<uint64_t>(opening.data()),
                         opening.subspan(kDoorBytes));
    if (!taken) Shut(number);
  }
  opened_.clear();
}

}  // namespace longhaul
