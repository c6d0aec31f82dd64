#include "topology/interfaces.h"

#include <ifaddrs.h>
#include <net/if.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <tuple>

#include "base/text.h"

namespace longhaul {
namespace {

bool Fits(const InterfaceList& list, std::string_view wanted,
          std::string_view name) {
  return list.exact ? name == wanted : name.starts_with(wanted);
}

// The place in the list of the first entry that fits; its length if none does.
size_t PlaceIn(const InterfaceList& list, std::string_view name) {
  const auto found = std::find_if(
      list.names.begin(), list.names.end(),
      [&](const std::string& wanted) { return Fits(list, wanted, name); });
  return static_cast<size_t>(found - list.names.begin());
}

bool IsNamed(const InterfaceList& list, std::string_view name) {
  return !list.exclude && PlaceIn(list, name) < list.names.size();
}

std::string Describe(const std::vector<Interface>& all) {
  std::string text;
  for (const Interface& interface : all) {
    if (!text.empty()) text += ", ";
    text += interface.name + " " + interface.address.HostString();
    if (!interface.up) text += " (down)";
  }
  return text.empty() ? "none" : text;
}

// Those of one interface stay together, but for its link-local addresses.
void SortBestFirst(const InterfaceList& list, std::vector<Interface>* chosen) {
  std::vector<std::string> order;
  for (const Interface& interface : *chosen) {
    if (std::find(order.begin(), order.end(), interface.name) == order.end()) {
      order.push_back(interface.name);
    }
  }
  const auto key = [&](const Interface& interface) {
    const size_t named = list.exclude ? 0 : PlaceIn(list, interface.name);
    const auto seen = std::find(order.begin(), order.end(), interface.name);
    return std::tuple(interface.address.IsLinkLocal(), named, seen,
                      interface.address.family);
  };
  std::stable_sort(
      chosen->begin(), chosen->end(),
      [&](const Interface& a, const Interface& b) { return key(a) < key(b); });
}

}  // namespace

Result<std::vector<Interface>> ListInterfaces() {
  ifaddrs* list = nullptr;
  if (getifaddrs(&list) != 0) {
    return Status(StatusCode::kInternal,
                  Text("cannot list interfaces: %s", std::strerror(errno)));
  }
  const std::unique_ptr<ifaddrs, void (*)(ifaddrs*)> owner(list, freeifaddrs);
  std::vector<Interface> interfaces;
  for (const ifaddrs* entry = list; entry; entry = entry->ifa_next) {
    const auto address =
        Address::FromSockaddr(entry->ifa_addr, sizeof(sockaddr_storage));
    if (!address) continue;
    constexpr unsigned kUp = IFF_UP | IFF_RUNNING;
    interfaces.push_back({entry->ifa_name, *address,
                          (entry->ifa_flags & kUp) == kUp,
                          (entry->ifa_flags & IFF_LOOPBACK) != 0});
  }
  return interfaces;
}

bool Allows(const InterfaceList& list, std::string_view name) {
  if (list.names.empty()) return true;
  return (PlaceIn(list, name) < list.names.size()) != list.exclude;
}

Result<std::vector<Interface>> ChooseInterfaces(
    const std::vector<Interface>& all, const InterfaceList& list,
    AddressFamily family) {
  std::vector<Interface> chosen;
  std::vector<Interface> loopback;
  for (const Interface& interface : all) {
    if (!interface.up || !Allows(list, interface.name)) continue;
    if (family != AddressFamily::kAuto && interface.address.family != family) {
      continue;
    }
    const bool spare = interface.loopback && !IsNamed(list, interface.name);
    (spare ? loopback : chosen).push_back(interface);
  }
  if (chosen.empty()) chosen = std::move(loopback);
  if (chosen.empty()) {
    return Status(
        StatusCode::kInvalidArgument,
        Text("no network interface is up and allowed by LONGHAUL_INTERFACES "
             "and LONGHAUL_ADDRESS_FAMILY; there are: %s",
             Describe(all).c_str()));
  }
  SortBestFirst(list, &chosen);
  return chosen;
}

}  // namespace longhaul
