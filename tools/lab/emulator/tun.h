// Opens one end of a link: a TUN or TAP interface in some network namespace.
// The calling thread visits the namespace and comes back.
#pragma once

#include <string>

#include "lab/emulator/file.h"

namespace longhaul::lab {

struct TunOptions {
  bool ethernet = false;  // TAP instead of TUN
  int mtu = 1500;
};

// `where` is [NAMESPACE:]INTERFACE; the namespace is a name under /run/netns, a
// path, or a process id. The interface is created, its offloads are on, it is
// up. Throws std::system_error.
File OpenTun(const std::string& where, const TunOptions& options);

}  // namespace longhaul::lab
