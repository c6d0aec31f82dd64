#include "base/address.h"

#include <netinet/in.h>

namespace longhaul {
namespace {

using testing::Contains;

TEST(AddressTest, TextIsReadBack) {
  for (const char* text :
       {"10.0.0.1:80", "[::1]:65535", "[2001:db8::5]:29501", "[fe80::1%7]:9"}) {
    const Result<Address> address = Address::Parse(text);
    ASSERT_TRUE(address.ok()) << address.status().text();
    EXPECT_EQ(address->ToString(), text);
  }
}

TEST(AddressTest, RefusesWhatIsNoAddress) {
  for (const char* text : {"", "10.0.0.1", "10.0.0:80", "node0:80", "::1:80",
                           "[::1]", "[::1]:0", "10.0.0.1:65536", "[10.0.0.1:80",
                           "[fe80::1%nosuchdevice]:80", "1.2.3.4:80x"}) {
    EXPECT_EQ(Address::Parse(text).status().code(),
              StatusCode::kInvalidArgument)
        << text;
  }
}

TEST(AddressTest, SockaddrIsReadBack) {
  for (const char* text :
       {"10.1.2.3:80", "[2001:db8::5]:81", "[fe80::1%1]:82"}) {
    const Address address = Address::Parse(text).value();
    sockaddr_storage storage;
    const socklen_t size = address.ToSockaddr(&storage);
    EXPECT_EQ(
        Address::FromSockaddr(reinterpret_cast<sockaddr*>(&storage), size),
        address);
  }
}

TEST(AddressTest, SockaddrHasNetworkByteOrder) {
  sockaddr_storage storage;
  const socklen_t size =
      Address::Parse("1.2.3.4:258").value().ToSockaddr(&storage);
  EXPECT_EQ(size, sizeof(sockaddr_in));
  const auto* bytes = reinterpret_cast<const uint8_t*>(&storage);
  EXPECT_EQ(std::vector<uint8_t>(bytes + 2, bytes + 8),
            (std::vector<uint8_t>{1, 2, 1, 2, 3, 4}));
}

TEST(AddressTest, ForeignOrShortSockaddrIsNone) {
  sockaddr_storage storage{};
  EXPECT_FALSE(Address::FromSockaddr(reinterpret_cast<sockaddr*>(&storage),
                                     sizeof(storage)));
  storage.ss_family = AF_INET6;
  EXPECT_FALSE(Address::FromSockaddr(reinterpret_cast<sockaddr*>(&storage),
                                     sizeof(sockaddr_in)));
  EXPECT_FALSE(Address::FromSockaddr(nullptr, 0));
  EXPECT_EQ(Address{}.ToSockaddr(&storage), 0u);
}

// A dual-stack socket reports IPv4 peers as ::ffff:a.b.c.d.
TEST(AddressTest, MappedIpv4IsIpv4) {
  EXPECT_EQ(Address::ParseHost("::ffff:10.0.0.1", 80).value(),
            Address::Parse("10.0.0.1:80").value());
}

TEST(AddressTest, Kinds) {
  EXPECT_TRUE(Address::Parse("127.3.0.1:1")->IsLoopback());
  EXPECT_TRUE(Address::Parse("[::1]:1")->IsLoopback());
  EXPECT_FALSE(Address::Parse("[::2]:1")->IsLoopback());
  EXPECT_TRUE(Address::Parse("169.254.9.9:1")->IsLinkLocal());
  EXPECT_TRUE(Address::Parse("[febf::1]:1")->IsLinkLocal());
  EXPECT_FALSE(Address::Parse("[fec0::1]:1")->IsLinkLocal());
  EXPECT_TRUE(Address::Any(AddressFamily::kAuto, 1).IsAny());
  EXPECT_EQ(Address::Any(AddressFamily::kIpv4, 1).ToString(), "0.0.0.0:1");
  EXPECT_EQ(Address::Loopback(AddressFamily::kIpv6, 1).ToString(), "[::1]:1");
  EXPECT_EQ(Address::Loopback(AddressFamily::kIpv4, 1).ToString(),
            "127.0.0.1:1");
  EXPECT_FALSE(Address{}.IsAny());
}

TEST(AddressTest, SplitLeavesNamesAlone) {
  EXPECT_EQ(*SplitHostPort("node0.example.net:29500"),
            (HostPort{"node0.example.net", 29500}));
  EXPECT_EQ(*SplitHostPort("[fe80::1%eth0]:1"), (HostPort{"fe80::1%eth0", 1}));
  EXPECT_FALSE(SplitHostPort(":80").ok());
  EXPECT_FALSE(SplitHostPort("node0:").ok());
}

TEST(AddressTest, ResolvesNumericHostsAndTheFamilyAskedFor) {
  const auto four = Resolve("127.0.0.1", 80, AddressFamily::kAuto);
  ASSERT_TRUE(four.ok()) << four.status().text();
  EXPECT_THAT(*four, Contains(Address::Loopback(AddressFamily::kIpv4, 80)));
  const auto six = Resolve("::1", 80, AddressFamily::kIpv6);
  ASSERT_TRUE(six.ok()) << six.status().text();
  EXPECT_EQ(six->front(), Address::Loopback(AddressFamily::kIpv6, 80));
  EXPECT_FALSE(Resolve("127.0.0.1", 80, AddressFamily::kIpv6).ok());
}

}  // namespace
}  // namespace longhaul
