// One transport flow: frames in, frames out. Implementations: tcp/, sim/,
// loopback_endpoint.h; all pass tests/transport/endpoint_conformance_test.cc.
//
// Engine thread only.
#pragma once

#include <longhaul/buffer.h>
#include <longhaul/status.h>

#include <cstdint>
#include <span>
#include <string>

#include "base/time.h"
#include "transport/chunk.h"

namespace longhaul {

class Endpoint;

/// Where an endpoint's frames go. Calls come from within Endpoint's own
/// methods or its Poll; a sink may call back into the endpoint from any of
/// them except where said, but never destroys it there.
class ChunkSink {
 public:
  virtual ~ChunkSink() = default;

  /// A data or control header has arrived and its payload is next: where to?
  /// A null `data` throws the payload away (Arrived is called all the same).
  /// Otherwise at least header.size bytes, which stay the endpoint's to write
  /// until Arrived, Divert, Failed or Close. Not called for padding, nor where
  /// header.size is 0.
  virtual Buffer Place(Endpoint& from, const ChunkHeader& header,
                       TimePoint now) = 0;
  /// The whole frame is here; `payload` is what Place returned.
  virtual void Arrived(Endpoint& from, const ChunkHeader& header,
                       Buffer payload, TimePoint now) = 0;
  /// The endpoint reads the payload sent with `cookie` no more.
  virtual void Sent(Endpoint& from, void* cookie) = 0;
  /// TrySend may succeed again.
  virtual void Writable(Endpoint& from) = 0;
  /// The flow is broken, once: nothing lent to it is touched any more.
  /// kUnreachable: the peer is gone; kCorrupt: it breaks the protocol.
  virtual void Failed(Endpoint& from, const Status& why) = 0;
};

/// What a flow knows about itself. Zero: unknown.
struct EndpointStats {
  uint64_t bytes_sent = 0;
  uint64_t bytes_received = 0;
  uint64_t retransmits = 0;  ///< packets the transport has sent again
  Duration rtt = 0;          ///< smoothed
  Duration min_rtt = 0;
  double delivery_rate = 0;  ///< bytes/s, as the transport last measured it
  uint64_t bytes_in_flight = 0;
  uint64_t bytes_delivered = 0;  ///< that the peer's transport has confirmed
  uint64_t bytes_unsent = 0;     ///< taken, but not yet sent for a first time
};

class Endpoint {
 public:
  virtual ~Endpoint() = default;

  /// Takes a data or padding frame: `payload` is lent until Sent(cookie),
  /// Failed or Close. False if there is no room now; Writable follows.
  virtual bool TrySend(const ChunkHeader& header, ConstBuffer payload,
                       void* cookie) = 0;
  /// Takes a control frame ahead of queued data; the payload is copied. False
  /// if there is no room now; Writable follows.
  virtual bool TrySendControl(const ChunkHeader& header,
                              std::span<const uint8_t> payload) = 0;
  /// Throws away what is still to come of the payload being received; Arrived
  /// is not called for it. Nothing if none is being received.
  virtual void Divert() = 0;
  /// Nothing more will be sent; what was taken still leaves. The peer's
  /// endpoint fails with kUnreachable after the last frame.
  virtual void Finish() = 0;
  /// Lets go of everything lent, at once. No call to the sink follows.
  virtual void Close() = 0;

  /// At most so many bytes of payload leave per second, however much the
  /// congestion control would send; 0: no limit. A transport that cannot pace
  /// ignores it.
  virtual void SetPace(double /*bytes_per_second*/) {}

  /// A good moment for the congestion control to begin anew with what it
  /// believes of the line, if it would otherwise stop by itself, sooner or
  /// later, to look. For flows that are paced: a beginner is bold. False if it
  /// was not so good a moment: ask again.
  virtual bool Renew() { return true; }

  /// Is everything that was taken out of this process's hands?
  virtual bool Drained() const = 0;
  /// May a frame be lost or doubled without Failed being called?
  virtual bool reliable() const = 0;
  /// The longest payload a frame may have.
  virtual uint32_t max_payload() const = 0;
  virtual EndpointStats Stats() const = 0;
  /// "10.0.0.1:3423 -> 10.0.1.7:5000", for messages.
  virtual std::string Name() const = 0;
};

}  // namespace longhaul
