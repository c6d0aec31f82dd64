#include "base/address.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>
#include <memory>

#include "base/parse.h"
#include "base/text.h"

namespace longhaul {
namespace {

constexpr std::array<uint8_t, 12> kMapped = {0, 0, 0, 0, 0,    0,
                                             0, 0, 0, 0, 0xff, 0xff};

Status Refuse(std::string_view text, const char* why) {
  return {StatusCode::kInvalidArgument,
          Text("%s: %s", std::string(text).c_str(), why)};
}

Address MakeIpv4(const uint8_t* bytes, uint16_t port) {
  Address address{AddressFamily::kIpv4, port};
  std::copy_n(bytes, 4, address.bytes.begin());
  return address;
}

Address MakeIpv6(const uint8_t* bytes, uint16_t port, uint32_t scope) {
  if (std::equal(kMapped.begin(), kMapped.end(), bytes)) {
    return MakeIpv4(bytes + kMapped.size(), port);
  }
  Address address{AddressFamily::kIpv6, port};
  std::copy_n(bytes, 16, address.bytes.begin());
  // Elsewhere the kernel ignores the scope, and equal addresses must compare
  // equal.
  if (address.IsLinkLocal()) address.scope = scope;
  return address;
}

uint32_t ParseScope(const std::string& scope) {
  const std::optional<int64_t> number = ParseInteger(scope);
  if (number && *number > 0 && *number <= UINT32_MAX) {
    return static_cast<uint32_t>(*number);
  }
  return if_nametoindex(scope.c_str());
}

}  // namespace

Result<Address> Address::ParseHost(std::string_view host, uint16_t port) {
  uint8_t bytes[16];
  const size_t percent = host.find('%');
  const std::string text(host.substr(0, percent));
  if (percent == std::string_view::npos &&
      inet_pton(AF_INET, text.c_str(), bytes) == 1) {
    return MakeIpv4(bytes, port);
  }
  if (inet_pton(AF_INET6, text.c_str(), bytes) != 1) {
    return Refuse(host, "not an IPv4 or IPv6 address");
  }
  uint32_t scope = 0;
  if (percent != std::string_view::npos) {
    scope = ParseScope(std::string(host.substr(percent + 1)));
    if (scope == 0) return Refuse(host, "no such network interface");
  }
  return MakeIpv6(bytes, port, scope);
}

Result<Address> Address::Parse(std::string_view text) {
  const Result<HostPort> parts = SplitHostPort(text);
  if (!parts.ok()) return parts.status();
  return ParseHost(parts->host, parts->port);
}

std::optional<Address> Address::FromSockaddr(const sockaddr* address,
                                             socklen_t size) {
  if (address == nullptr || size < sizeof(sa_family_t)) return {};
  if (address->sa_family == AF_INET && size >= sizeof(sockaddr_in)) {
    sockaddr_in in;
    std::memcpy(&in, address, sizeof(in));
    return MakeIpv4(reinterpret_cast<const uint8_t*>(&in.sin_addr),
                    ntohs(in.sin_port));
  }
  if (address->sa_family == AF_INET6 && size >= sizeof(sockaddr_in6)) {
    sockaddr_in6 in;
    std::memcpy(&in, address, sizeof(in));
    return MakeIpv6(in.sin6_addr.s6_addr, ntohs(in.sin6_port),
                    in.sin6_scope_id);
  }
  return {};
}

Address Address::Any(AddressFamily family, uint16_t port) {
  return {family == AddressFamily::kIpv4 ? family : AddressFamily::kIpv6, port};
}

Address Address::Loopback(AddressFamily family, uint16_t port) {
  Address address = Any(family, port);
  if (address.family == AddressFamily::kIpv4) {
    address.bytes[0] = 127;
    address.bytes[3] = 1;
  } else {
    address.bytes[15] = 1;
  }
  return address;
}

socklen_t Address::ToSockaddr(sockaddr_storage* out) const {
  std::memset(out, 0, sizeof(*out));
  if (family == AddressFamily::kIpv4) {
    sockaddr_in in{};
    in.sin_family = AF_INET;
    in.sin_port = htons(port);
    std::memcpy(&in.sin_addr, bytes.data(), 4);
    std::memcpy(out, &in, sizeof(in));
    return sizeof(in);
  }
  if (family == AddressFamily::kIpv6) {
    sockaddr_in6 in{};
    in.sin6_family = AF_INET6;
    in.sin6_port = htons(port);
    std::memcpy(&in.sin6_addr, bytes.data(), 16);
    in.sin6_scope_id = scope;
    std::memcpy(out, &in, sizeof(in));
    return sizeof(in);
  }
  return 0;
}

int Address::SocketFamily() const {
  switch (family) {
    case AddressFamily::kIpv4:
      return AF_INET;
    case AddressFamily::kIpv6:
      return AF_INET6;
    case AddressFamily::kAuto:
      break;
  }
  return AF_UNSPEC;
}

Address Address::WithPort(uint16_t new_port) const {
  Address address = *this;
  address.port = new_port;
  return address;
}

bool Address::IsLoopback() const {
  if (family == AddressFamily::kIpv4) return bytes[0] == 127;
  return family == AddressFamily::kIpv6 && bytes[15] == 1 &&
         std::all_of(bytes.begin(), bytes.end() - 1,
                     [](uint8_t byte) { return byte == 0; });
}

bool Address::IsLinkLocal() const {
  if (family == AddressFamily::kIpv4) {
    return bytes[0] == 169 && bytes[1] == 254;
  }
  return family == AddressFamily::kIpv6 && bytes[0] == 0xfe &&
         (bytes[1] & 0xc0) == 0x80;
}

bool Address::IsAny() const {
  return family != AddressFamily::kAuto &&
         std::all_of(bytes.begin(), bytes.end(),
                     [](uint8_t byte) { return byte == 0; });
}

std::string Address::HostString() const {
  char text[INET6_ADDRSTRLEN] = "";
  if (family == AddressFamily::kAuto) return "none";
  inet_ntop(SocketFamily(), bytes.data(), text, sizeof(text));
  return scope == 0 ? std::string(text) : Text("%s%%%u", text, scope);
}

std::string Address::ToString() const {
  const std::string host = HostString();
  if (family == AddressFamily::kIpv6) {
    return Text("[%s]:%u", host.c_str(), unsigned{port});
  }
  return Text("%s:%u", host.c_str(), unsigned{port});
}

Result<HostPort> SplitHostPort(std::string_view text) {
  constexpr const char* kForm =
      "not an address with a port; write host:port or [ipv6]:port, "
      "e.g. node0:29501 or [::1]:29501";
  const std::string_view whole = Trim(text);
  const size_t colon = whole.rfind(':');
  if (colon == std::string_view::npos) return Refuse(text, kForm);
  std::string_view host = whole.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) {
    host = host.substr(1, host.size() - 2);
  } else if (host.find_first_of(":[]") != std::string_view::npos) {
    return Refuse(text, kForm);
  }
  const std::optional<int64_t> port = ParseInteger(whole.substr(colon + 1));
  if (host.empty() || !port || *port < 1 || *port > 65535) {
    return Refuse(text, kForm);
  }
  return HostPort{std::string(host), static_cast<uint16_t>(*port)};
}

