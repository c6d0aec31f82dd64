// What the doctor knows of a host, as one value: gathered once (gather.h), then
// judged by pure functions (checks.h), which tests feed with made-up hosts.
//
// Plain values; thread-compatible.
#pragma once

#include <longhaul/options.h>
#include <longhaul/status.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/address.h"
#include "base/parse.h"
#include "base/time.h"
#include "topology/interfaces.h"

namespace longhaul::doctor {

/// Of one resource, as getrlimit says; kUnlimited for none.
struct Limit {
  uint64_t soft = 0;
  uint64_t hard = 0;
};

/// A shared library, as the loader finds it here and now.
struct LibraryFact {
  std::string asked;    ///< the name or path it was looked for by
  bool loads = false;   ///< with all it depends on
  std::string path{};   ///< if it loads
  std::string error{};  ///< if not, in the loader's words
  std::vector<std::string> symbols{};  ///< those asked about that it exports
  int version = 0;  ///< of libnccl as it counts: 22809; else 0
};

/// An attempt to listen, in the configured range of ports.
struct PortFact {
  Address address;
  Status status;
};

struct HostFacts {
  std::string host;
  std::string kernel;  ///< "6.1.0-18-amd64"
  std::string glibc;   ///< "2.36"
  /// By name, "net.core.rmem_max"; what the kernel does not have is absent.
  std::map<std::string, std::string> sysctls;
  std::string clock_source;   ///< empty if not known
  std::string clock_sources;  ///< available ones, blanks between
  bool bbr_module = false;    ///< the kernel in use has a module tcp_bbr
  bool bbr_granted = false;   ///< a socket of this process may use BBR

  std::vector<Interface> interfaces;
  std::map<std::string, int> mtus;  ///< bytes, by interface
  std::vector<PortFact> ports;      ///< one per address that would be used

  Limit open_files;
  Limit locked_memory;  ///< bytes

  Status options_status;  ///< of reading the environment
  Options options;        ///< the defaults if that failed
  Status topology;        ///< of LONGHAUL_TOPOLOGY, and of this host in it
  std::string site;       ///< by LONGHAUL_SITE or the file
  Status secret;          ///< of LONGHAUL_SECRET_FILE

  /// NCCL_... and LONGHAUL_... of the environment and of NCCL's
  /// configuration files, as NCCL puts them together.
  std::map<std::string, std::string> environment;
  std::vector<std::string> nccl_confs;  ///< files that were read
  LibraryFact nccl;
  LibraryFact plugin;
  std::optional<LibraryFact> site_plugin;  ///< if one is asked for
};

/// What a host is judged against.
struct WanNeed {
  double rate = 1e9;  ///< bits/s
  Duration round_trip = 50 * kMillisecond;
  std::string origin;  ///< where both are from, for people

  /// Bytes on their way when the line is full.
  uint64_t Bdp() const;
};

}  // namespace longhaul::doctor
