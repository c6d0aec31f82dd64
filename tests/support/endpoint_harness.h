// What the conformance suite needs of an implementation of Endpoint: two ends
// of a flow, and a way to let things happen.
#pragma once

#include <functional>
#include <memory>
#include <ostream>

#include "transport/endpoint.h"

namespace longhaul {

class EndpointHarness {
 public:
  virtual ~EndpointHarness() = default;

  virtual Endpoint& a() = 0;
  virtual Endpoint& b() = 0;
  virtual void SetSinks(ChunkSink& a, ChunkSink& b) = 0;
  /// Are both ends one endpoint? Then there is no peer that could die or send
  /// garbage, and none is told that its peer has closed.
  virtual bool joined_to_itself() const { return false; }
  /// Destroys b, as the death of its process would.
  virtual void DestroyB() = 0;
  /// Has a receive something that is not a frame (b may be gone after it).
  virtual void SendGarbageToA() = 0;

  /// Lets things happen until `done`; false if it does not come to that.
  virtual bool RunUntil(const std::function<bool()>& done) = 0;
  /// Lets happen what is going to happen.
  virtual void Settle() = 0;
};

struct EndpointKind {
  const char* name;
  std::unique_ptr<EndpointHarness> (*make)();

  friend void PrintTo(const EndpointKind& kind, std::ostream* out) {
    *out << kind.name;
  }
};

std::unique_ptr<EndpointHarness> MakeSimHarness();
/// Without delay but with jitter: frames come in bunches.
std::unique_ptr<EndpointHarness> MakeUnsteadySimHarness();
std::unique_ptr<EndpointHarness> MakeTcpHarness();
std::unique_ptr<EndpointHarness> MakeLoopbackHarness();

}  // namespace longhaul
