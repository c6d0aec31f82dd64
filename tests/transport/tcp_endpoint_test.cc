#include "transport/tcp/tcp_endpoint.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "support/pch.h"
#include "support/recording_sink.h"
#include "support/socket_pair.h"

namespace longhaul {
namespace {

// An endpoint over loopback with always something to send, the other end read
// by the test.
class Sender {
 public:
  Sender() {
    EXPECT_TRUE(engine_.Open().ok());
    SocketPair pair = ConnectOverLoopback();
    fd_ = pair.first.get();
    other_ = std::move(pair.second);
    const int lowat = 256 << 10;
    ::setsockopt(fd_, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &lowat, sizeof lowat);
    endpoint_.emplace(engine_, std::move(pair.first));
    EXPECT_TRUE(endpoint_->SetSink(sink_).ok());
  }
  TcpEndpoint& endpoint() { return *endpoint_; }
  int endpoint_fd() const { return fd_; }

  void Send(size_t bytes) {
    ChunkHeader header;
    header.kind = FrameKind::kPadding;
    header.size = static_cast<uint32_t>(payload_.size());
    std::vector<uint8_t> bin(1 << 20);
    const TimePoint deadline = Now() + 20 * kSecond;
    for (size_t got = 0; got < bytes && Now() < deadline;) {
      while (endpoint_->TrySend(header, {payload_.data(), payload_.size()},
                                nullptr)) {
      }
      if (!engine_.Turn(Now())) engine_.TakeEvents(kMillisecond);
      const ssize_t part =
          ::recv(other_.get(), bin.data(), bin.size(), MSG_DONTWAIT);
      got += static_cast<size_t>(std::max<ssize_t>(part, 0));
    }
  }
  int Lowat() const {
    int bytes = 0;
    socklen_t size = sizeof bytes;
    ::getsockopt(fd_, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &bytes, &size);
    return bytes;
  }

 private:
  Engine engine_;
  UniqueFd other_;
  RecordingSink sink_;
  std::optional<TcpEndpoint> endpoint_;
  int fd_ = -1;
  std::vector<uint8_t> payload_ = std::vector<uint8_t>(256 << 10);
};

TEST(TcpEndpoint, WithAPaceItKeepsToIt) {
  Sender sender;
  sender.Send(1 << 20);
  sender.endpoint().SetPace(20e6);
  sender.Send(1 << 20);  // what was under way
  const TimePoint begin = Now();
  sender.Send(4 << 20);
  EXPECT_GT(Now() - begin, 100 * kMillisecond) << "200 ms at 20 MB/s";
}

TEST(TcpEndpoint, BreathEndsWithTheUsersOwnSetting) {
  Sender sender;
  sender.Send(1 << 20);
  sender.endpoint().SetPace(100e6);
  sender.Send(4 << 20);
  sender.endpoint().SetPace(0);
  sender.Send(1 << 20);
  EXPECT_EQ(sender.Lowat(), 256 << 10);
}

TEST(TcpEndpoint, ToBeginAnewKeepsTheCongestionControl) {
  Sender sender;
  char before[16] = "";
  char after[16] = "";
  socklen_t size = sizeof before;
  ASSERT_EQ(::getsockopt(sender.endpoint_fd(), IPPROTO_TCP, TCP_CONGESTION,
                         before, &size),
            0);
  EXPECT_TRUE(sender.endpoint().Renew());
  size = sizeof after;
  ASSERT_EQ(::getsockopt(sender.endpoint_fd(), IPPROTO_TCP, TCP_CONGESTION,
                         after, &size),
            0);
  EXPECT_STREQ(before, after);
}

}  // namespace
}  // namespace longhaul
