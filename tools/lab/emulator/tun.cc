#include "lab/emulator/tun.h"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cctype>

namespace longhaul::lab {
namespace {

// Of Linux 6.2; older headers lack them.
constexpr unsigned kOffloadUso4 = 0x20;
constexpr unsigned kOffloadUso6 = 0x40;

std::string NamespacePath(const std::string& name) {
  if (name.starts_with('/')) return name;
  const bool number = std::all_of(name.begin(), name.end(), [](char c) {
    return std::isdigit(static_cast<unsigned char>(c)) != 0;
  });
  return number ? "/proc/" + name + "/ns/net" : "/run/netns/" + name;
}

// Puts the thread into a namespace, and back when it goes.
class Visit {
 public:
  explicit Visit(const std::string& path)
      : home_(::open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC)) {
    const File there(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!home_.ok() || !there.ok() || ::setns(there.fd(), CLONE_NEWNET) < 0) {
      ThrowErrno(path);
    }
  }
  ~Visit() { ::setns(home_.fd(), CLONE_NEWNET); }
  Visit(const Visit&) = delete;
  Visit& operator=(const Visit&) = delete;

 private:
  File home_;
};

void TurnOffloadsOn(int tun) {
  constexpr unsigned kTcp =
      TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;
  if (::ioctl(tun, TUNSETOFFLOAD, kTcp | kOffloadUso4 | kOffloadUso6) < 0 &&
      ::ioctl(tun, TUNSETOFFLOAD, kTcp) < 0) {
    ThrowErrno("TUNSETOFFLOAD");
  }
}

void BringUp(ifreq& request, const TunOptions& options) {
  const File socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  request.ifr_mtu = options.mtu;
  if (::ioctl(socket.fd(), SIOCSIFMTU, &request) < 0) ThrowErrno("set MTU");
  // The kernel's own queue must never be the one that drops. Without real root
  // this is refused; then `ip link set txqueuelen` does it.
  request.ifr_qlen = 10000;
  (void)::ioctl(socket.fd(), SIOCSIFTXQLEN, &request);
  if (::ioctl(socket.fd(), SIOCGIFFLAGS, &request) < 0) ThrowErrno("flags");
  request.ifr_flags |= IFF_UP;
  // No neighbour discovery across the link, so no multicast: else the kernel
  // reports its own groups there.
  if (!options.ethernet) request.ifr_flags &= ~IFF_MULTICAST;
  if (::ioctl(socket.fd(), SIOCSIFFLAGS, &request) < 0) ThrowErrno("up");
}

File OpenHere(const std::string& interface, const TunOptions& options) {
  File tun(::open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC));
  if (!tun.ok()) ThrowErrno("/dev/net/tun");
  ifreq request{};
  interface.copy(request.ifr_name, IFNAMSIZ - 1);
  request.ifr_flags = static_cast<short>(  // NOLINT(google-runtime-int)
      (options.ethernet ? IFF_TAP : IFF_TUN) | IFF_NO_PI | IFF_VNET_HDR);
  if (::ioctl(tun.fd(), TUNSETIFF, &request) < 0) {
    ThrowErrno("create " + interface);
  }
  TurnOffloadsOn(tun.fd());
  BringUp(request, options);
  return tun;
}

}  // namespace

File OpenTun(const std::string& where, const TunOptions& options) {
  const size_t colon = where.rfind(':');
  if (colon == std::string::npos) return OpenHere(where, options);
  const Visit visit(NamespacePath(where.substr(0, colon)));
  return OpenHere(where.substr(colon + 1), options);
}

}  // namespace longhaul::lab
