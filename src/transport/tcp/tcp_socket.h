// Setting up TCP sockets. All are nonblocking, close-on-exec and without
// Nagle's delay.
//
// Pure wrappers around system calls; any thread.
#pragma once

#include <longhaul/options.h>
#include <longhaul/status.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/address.h"
#include "base/time.h"
#include "base/unique_fd.h"
#include "transport/tcp/hello.h"

namespace longhaul {

/// How flows are set up. A field that is nullopt, empty or 0 leaves what the
/// host gives.
struct TcpSettings {
  /// For flows between sites: a name ("bbr", "cubic"), "system" to leave the
  /// host's, empty for bbr where the host permits it. Flows inside a site keep
  /// the host's.
  std::string congestion_control;
  /// Send and receive buffer, in bytes. nullopt leaves autotuning on.
  std::optional<uint64_t> buffer;
  /// Unsent bytes the kernel takes before a socket stops being writable.
  std::optional<uint64_t> notsent_lowat;
  /// How long sent data may stay unacknowledged before the flow breaks.
  Duration user_timeout = 0;
  /// Idle time before the kernel probes whether the peer is alive.
  Duration keepalive = 0;
  /// Differentiated services code point of flows between sites, 0 .. 63.
  std::optional<uint8_t> dscp;
};

struct CongestionChoice {
  std::string name;       ///< in force, as getsockopt says
  bool as_wanted = true;  ///< false: bbr was looked for and is not permitted
};

/// Asks for a congestion control; `wanted` as in TcpSettings. A name the host
/// does not have or permit: kUnsupported, naming what it does permit.
Result<CongestionChoice> SetCongestionControl(int fd, std::string_view wanted);
Result<std::string> CongestionControlOf(int fd);

struct BufferSizes {
  uint64_t send = 0;  ///< in force, in bytes, as getsockopt says
  uint64_t receive = 0;
  bool capped = false;  ///< the host gave less than was asked for
};

/// Fixes both buffers, past the host's limits where CAP_NET_ADMIN allows. To be
/// called before connect or listen. Turns autotuning off.
Result<BufferSizes> SetBuffers(int fd, uint64_t bytes);

/// A new socket for `family` (kIpv4 or kIpv6) with the buffers of `settings`.
/// kExhausted if out of descriptors, kUnsupported without that IP version.
Result<UniqueFd> OpenTcpSocket(AddressFamily family,
                               const TcpSettings& settings);
/// Marks all that leaves between sites with the code point of `settings`. To be
/// called before connect, so that the first packet has it as well.
Status MarkFlow(int fd, const TcpSettings& settings, LinkClass link);
/// What a connected flow needs besides: Nagle off, the timeouts, the low-water
/// mark, congestion control and code point between sites.
Status ConfigureFlow(int fd, const TcpSettings& settings, LinkClass link);

/// Listens at `at`; a port of 0 is taken from `ports`, or left to the kernel.
/// kExhausted if no port is free, kUnreachable if the address is not this
/// host's. IPv6's any address serves IPv4 too.
Result<UniqueFd> ListenTcp(const Address& at,
                           const std::optional<PortRange>& ports,
                           const TcpSettings& settings);
/// Binds to a local address, any port.
Status BindSource(int fd, const Address& source);
/// Begins to connect. True if done, false if on its way; poll for output, then
/// ConnectOutcome. kUnreachable with the reason if refused at once; its scope
/// is kConnection if the host is there, but nobody listens.
Result<bool> BeginConnect(int fd, const Address& to);
/// Why the connect failed, as BeginConnect says it; OK if it has not. Also
/// fails for a socket that has been connected to itself, as may happen on
/// loopback.
Status ConnectOutcome(int fd);

/// No address (kAuto) if the socket has none.
Address LocalAddress(int fd);
Address PeerAddress(int fd);

}  // namespace longhaul
