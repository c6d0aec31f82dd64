#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "base/clock.h"
#include "engine/engine.h"
#include "support/endpoint_harness.h"
#include "transport/tcp/tcp_endpoint.h"

namespace longhaul {
namespace {

struct SocketPair {
  UniqueFd first;
  UniqueFd second;
};

SocketPair ConnectOverLoopback() {
  const UniqueFd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  auto* raw = reinterpret_cast<sockaddr*>(&address);
  socklen_t size = sizeof address;
  EXPECT_EQ(::bind(listener.get(), raw, size), 0);
  EXPECT_EQ(::listen(listener.get(), 1), 0);
  EXPECT_EQ(::getsockname(listener.get(), raw, &size), 0);
  SocketPair pair;
  pair.first.Reset(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  EXPECT_EQ(::connect(pair.first.get(), raw, size), 0);
  pair.second.Reset(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
  for (const UniqueFd* fd : {&pair.first, &pair.second}) {
    const int flags = ::fcntl(fd->get(), F_GETFL);
    EXPECT_EQ(::fcntl(fd->get(), F_SETFL, flags | O_NONBLOCK), 0);
  }
  return pair;
}

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
