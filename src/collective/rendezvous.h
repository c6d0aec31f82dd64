// How the processes of a job find each other: a small store in rank 0 in which
// every rank leaves a blob under a key and takes all blobs of that key, in rank
// order, once the last has come. docs/adr/0005-bootstrap.md gives the reasons,
// docs/wire_format.md the messages.
//
// The job's secret: with LONGHAUL_SECRET_FILE it is derived from the file, and
// both sides prove that they have it; without, the server makes one up and
// tells it in the clear, which keeps strangers that stumble in out, not those
// who read the network.
//
// RendezvousServer: engine thread only. RendezvousAllGather: any thread;
// blocks.
#pragma once

#include <longhaul/status.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/address.h"
#include "base/log.h"
#include "base/siphash.h"
#include "base/time.h"
#include "engine/engine.h"

namespace longhaul {

inline constexpr size_t kMaxRendezvousKey = 128;
inline constexpr size_t kMaxRendezvousBlob = 64 << 10;
inline constexpr uint32_t kMaxRendezvousSize = 1 << 16;  // ranks

/// The key made of a secret file's content (LONGHAUL_SECRET_FILE); blanks at
/// both ends do not count, nor does what follows the first 4096 bytes.
/// kInvalidArgument if it cannot be read or has fewer
/// than 16 bytes.
Result<SipKey> ReadSecretFile(const std::string& path);

/// What every rank gets.
struct RendezvousTable {
  uint64_t job = 0;     ///< the job's nonce, the same for all keys of a server
  SipKey secret{};      ///< for HelloPolicy
  uint32_t number = 0;  ///< of this table among the server's, from 1
  std::vector<std::vector<uint8_t>> blobs;  ///< by rank
};

class RendezvousServer {
 public:
  struct Config {
    std::vector<Address> addresses;          ///< where to listen
    std::optional<SipKey> key;               ///< of the secret file
    Duration join_timeout = 5 * kSecond;     ///< from accept to a whole JOIN
    Duration notice_interval = 5 * kSecond;  ///< between WAITING messages
    Duration keep = 60 * kSecond;  ///< a table for those it has not reached
    size_t max_clients = 16384;
    size_t max_strangers = 4096;  ///< connected, but no whole JOIN yet
    size_t max_keys = 1024;
    uint64_t max_bytes = uint64_t{256} << 20;  ///< of blobs and tables
  };

  /// kUnreachable if no address can be listened on: another process (another
  /// job?) has the port. `log` must outlive it.
  static Result<std::unique_ptr<RendezvousServer>> Open(Engine& engine,
                                                        Config config,
                                                        Logger& log);
  virtual ~RendezvousServer() = default;

  /// Where it listens, ports filled in.
  virtual const std::vector<Address>& addresses() const = 0;
  /// No complete table is still on its way to somebody: may be destroyed
  /// without harm to others.
  virtual bool Drained() const = 0;
  /// Clients connected, for tests and messages.
  virtual size_t clients() const = 0;
  /// Keys remembered.
  virtual size_t keys() const = 0;
};

struct RendezvousJoin {
  HostPort server;
  AddressFamily family = AddressFamily::kAuto;
  std::string key;                ///< 1 .. 128 bytes
  uint32_t rank = 0;              ///< < size
  uint32_t size = 1;              ///< ranks that join this key, 1 .. 65536
  uint64_t incarnation = 0;       ///< of this process
  std::span<const uint8_t> blob;  ///< at most 64 KiB
  std::optional<SipKey> secret;   ///< of the secret file
  Duration timeout = 60 * kSecond;
};

/// Leaves a blob and waits for those of all ranks. Connects again, and again,
/// until the timeout, since rank 0 may start later; says what it waits for by
/// `log` (info). kTimedOut names the ranks that are missing, or what host:port
/// said; kInvalidArgument (kCommunicator) if ranks disagree, with their values;
/// kUnsupported for versions that do not fit.
Result<RendezvousTable> RendezvousAllGather(const RendezvousJoin& join,
                                            Logger& log);

}  // namespace longhaul
