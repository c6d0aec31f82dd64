#include "transport/tcp/tcp_socket.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>

#include "base/random.h"
#include "base/text.h"

namespace longhaul {
namespace {

constexpr const char* kAllowedFile =
    "/proc/sys/net/ipv4/tcp_allowed_congestion_control";

Status Failed(StatusCode code, const std::string& what, int error) {
  return {code, Text("%s: %s", what.c_str(), std::strerror(error)),
          FaultScope::kPath};
}

bool SetInt(int fd, int level, int option, int value) {
  return ::setsockopt(fd, level, option, &value, sizeof value) == 0;
}

int GetInt(int fd, int level, int option) {
  int value = 0;
  socklen_t size = sizeof value;
  ::getsockopt(fd, level, option, &value, &size);
  return value;
}

int Milliseconds(Duration time) {
  return static_cast<int>(
      std::clamp<Duration>(time / kMillisecond, 1, INT_MAX));
}

int Seconds(Duration time) {
  return static_cast<int>(std::clamp<Duration>(time / kSecond, 1, 32767));
}

std::string AllowedCongestionControls() {
  const UniqueFd file(::open(kAllowedFile, O_RDONLY | O_CLOEXEC));
  char text[512];
  const ssize_t size = file.valid() ? ::read(file.get(), text, sizeof text) : 0;
  std::string names(text, size > 0 ? static_cast<size_t>(size) : 0);
  while (!names.empty() && names.back() == '\n') names.pop_back();
  return names.empty() ? "unknown" : names;
}

bool AskForCongestionControl(int fd, std::string_view name) {
  return ::setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name.data(),
                      static_cast<socklen_t>(name.size())) == 0;
}

Result<UniqueFd> ListenAt(const Address& at, const TcpSettings& settings) {
  Result<UniqueFd> socket = OpenTcpSocket(at.family, settings);
  if (!socket.ok()) return socket;
  const int fd = socket->get();
  SetInt(fd, SOL_SOCKET, SO_REUSEADDR, 1);
  if (at.family == AddressFamily::kIpv6) {
    SetInt(fd, IPPROTO_IPV6, IPV6_V6ONLY, at.IsAny() ? 0 : 1);
  }
  sockaddr_storage address;
  const socklen_t size = at.ToSockaddr(&address);
  if (::bind(fd, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
      ::listen(fd, SOMAXCONN) != 0) {
    const StatusCode code =
        errno == EADDRINUSE ? StatusCode::kExhausted : StatusCode::kUnreachable;
    return Failed(code, "cannot listen on " + at.ToString(), errno);
  }
  return socket;
}

}  // namespace

Result<std::string> CongestionControlOf(int fd) {
  char name[64] = "";
  socklen_t size = sizeof name - 1;
  if (::getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, &size) != 0) {
    return Failed(StatusCode::kUnsupported, "TCP_CONGESTION", errno);
  }
  return std::string(name);
}

Result<CongestionChoice> SetCongestionControl(int fd, std::string_view wanted) {
  CongestionChoice choice;
  if (wanted.empty()) {
    choice.as_wanted = AskForCongestionControl(fd, "bbr");
  } else if (wanted != "system" && !AskForCongestionControl(fd, wanted)) {
    const int error = errno;
    return Status(
        StatusCode::kUnsupported,
        Text("congestion control %.*s: %s; net.ipv4."
             "tcp_allowed_congestion_control permits: %s (load the module "
             "tcp_%.*s and add it there, or set LONGHAUL_WAN_CC=system)",
             static_cast<int>(wanted.size()), wanted.data(),
             error == ENOENT ? "this host has no such module"
                             : std::strerror(error),
             AllowedCongestionControls().c_str(),
             static_cast<int>(wanted.size()), wanted.data()),
        FaultScope::kPath);
  }
  Result<std::string> name = CongestionControlOf(fd);
  if (!name.ok()) return name.status();
  choice.name = *std::move(name);
  return choice;
}

Result<BufferSizes> SetBuffers(int fd, uint64_t bytes) {
  // The kernel doubles what it is given, to account for its own overhead.
  const int asked = static_cast<int>(std::min<uint64_t>(bytes, INT_MAX / 2));
  if (!SetInt(fd, SOL_SOCKET, SO_SNDBUFFORCE, asked) &&
      !SetInt(fd, SOL_SOCKET, SO_SNDBUF, asked)) {
    return Failed(StatusCode::kUnsupported, "SO_SNDBUF", errno);
  }
  if (!SetInt(fd, SOL_SOCKET, SO_RCVBUFFORCE, asked) &&
      !SetInt(fd, SOL_SOCKET, SO_RCVBUF, asked)) {
    return Failed(StatusCode::kUnsupported, "SO_RCVBUF", errno);
  }
  BufferSizes sizes;
  sizes.send = static_cast<uint64_t>(GetInt(fd, SOL_SOCKET, SO_SNDBUF)) / 2;
  sizes.receive = static_cast<uint64_t>(GetInt(fd, SOL_SOCKET, SO_RCVBUF)) / 2;
  sizes.capped = std::min(sizes.send, sizes.receive) < bytes;
  return sizes;
}

