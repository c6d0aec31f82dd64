// What a user may set: one plain value, filled from the environment
// (LONGHAUL_<NAME>), from a program (fields, or Set by name), or both.
//
//   Result<Options> options = Options::FromEnvironment();
//   if (!options.ok()) ...                       // names the variable
//   options->Set("wan_flows", "8");              // or LONGHAUL_WAN_FLOWS
//   options->timeout = std::chrono::seconds(20);
//
// One table holds names, types, defaults, ranges and help; docs/tuning.md is
// generated from it. A field that is std::nullopt, an enumerator kAuto or, for
// text, empty means `auto`: longhaul chooses.
//
// Plain values; thread-compatible. FromEnvironment reads the environment once;
// nothing else here does.
#pragma once

#include <longhaul/codec.h>
#include <longhaul/status.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace longhaul {

/// Which IP version to use; kAuto takes either.
enum class AddressFamily : uint8_t { kAuto = 0, kIpv4 = 4, kIpv6 = 6 };

/// Which family of schedules a collective uses; kAuto takes the one priced
/// cheapest on the topology.
enum class Algorithm : uint8_t {
  kAuto = 0,
  kRing = 1,
  kHierarchical = 2,
  kSharded = 3,
};

/// How much is logged: a level includes those above it.
enum class LogLevel : uint8_t {
  kError = 0,
  kWarn = 1,
  kInfo = 2,
  kDebug = 3,
  kTrace = 4,
};

/// TCP ports low .. high, both included.
struct PortRange {
  uint16_t low = 0;
  uint16_t high = 0;
  bool operator==(const PortRange&) const = default;
};

/// Which network interfaces may be used: "eth,ib" (names that start so),
/// "=eth0" (exactly), "^docker" or "^=docker0" (all but). Empty: all.
struct InterfaceList {
  std::vector<std::string> names;
  bool exclude = false;  ///< all but the names
  bool exact = false;    ///< whole names rather than their beginnings
  bool operator==(const InterfaceList&) const = default;
};

/// Two addresses that make a path, each by an interface's name or as it is.
struct PathRule {
  std::string here;
  std::string there;  ///< of the peer
  bool operator==(const PathRule&) const = default;
};

/// How much may leave on a path, in bits/s; 0: no limit.
struct RateLimits {
  struct Of {
    std::string label;  ///< the interface here, or its address
    double rate = 0;
    bool operator==(const Of&) const = default;
  };
  double every = 0;      ///< of each path
  std::vector<Of> some;  ///< of these; then none of the others
  bool operator==(const RateLimits&) const = default;
};

/// How an option's text is read.
enum class OptionType : uint8_t {
  kText,     ///< any text
  kPath,     ///< a file
  kAddress,  ///< host:port or [ipv6]:port
  kWord,     ///< a name: letters, digits, '_' and '-'
  kChoice,   ///< one of the words of the range
  kCount,    ///< an integer
  kSize,     ///< bytes; K, M, G (powers of 1024); inf
  kTime,     ///< a number with ns, us, ms, s, m or h
  kBool,     ///< y/n, yes/no, on/off, true/false, 1/0
  kList,     ///< words separated by commas; ^ negates
  kPorts,    ///< low-high
  kPaths,    ///< names separated by commas, or pairs of them: p0>eth1
  kRates,    ///< none, a rate, or name=rate separated by commas
  kDscp,     ///< 0..63 or a name: cs1, af41, ef, le
  kCodec,    ///< none, bf16, int8:block=64 (longhaul/codec.h)
};

/// "size", "time", ...
const char* NameOf(OptionType type) noexcept;

/// One line of the table, for --help and docs. Static texts.
struct OptionInfo {
  const char* environment;    ///< "LONGHAUL_WAN_FLOWS"
  const char* key;            ///< "wan_flows", the field's name
  OptionType type;            ///< how its value is written
  bool takes_auto;            ///< `auto` is accepted
  const char* default_value;  ///< "auto", "32M"; "" for none
  const char* unit;           ///< "bytes", "seconds"; "" for none
  const char* range;  ///< "4K..64M", "ring|hierarchical|sharded"; "" for any
  const char* fall_back;  ///< variables of others read when unset, or ""
  const char* group;      ///< heading the option stands under
  const char* help;       ///< one to three sentences
};

/// All settings of a process. Sizes in bytes; UINT64_MAX is `inf`.
struct Options {
  // Who and where.
  std::string rendezvous;             ///< host:port
  std::optional<int32_t> rank;        ///< of this process
  std::optional<int32_t> world_size;  ///< number of processes
  std::string site;                   ///< wins over the topology file
  std::string topology;               ///< path of a TOML file

  // Addresses and trust.
  InterfaceList interfaces;
  AddressFamily address_family = AddressFamily::kAuto;
  std::optional<PortRange> port_range;
  std::string secret_file;
  std::vector<PathRule> paths;  ///< between sites
  std::string site_plugin;      ///< path of NCCL's plugin within a site

  // Patience.
  std::chrono::nanoseconds timeout = std::chrono::seconds(60);
  std::chrono::nanoseconds connect_timeout = std::chrono::seconds(60);
  std::optional<std::chrono::nanoseconds> path_timeout;

  // Collectives.
  Algorithm algo = Algorithm::kAuto;
  std::optional<uint64_t> segment_size;
  uint64_t scratch_size = uint64_t{32} << 20;

  // Crossing the WAN.
  CodecSpec compress;
  bool error_feedback = false;
  uint64_t feedback_memory = uint64_t{1} << 30;
  std::optional<uint64_t> chunk_size;
  std::optional<int32_t> wan_flows;
  std::string wan_cc;  ///< "system", "bbr", ...
  bool wan_pace = true;
  RateLimits wan_rate_limit;
  std::optional<uint8_t> wan_dscp;
  std::optional<uint64_t> wan_pool;
  std::optional<uint64_t> wan_retention;
  std::optional<uint64_t> warmup;
  std::optional<uint64_t> socket_buffer;
  std::optional<uint64_t> notsent_lowat;

  // Engines and logs.
  std::chrono::nanoseconds busy_poll{0};
  LogLevel log = LogLevel::kWarn;
  std::string log_file;  ///< %h host, %p process id; empty: stderr
  bool warn_unused_env = true;

  /// What FromEnvironment found odd (unknown LONGHAUL_* variables), one
  /// sentence each, for the caller to log.
  std::vector<std::string> warnings;

  /// The defaults, changed by the environment. A variable set to nothing
  /// counts as unset. kInvalidArgument names the variable, the value and what
  /// is accepted.
  static Result<Options> FromEnvironment();
  /// As above, from "NAME=value" strings ended by a null pointer.
  static Result<Options> FromEnvironment(const char* const* environment);

  /// Sets one option from text. `name` is the variable (LONGHAUL_TIMEOUT) or
  /// the key (timeout); case does not matter. On kInvalidArgument nothing has
  /// changed.
  Status Set(std::string_view name, std::string_view value);
  /// The value as Set accepts it: "auto", "4M", "20ms", "^docker". Empty for
  /// text that is not set. kInvalidArgument for an unknown name.
  Result<std::string> Get(std::string_view name) const;

  /// All options, in the order of docs/tuning.md.
  static std::span<const OptionInfo> Table() noexcept;
};

}  // namespace longhaul
