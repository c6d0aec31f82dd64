// A connection's view of one of its endpoints: what is on its way over it, what
// is arriving on it, and what is to be said on it and on no other.
//
// Engine thread only.
#pragma once

#include <longhaul/buffer.h>

#include <array>
#include <memory>
#include <optional>
#include <vector>

#include "base/intrusive_list.h"
#include "base/intrusive_map.h"
#include "base/time.h"
#include "path/flow_health.h"
#include "path/flow_meter.h"
#include "path/message.h"
#include "path/pacer.h"
#include "transport/endpoint.h"

namespace longhaul {

struct Flow;
struct InboundMessage;
struct Path;

/// Which flow of a connection, by numbers that are equal on both sides.
struct FlowId {
  uint16_t path = 0;  ///< which pair of addresses
  uint16_t flow = 0;  ///< which of the flows between the two
  friend bool operator==(const FlowId&, const FlowId&) = default;
};

struct AgainTag {};
struct FlightTag {};
struct Transmission;

/// A chunk kept until the peer has acknowledged it. It may be on its way over
/// several flows at once.
struct RetainedChunk : ListLink<AgainTag>, MapLink<RetainedChunk> {
  ChunkHeader header;
  uint8_t* data = nullptr;  ///< null if header.size is 0
  bool sent = false;        ///< some endpoint has taken it
  bool acknowledged = false;
  Transmission* flights = nullptr;  ///< where it is on its way
};

/// One passage of a chunk over one flow: what its endpoint is lent.
struct Transmission : FrameCookie, ListLink<FlightTag> {
  RetainedChunk* chunk = nullptr;
  Flow* flow = nullptr;
  Transmission* next_of_chunk = nullptr;
  bool lent = false;           ///< the endpoint still reads it
  TimePoint left_at = kNever;  ///< when it was first seen to have been read
  TimePoint due = kNever;      ///< when it should have been acknowledged
};

using FlightList = IntrusiveList<Transmission, FlightTag>;

struct Flow {
  /// What becomes of the payload that is arriving.
  enum class Arriving : uint8_t {
    kNothing,
    kInPlace,  ///< into a posted receive
    kStored,   ///< into a block: unexpected
    kTwin,     ///< into a block: another flow is filling the same range
    kDiscard,  ///< thrown away, acknowledged
  };

  std::unique_ptr<Endpoint> endpoint;  ///< null: lost, the place is free
  std::optional<FlowId> id;            ///< by which the peer knows it as well
  bool writable = true;
  Pacer pacer;
  TimePoint renew_at_rest = 0;  ///< Endpoint::Renew, if it was idle
  TimePoint renew_at_work = 0;  ///< the same, if not
  /// In the order they were sent; those acknowledged only while still lent.
  FlightList in_flight;
  FlowMeter meter;
  FlowHealth health;
  TimePoint next_look = 0;      ///< at what its transport counts
  uint64_t told_delivered = 0;  ///< to the access meter
  uint64_t told_received = 0;
  bool abandoned = false;  ///< what it carries has been given to others
  bool fell = false;       ///< silent, and counted as such
  bool wanted = false;     ///< it is to be opened (again)
  bool asked = false;      ///< by the peer, who has been told
  TimePoint asked_at = 0;  ///< last
  TimePoint added = 0;     ///< its endpoint
  bool resting = false;    ///< of no use to this side: others carry its data
  size_t place = 0;        ///< among the connection's flows
  Path* path = nullptr;

  Arriving arriving = Arriving::kNothing;
  ChunkHeader header;                 ///< of what is arriving
  InboundMessage* message = nullptr;  ///< kInPlace, kStored, kTwin
  uint8_t* block = nullptr;           ///< kStored, kTwin
  std::unique_ptr<std::array<uint8_t, kMaxControlPayload>> control_in;

  /// Owed for what came over this flow. They leave over it as well: if it is
  /// lost with them, the peer sends again what it does not know to be here.
  std::vector<AckEntry> acks;
  bool pong_due = false;
  uint64_t pong_value = 0;
  TimePoint heard = 0;   ///< when something last arrived
  TimePoint pinged = 0;  ///< when a ping last left
};

}  // namespace longhaul
