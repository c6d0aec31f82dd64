// Messages as a connection's users see them: a SendOp or RecvOp names a
// message and lends its memory; a listener hears when the memory is back; an
// observer hears of what concerns a whole communicator.
//
// The ops are the caller's, one per message, and stay put until their listener
// has been called. Engine thread only.
#pragma once

#include <longhaul/status.h>

#include <cstdint>

#include "base/intrusive_list.h"
#include "base/intrusive_map.h"
#include "transport/chunk.h"

namespace longhaul {

class Connection;
struct SendOp;
struct RecvOp;

/// Hears when lent memory comes back. Called from within the connection: an
/// implementation takes note and wakes whoever goes on; it does not call back.
/// The connection does not look at the op again.
class MessageListener {
 public:
  virtual ~MessageListener() = default;
  /// The source may be overwritten. Not a word on whether it has arrived.
  virtual void OnSent(SendOp& op, const Status& status) = 0;
  /// Ok: the target is filled. Else: nothing writes to it any more.
  virtual void OnReceived(RecvOp& op, const Status& status) = 0;
};

/// One operation as one rank of this process sees it.
struct OperationId {
  uint32_t communicator = 0;
  uint32_t rank = 0;  ///< the local one
  uint32_t epoch = 0;
  uint64_t sequence = 0;
};

/// Something said about an operation or a communicator to all its peers.
struct Notice {
  uint32_t communicator = 0;
  uint32_t epoch = 0;
  uint64_t sequence = 0;  ///< the operation
  Status status;          ///< its scope tells what is broken
};

/// How far an operation has come on this side.
enum class OperationState : uint8_t {
  kOpen,     ///< to come, or running
  kDone,     ///< every message of it has arrived: what still comes is a twin
  kAborted,  ///< given up: what still comes is thrown away
};

/// The ear of one rank of a communicator on a connection. Same rule as
/// MessageListener.
class MessageObserver {
 public:
  virtual ~MessageObserver() = default;
  virtual OperationState StateOf(uint32_t epoch, uint64_t sequence) const = 0;
  /// A message has begun to arrive that nobody has asked for yet.
  virtual void OnUnexpected(Connection& from, const ChunkHeader& header) = 0;
  /// A message is not what was asked for: other length or fingerprint. Called
  /// once for a message; its receive does not complete, it is to be cancelled.
  virtual void OnDisagreement(Connection& from, const RecvOp& op,
                              const ChunkHeader& header) = 0;
  virtual void OnNotice(Connection& from, const Notice& notice) = 0;
  /// The connection is broken, for good.
  virtual void OnFault(Connection& from, const Status& why) = 0;
};

/// What an endpoint is lent with a data frame comes back as one of these.
struct FrameCookie {
  bool retained = false;  ///< a RetainedChunk; else a SendOp
};

struct SendQueueTag {};

struct SendOp : FrameCookie, ListLink<SendQueueTag>, MapLink<SendOp> {
  MessageId id;
  Fingerprint fingerprint;
  const uint8_t* data = nullptr;
  uint64_t size = 0;
  MessageListener* listener = nullptr;

  // The connection's own, from Send to OnSent.
  enum class State : uint8_t { kIdle, kQueued, kEmitted };
  State state = State::kIdle;
  bool granted = false;
  uint32_t lent = 0;   ///< frames an endpoint still reads
  uint64_t next = 0;   ///< first byte not sent yet
  uint64_t issue = 0;  ///< order of Send
  Status given_up;     ///< why, if it was
};

struct RecvOp {
  MessageId id;
  Fingerprint fingerprint;
  uint8_t* data = nullptr;
  uint64_t size = 0;  ///< of the message; with at_most once it is known
  MessageListener* listener = nullptr;
  bool at_most = false;  ///< the message may be shorter than `size`
  bool posted = false;   ///< from Recv to OnReceived
};

}  // namespace longhaul
