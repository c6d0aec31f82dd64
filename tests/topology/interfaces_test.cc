#include "topology/interfaces.h"

namespace longhaul {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Interface On(const char* name, const char* host) {
  const Address address = Address::ParseHost(host, 0).value();
  return {name, address, true, address.IsLoopback()};
}

std::vector<Interface> Host() {
  return {On("lo", "127.0.0.1"),    On("eth0", "10.0.0.1"),
          On("eth1", "10.1.0.1"),   On("docker0", "172.17.0.1"),
          On("lo", "::1"),          On("eth0", "fe80::1"),
          On("eth0", "2001:db8::1")};
}

std::vector<std::string> Choose(const std::vector<Interface>& all,
                                const InterfaceList& list,
                                AddressFamily family = AddressFamily::kAuto) {
  const auto chosen = ChooseInterfaces(all, list, family);
  std::vector<std::string> texts;
  if (!chosen.ok()) return {chosen.status().text()};
  for (const Interface& interface : *chosen) {
    texts.push_back(interface.name + " " + interface.address.HostString());
  }
  return texts;
}

TEST(InterfacesTest, AutoLeavesOutLoopbackAndPutsLinkLocalLast) {
  EXPECT_THAT(Choose(Host(), {}),
              ElementsAre("eth0 10.0.0.1", "eth0 2001:db8::1", "eth1 10.1.0.1",
                          "docker0 172.17.0.1", "eth0 fe80::1"));
}

TEST(InterfacesTest, ListGivesBeginningsBestFirst) {
  EXPECT_THAT(Choose(Host(), {{"eth1", "eth"}}, AddressFamily::kIpv4),
              ElementsAre("eth1 10.1.0.1", "eth0 10.0.0.1"));
}

TEST(InterfacesTest, EqualsSignAsksForWholeNames) {
  EXPECT_THAT(Choose(Host(), {{"eth1"}, false, true}),
              ElementsAre("eth1 10.1.0.1"));
  EXPECT_THAT(Choose(Host(), {{"eth"}, false, true})[0],
              HasSubstr("no network interface"));
}

TEST(InterfacesTest, CaretLeavesOut) {
  EXPECT_THAT(Choose(Host(), {{"docker", "eth1"}, true}, AddressFamily::kIpv4),
              ElementsAre("eth0 10.0.0.1"));
  EXPECT_THAT(Choose(Host(), {{"eth"}, true, true}, AddressFamily::kIpv6),
              ElementsAre("eth0 2001:db8::1", "eth0 fe80::1"));
}

TEST(InterfacesTest, LoopbackServesWhenNamedOrAlone) {
  EXPECT_THAT(Choose(Host(), {{"lo"}}), ElementsAre("lo 127.0.0.1", "lo ::1"));
  EXPECT_THAT(Choose({On("lo", "127.0.0.1")}, {}), ElementsAre("lo 127.0.0.1"));
  EXPECT_THAT(Choose(Host(), {{"lo", "eth1"}}),
              ElementsAre("lo 127.0.0.1", "lo ::1", "eth1 10.1.0.1"));
  EXPECT_THAT(Choose({On("lo", "127.0.0.1")}, {{"lo"}, true})[0],
              HasSubstr("no network interface"));
}

TEST(InterfacesTest, DownIsLeftOutAndTheRefusalSaysWhatThereIs) {
  std::vector<Interface> all = {On("eth0", "10.0.0.1"), On("eth1", "10.1.0.1")};
  all[0].up = false;
  EXPECT_THAT(Choose(all, {}), ElementsAre("eth1 10.1.0.1"));
  const std::string refusal = Choose(all, {{"eth0"}})[0];
  EXPECT_THAT(refusal, HasSubstr("LONGHAUL_INTERFACES"));
  EXPECT_THAT(refusal,
              HasSubstr("there are: eth0 10.0.0.1 (down), eth1 10.1.0.1"));
}

TEST(InterfacesTest, FamilyIsKept) {
  EXPECT_THAT(Choose(Host(), {}, AddressFamily::kIpv6),
              ElementsAre("eth0 2001:db8::1", "eth0 fe80::1"));
}

TEST(InterfacesTest, KernelListHasLoopback) {
  const auto all = ListInterfaces();
  ASSERT_TRUE(all.ok()) << all.status().text();
  const auto loopback = std::find_if(
      all->begin(), all->end(),
      [](const Interface& interface) { return interface.loopback; });
  ASSERT_NE(loopback, all->end());
  EXPECT_TRUE(loopback->address.IsLoopback());
}

}  // namespace
}  // namespace longhaul
