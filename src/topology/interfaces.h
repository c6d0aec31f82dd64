// The local addresses peers may reach this process at.
//
// Thread-compatible; ListInterfaces asks the kernel, the rest is pure.
#pragma once

#include <longhaul/options.h>
#include <longhaul/status.h>

#include <string>
#include <string_view>
#include <vector>

#include "base/address.h"

namespace longhaul {

/// One address of one interface.
struct Interface {
  std::string name;
  Address address;  ///< port 0
  bool up = true;   ///< and running
  bool loopback = false;
};

/// What the kernel has, in its order.
Result<std::vector<Interface>> ListInterfaces();

/// Whether LONGHAUL_INTERFACES lets this name pass.
bool Allows(const InterfaceList& list, std::string_view name);

/// The candidates, best first: those that are up, of the family and allowed.
/// Loopback is left out unless it is named or nothing else is there. Order:
/// global before link-local, interfaces in the order of the list's names, then
/// as given; with family kAuto IPv4 before IPv6 of one interface.
/// kInvalidArgument if nothing is left, with what there was.
Result<std::vector<Interface>> ChooseInterfaces(
    const std::vector<Interface>& all, const InterfaceList& list,
    AddressFamily family);

}  // namespace longhaul