Result<std::vector<Address>> Resolve(const std::string& host, uint16_t port,
                                     AddressFamily family) {
  addrinfo hints{};
  hints.ai_family = Address{family}.SocketFamily();
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* list = nullptr;
  const int error = getaddrinfo(host.c_str(), nullptr, &hints, &list);
  if (error != 0) {
    const char* why =
        error == EAI_SYSTEM ? std::strerror(errno) : gai_strerror(error);
    return Status(
        error == EAI_AGAIN ? StatusCode::kTimedOut : StatusCode::kUnreachable,
        Text("cannot resolve %s: %s", host.c_str(), why));
  }
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owner(list,
                                                             freeaddrinfo);
  std::vector<Address> addresses;
  for (const addrinfo* entry = list; entry; entry = entry->ai_next) {
    const auto found = Address::FromSockaddr(entry->ai_addr, entry->ai_addrlen);
    if (!found) continue;
    const Address address = found->WithPort(port);
    if (std::find(addresses.begin(), addresses.end(), address) ==
        addresses.end()) {
      addresses.push_back(address);
    }
  }
  if (addresses.empty()) {
    return Status(
        StatusCode::kUnreachable,
        Text("%s has no address of the family asked for", host.c_str()));
  }
  return addresses;
}

std::string HostName() {
  char name[HOST_NAME_MAX + 1] = "";
  gethostname(name, sizeof(name) - 1);
  return name[0] == '\0' ? "localhost" : name;
}

}  // namespace longhaul
