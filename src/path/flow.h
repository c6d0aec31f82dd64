// A connection's view of one of its endpoints: what is on its way over it, and
// what is arriving on it.
//
// Engine thread only.
#pragma once

#include <longhaul/buffer.h>

#include <array>
#include <memory>

#include "base/intrusive_list.h"
#include "base/intrusive_map.h"
#include "base/time.h"
#include "path/message.h"
#include "transport/endpoint.h"

namespace longhaul {

struct Flow;
struct InboundMessage;

struct RetainedListTag {};

/// A chunk kept until the peer has acknowledged it.
struct RetainedChunk : FrameCookie,
                       ListLink<RetainedListTag>,
                       MapLink<RetainedChunk> {
  ChunkHeader header;
  uint8_t* data = nullptr;  ///< null if header.size is 0
  Flow* flow = nullptr;     ///< that carries it; null: to be sent again
  bool lent = false;        ///< `flow`'s endpoint still reads it
  bool acknowledged = false;
  TimePoint sent_at = 0;
};

using RetainedList = IntrusiveList<RetainedChunk, RetainedListTag>;

struct Flow {
  /// What becomes of the payload that is arriving.
  enum class Arriving : uint8_t {
    kNothing,
    kControl,  ///< into control_in
    kInPlace,  ///< into a posted receive
    kStored,   ///< into a block: unexpected
    kTwin,     ///< into a block: another flow is filling the same range
    kDiscard,  ///< thrown away, acknowledged
    kForget,   ///< thrown away, not acknowledged
  };

  std::unique_ptr<Endpoint> endpoint;
  bool writable = true;
  /// In the order they were sent; those acknowledged only while still lent.
  RetainedList in_flight;

  Arriving arriving = Arriving::kNothing;
  ChunkHeader header;                 ///< of what is arriving
  InboundMessage* message = nullptr;  ///< kInPlace, kStored, kTwin
  uint8_t* block = nullptr;           ///< kStored, kTwin
  std::unique_ptr<std::array<uint8_t, kMaxControlPayload>> control_in;
};

}  // namespace longhaul
