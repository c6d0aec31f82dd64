#include "transport/tcp/tcp_socket.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cstdlib>

namespace longhaul {
namespace {

using testing::HasSubstr;

int Get(int fd, int level, int option) {
  int value = 0;
  socklen_t size = sizeof value;
  EXPECT_EQ(::getsockopt(fd, level, option, &value, &size), 0);
  return value;
}

UniqueFd Socket(const TcpSettings& settings = {}) {
  return OpenTcpSocket(AddressFamily::kIpv4, settings).value();
}

TEST(TcpSocket, IsNonblockingClosedOnExecAndWithoutDelay) {
  const UniqueFd fd = Socket();
  EXPECT_NE(::fcntl(fd.get(), F_GETFL) & O_NONBLOCK, 0);
  EXPECT_NE(::fcntl(fd.get(), F_GETFD) & FD_CLOEXEC, 0);
  EXPECT_NE(Get(fd.get(), IPPROTO_TCP, TCP_NODELAY), 0);
}

TEST(TcpSocket, SystemLeavesTheHostsCongestionControl) {
  const UniqueFd fd = Socket();
  const std::string before = CongestionControlOf(fd.get()).value();
  const auto choice = SetCongestionControl(fd.get(), "system");
  ASSERT_TRUE(choice.ok());
  EXPECT_EQ(choice->name, before);
}

TEST(TcpSocket, AutoSaysWhatIsInForce) {
  const UniqueFd fd = Socket();
  const auto choice = SetCongestionControl(fd.get(), "");
  ASSERT_TRUE(choice.ok());
  EXPECT_EQ(choice->name, CongestionControlOf(fd.get()).value());
  EXPECT_EQ(choice->as_wanted, choice->name == "bbr");
}

TEST(TcpSocket, ANamedCongestionControlIsSet) {
  const UniqueFd fd = Socket();
  const auto choice = SetCongestionControl(fd.get(), "reno");  // always there
  ASSERT_TRUE(choice.ok());
  EXPECT_EQ(choice->name, "reno");
}

TEST(TcpSocket, AnUnknownCongestionControlIsExplained) {
  const UniqueFd fd = Socket();
  const Status status = SetCongestionControl(fd.get(), "hyperloop").status();
  EXPECT_EQ(status.code(), StatusCode::kUnsupported);
  EXPECT_THAT(status.text(),
              AllOf(HasSubstr("hyperloop"),
                    HasSubstr("net.ipv4.tcp_allowed_congestion_control"),
                    HasSubstr("reno")));
}

TEST(TcpSocket, OnlyFlowsBetweenSitesChangeTheirCongestionControl) {
  TcpSettings settings;
  settings.congestion_control = "hyperloop";
  const UniqueFd fd = Socket();
  EXPECT_TRUE(ConfigureFlow(fd.get(), settings, LinkClass::kSameSite).ok());
  EXPECT_FALSE(ConfigureFlow(fd.get(), settings, LinkClass::kOtherSite).ok());
}

TEST(TcpSocket, SettingsReachTheKernel) {
  TcpSettings settings;
  settings.congestion_control = "system";
  settings.notsent_lowat = 131072;
  settings.user_timeout = 7 * kSecond;
  settings.keepalive = 30 * kSecond;
  const UniqueFd fd = Socket();
  ASSERT_TRUE(ConfigureFlow(fd.get(), settings, LinkClass::kOtherSite).ok());
  EXPECT_EQ(Get(fd.get(), IPPROTO_TCP, TCP_NOTSENT_LOWAT), 131072);
  EXPECT_EQ(Get(fd.get(), IPPROTO_TCP, TCP_USER_TIMEOUT), 7000);
  EXPECT_EQ(Get(fd.get(), IPPROTO_TCP, TCP_KEEPIDLE), 30);
  EXPECT_NE(Get(fd.get(), SOL_SOCKET, SO_KEEPALIVE), 0);
}

TEST(TcpSocket, OnlyFlowsBetweenSitesAreMarked) {
  TcpSettings settings;
  settings.dscp = 34;
  const UniqueFd fd = Socket();
  ASSERT_TRUE(MarkFlow(fd.get(), settings, LinkClass::kSameSite).ok());
  EXPECT_EQ(Get(fd.get(), IPPROTO_IP, IP_TOS), 0);
  ASSERT_TRUE(MarkFlow(fd.get(), settings, LinkClass::kOtherSite).ok());
  EXPECT_EQ(Get(fd.get(), IPPROTO_IP, IP_TOS), 34 << 2);
  const auto ipv6 = OpenTcpSocket(AddressFamily::kIpv6, settings);
  if (!ipv6.ok()) GTEST_SKIP() << ipv6.status().text();
  ASSERT_TRUE(ConfigureFlow(ipv6->get(), settings, LinkClass::kOtherSite).ok());
  EXPECT_EQ(Get(ipv6->get(), IPPROTO_IPV6, IPV6_TCLASS), 34 << 2);
}

TEST(TcpSocket, BuffersAreFixedOnlyIfAsked) {
  TcpSettings settings;
  settings.buffer = 65536;
  const UniqueFd fixed = Socket(settings);
  const auto sizes = SetBuffers(fixed.get(), 65536);
  ASSERT_TRUE(sizes.ok());
  EXPECT_EQ(sizes->send, 65536u);
  EXPECT_EQ(sizes->receive, 65536u);
  EXPECT_FALSE(sizes->capped);
  const UniqueFd tuned = Socket();
  EXPECT_NE(Get(tuned.get(), SOL_SOCKET, SO_SNDBUF),
            Get(fixed.get(), SOL_SOCKET, SO_SNDBUF));
}

TEST(TcpSocket, ListensWithinTheRange) {
  // Two ports, taken one after the other; the third listener finds none.
  const Address any = Address::Loopback(AddressFamily::kIpv4, 0);
  const UniqueFd probe = ListenTcp(any, {}, {}).value();
  const uint16_t base = LocalAddress(probe.get()).port;
  ASSERT_NE(base, 0);
  const PortRange range{base, static_cast<uint16_t>(base + 1)};
  const auto second = ListenTcp(any, range, {});
  if (second.ok()) {
    EXPECT_EQ(LocalAddress(second->get()).port, base + 1);
  }
  const Status none = ListenTcp(any, range, {}).status();
  EXPECT_EQ(none.code(), StatusCode::kExhausted);
  EXPECT_THAT(none.text(), HasSubstr("LONGHAUL_PORT_RANGE"));
}

TEST(TcpSocket, RefusesAnAddressThatIsNotOurs) {
  const Address elsewhere = Address::ParseHost("192.0.2.1", 0).value();
  const Status status = ListenTcp(elsewhere, {}, {}).status();
  EXPECT_EQ(status.code(), StatusCode::kUnreachable);
  EXPECT_THAT(status.text(), HasSubstr("192.0.2.1"));
  const UniqueFd fd = Socket();
  EXPECT_FALSE(BindSource(fd.get(), elsewhere).ok());
}

TEST(TcpSocket, Ipv6SharesItsAnyPortWithIpv4) {
  const auto listener =
      ListenTcp(Address::Any(AddressFamily::kAuto, 0), {}, {});
  if (!listener.ok()) GTEST_SKIP() << listener.status().text();
  const uint16_t port = LocalAddress(listener->get()).port;
  for (const AddressFamily family :
       {AddressFamily::kIpv4, AddressFamily::kIpv6}) {
    const UniqueFd fd = OpenTcpSocket(family, {}).value();
    EXPECT_TRUE(BeginConnect(fd.get(), Address::Loopback(family, port)).ok());
  }
}

}  // namespace
}  // namespace longhaul
