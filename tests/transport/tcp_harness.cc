#include <sys/socket.h>

#include <algorithm>
#include <array>

#include "base/clock.h"
#include "engine/engine.h"
#include "support/endpoint_harness.h"
#include "support/socket_pair.h"
#include "transport/tcp/tcp_endpoint.h"

namespace longhaul {
namespace {

// Both ends on one engine, driven inline over a real loopback socket.
class TcpHarness final : public EndpointHarness {
 public:
  TcpHarness() {
    EXPECT_TRUE(engine_.Open().ok());
    SocketPair pair = ConnectOverLoopback();
    socket_b_ = pair.second.get();
    a_ = std::make_unique<TcpEndpoint>(engine_, std::move(pair.first));
    b_ = std::make_unique<TcpEndpoint>(engine_, std::move(pair.second));
  }

  Endpoint& a() override { return *a_; }
  Endpoint& b() override { return *b_; }
  void SetSinks(ChunkSink& a, ChunkSink& b) override {
    EXPECT_TRUE(a_->SetSink(a).ok());
    EXPECT_TRUE(b_->SetSink(b).ok());
  }
  void DestroyB() override { b_.reset(); }
  void SendGarbageToA() override {
    std::array<uint8_t, 200> garbage;
    garbage.fill(0x47);
    EXPECT_EQ(::send(socket_b_, garbage.data(), garbage.size(), 0),
              static_cast<ssize_t>(garbage.size()));
  }
  // Real time only bounds how long a failing test takes.
  bool RunUntil(const std::function<bool()>& done) override {
    const TimePoint deadline = Now() + 20 * kSecond;
    while (!done()) {
      if (Now() > deadline) return false;
      if (!engine_.Turn(Now())) engine_.TakeEvents(20 * kMillisecond);
    }
    return true;
  }
  void Settle() override {
    while (engine_.Turn(Now()) || engine_.TakeEvents(5 * kMillisecond)) {
    }
  }

 private:
  Engine engine_;
  std::unique_ptr<TcpEndpoint> a_;
  std::unique_ptr<TcpEndpoint> b_;
  int socket_b_ = -1;  // b's
};

}  // namespace

std::unique_ptr<EndpointHarness> MakeTcpHarness() {
  return std::make_unique<TcpHarness>();
}

}  // namespace longhaul