Result<UniqueFd> OpenTcpSocket(AddressFamily family,
                               const TcpSettings& settings) {
  const int domain = Address{family}.SocketFamily();
  UniqueFd fd(::socket(domain, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd.valid()) {
    const bool unsupported = errno == EAFNOSUPPORT;
    return Failed(
        unsupported ? StatusCode::kUnsupported : StatusCode::kExhausted,
        family == AddressFamily::kIpv6 ? "IPv6 socket" : "IPv4 socket", errno);
  }
  SetInt(fd.get(), IPPROTO_TCP, TCP_NODELAY, 1);
  if (settings.buffer) {
    Result<BufferSizes> sizes = SetBuffers(fd.get(), *settings.buffer);
    if (!sizes.ok()) return sizes.status();
  }
  return fd;
}

Status MarkFlow(int fd, const TcpSettings& settings, LinkClass link) {
  if (!settings.dscp || link == LinkClass::kSameSite) return {};
  const int value = *settings.dscp << 2;  // above the two bits of ECN
  const bool ipv6 = GetInt(fd, SOL_SOCKET, SO_DOMAIN) == AF_INET6;
  const bool set = ipv6 ? SetInt(fd, IPPROTO_IPV6, IPV6_TCLASS, value)
                        : SetInt(fd, IPPROTO_IP, IP_TOS, value);
  if (set) return {};
  return Failed(StatusCode::kUnsupported, ipv6 ? "IPV6_TCLASS" : "IP_TOS",
                errno);
}

Status ConfigureFlow(int fd, const TcpSettings& settings, LinkClass link) {
  SetInt(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  if (settings.notsent_lowat) {
    const auto bytes =
        static_cast<int>(std::min<uint64_t>(*settings.notsent_lowat, INT_MAX));
    if (!SetInt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, bytes)) {
      return Failed(StatusCode::kUnsupported, "TCP_NOTSENT_LOWAT", errno);
    }
  }
  if (settings.user_timeout > 0 &&
      !SetInt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT,
              Milliseconds(settings.user_timeout))) {
    return Failed(StatusCode::kUnsupported, "TCP_USER_TIMEOUT", errno);
  }
  if (settings.keepalive > 0) {
    SetInt(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    SetInt(fd, IPPROTO_TCP, TCP_KEEPIDLE, Seconds(settings.keepalive));
    SetInt(fd, IPPROTO_TCP, TCP_KEEPINTVL, Seconds(settings.keepalive / 2));
    SetInt(fd, IPPROTO_TCP, TCP_KEEPCNT, 4);
  }
  if (link == LinkClass::kSameSite) return {};
  Status marked = MarkFlow(fd, settings, link);
  if (!marked.ok()) return marked;
  return SetCongestionControl(fd, settings.congestion_control).status();
}

Result<UniqueFd> ListenTcp(const Address& at,
                           const std::optional<PortRange>& ports,
                           const TcpSettings& settings) {
  if (at.family == AddressFamily::kAuto) {
    return Status(StatusCode::kInvalidArgument, "no address to listen on");
  }
  if (at.port != 0 || !ports) return ListenAt(at, settings);
  // From a random port on, so that processes that start together seldom meet.
  const uint32_t count = uint32_t{ports->high} - ports->low + 1;
  const auto start = static_cast<uint32_t>(RandomU64() % count);
  for (uint32_t i = 0; i < count; ++i) {
    const auto port = static_cast<uint16_t>(ports->low + (start + i) % count);
    Result<UniqueFd> socket = ListenAt(at.WithPort(port), settings);
    if (socket.ok() || socket.status().code() != StatusCode::kExhausted) {
      return socket;
    }
  }
  return Status(StatusCode::kExhausted,
                Text("no free port for %s in LONGHAUL_PORT_RANGE %u-%u",
                     at.HostString().c_str(), unsigned{ports->low},
                     unsigned{ports->high}),
                FaultScope::kPath);
}

Status BindSource(int fd, const Address& source) {
  // The port is chosen at connect, so that one may serve many peers.
  SetInt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
  sockaddr_storage address;
  const socklen_t size = source.WithPort(0).ToSockaddr(&address);
  if (::bind(fd, reinterpret_cast<sockaddr*>(&address), size) == 0) return {};
  return Failed(StatusCode::kUnreachable,
                "cannot send from " + source.HostString(), errno);
}

// Refused by a host that is there, or anything else?
Status NotConnected(int error) {
  return {StatusCode::kUnreachable, std::strerror(error),
          error == ECONNREFUSED ? FaultScope::kConnection : FaultScope::kPath};
}

Result<bool> BeginConnect(int fd, const Address& to) {
  sockaddr_storage address;
  const socklen_t size = to.ToSockaddr(&address);
  if (::connect(fd, reinterpret_cast<sockaddr*>(&address), size) == 0) {
    return true;
  }
  if (errno == EINPROGRESS || errno == EINTR) return false;
  return NotConnected(errno);
}

Status ConnectOutcome(int fd) {
  const int error = GetInt(fd, SOL_SOCKET, SO_ERROR);
  if (error != 0) return NotConnected(error);
  // A connect to a local port that nobody listens on can be given that very
  // port as its own, and then meets itself.
  const Address peer = PeerAddress(fd);
  if (peer.family != AddressFamily::kAuto && peer == LocalAddress(fd)) {
    return {StatusCode::kUnreachable, "nobody listens there",
            FaultScope::kConnection};
  }
  return {};
}

Address LocalAddress(int fd) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  auto* raw = reinterpret_cast<sockaddr*>(&address);
  if (::getsockname(fd, raw, &size) != 0) return {};
  return Address::FromSockaddr(raw, size).value_or(Address{});
}

Address PeerAddress(int fd) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  auto* raw = reinterpret_cast<sockaddr*>(&address);
  if (::getpeername(fd, raw, &size) != 0) return {};
  return Address::FromSockaddr(raw, size).value_or(Address{});
}

}  // namespace longhaul
