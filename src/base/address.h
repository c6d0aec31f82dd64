// An IPv4 or IPv6 address with a port, as a plain value.
//
// Text: "10.0.0.1:80", "[::1]:80", "[fe80::1%2]:80" (scope by number or
// interface name). IPv4-mapped IPv6 addresses become IPv4, so that one peer has
// one address.
//
// Plain values; thread-compatible. Resolve may block on name service.
#pragma once

#include <longhaul/options.h>
#include <longhaul/status.h>
#include <sys/socket.h>

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace longhaul {

struct Address {
  AddressFamily family = AddressFamily::kAuto;  ///< kAuto: no address
  uint16_t port = 0;                            ///< host byte order
  uint32_t scope = 0;               ///< interface index of a link-local address
  std::array<uint8_t, 16> bytes{};  ///< network order; IPv4 uses the first 4

  auto operator<=>(const Address&) const = default;

  /// The numeric forms above, with port. kInvalidArgument for names.
  static Result<Address> Parse(std::string_view text);
  /// A numeric host without port: "10.0.0.1", "::1", "fe80::1%eth0".
  static Result<Address> ParseHost(std::string_view host, uint16_t port);
  /// nullopt unless AF_INET or AF_INET6 of full length.
  static std::optional<Address> FromSockaddr(const sockaddr* address,
                                             socklen_t size);
  /// The address to listen on for all interfaces. kAuto gives IPv6, which a
  /// dual-stack socket serves both with.
  static Address Any(AddressFamily family, uint16_t port);
  static Address Loopback(AddressFamily family, uint16_t port);

  /// Fills `out` and returns its length; 0 for no address.
  socklen_t ToSockaddr(sockaddr_storage* out) const;
  /// AF_INET, AF_INET6 or AF_UNSPEC.
  int SocketFamily() const;
  Address WithPort(uint16_t new_port) const;
  bool IsLoopback() const;
  bool IsLinkLocal() const;
  bool IsAny() const;
  std::string ToString() const;    ///< with port
  std::string HostString() const;  ///< without port or brackets
};

struct HostPort {
  std::string host;  ///< without brackets
  uint16_t port = 0;
  bool operator==(const HostPort&) const = default;
};

/// "host:80", "1.2.3.4:80", "[::1]:80" in two; names are not resolved.
/// kInvalidArgument without a host or a port of 1 .. 65535.
Result<HostPort> SplitHostPort(std::string_view text);

/// All stream addresses of a host name or numeric host, in getaddrinfo's
/// order (RFC 6724), duplicates removed. kUnreachable if the name does not
/// resolve, kTimedOut if name service failed for now (try again later).
Result<std::vector<Address>> Resolve(const std::string& host, uint16_t port,
                                     AddressFamily family);

/// This host's name, as gethostname gives it.
std::string HostName();

}  // namespace longhaul
