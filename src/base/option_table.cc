#include "base/option_table.h"

#include <array>

namespace longhaul {
namespace {

constexpr const char* kPlace = "Who and where";
constexpr const char* kNetwork = "Addresses and trust";
constexpr const char* kPatience = "Patience";
constexpr const char* kCollectives = "Collectives";
constexpr const char* kWan = "Crossing the WAN";
constexpr const char* kRunning = "Engines and logs";

// clang-format off
// variable, key, type, auto, default, unit, range, fall-back, group, help
constexpr OptionInfo kTable[] = {
    {"LONGHAUL_RENDEZVOUS", "rendezvous", OptionType::kAddress, true, "auto", "", "", "MASTER_ADDR, MASTER_PORT", kPlace,
     "Where the processes of a job meet: rank 0 listens there, the others connect. "
     "auto is MASTER_ADDR with the port after MASTER_PORT, which torchrun's own store holds."},
    {"LONGHAUL_RANK", "rank", OptionType::kCount, true, "auto", "", "0..", "RANK", kPlace,
     "Number of this process, 0 to LONGHAUL_WORLD_SIZE - 1."},
    {"LONGHAUL_WORLD_SIZE", "world_size", OptionType::kCount, true, "auto", "", "1..", "WORLD_SIZE", kPlace,
     "Number of processes in the job."},
    {"LONGHAUL_SITE", "site", OptionType::kText, true, "auto", "", "", "", kPlace,
     "Name of the site this process is in; processes with the same name share fast links. "
     "Wins over the topology file. auto asks the file for this host, and without a file puts all in one site, \"default\"."},
    {"LONGHAUL_TOPOLOGY", "topology", OptionType::kPath, false, "", "", "", "", kPlace,
     "TOML file of sites, their hosts and the lines between them (docs/topology.md). All processes must be given the same contents."},

    {"LONGHAUL_INTERFACES", "interfaces", OptionType::kList, true, "auto", "", "", "NCCL_SOCKET_IFNAME", kNetwork,
     "Network interfaces to use, by the beginning of their names, best first: eth,ib. "
     "=eth0 means exactly eth0, ^docker all but those. auto takes all that are up, loopback only if there is no other."},
    {"LONGHAUL_ADDRESS_FAMILY", "address_family", OptionType::kChoice, true, "auto", "", "auto|ipv4|ipv6", "NCCL_SOCKET_FAMILY", kNetwork,
     "IP version to use. auto takes either, IPv4 first."},
    {"LONGHAUL_PORT_RANGE", "port_range", OptionType::kPorts, true, "auto", "", "1..65535", "", kNetwork,
     "TCP ports to listen on, for firewalls that open only some; one per process on a host is needed. auto lets the system choose."},
    {"LONGHAUL_SECRET_FILE", "secret_file", OptionType::kPath, false, "", "", "", "", kNetwork,
     "File with the job's secret, the same on all ranks: peers that do not prove they have it are refused. "
     "Without one, the secret is derived from what the rendezvous hands out, which keeps out strays but not an attacker who can read the network."},
    {"LONGHAUL_PATHS", "paths", OptionType::kPaths, true, "auto", "", "", "", kNetwork,
     "Paths to processes in other sites: interfaces, by name or address. p0,p1 joins p0 here with p0 there, and p1 with p1; "
     "p0>eth1 joins p0 with eth1, from whichever end has the name before the >. Wins over the topology file. Give all ranks the "
     "same list. auto is what the topology file says (via), else every pair of usable addresses (docs/topology.md); "
     "with NCCL's net always the latter."},
    {"LONGHAUL_SITE_PLUGIN", "site_plugin", OptionType::kPath, false, "", "", "", "", kNetwork,
     "Full path of another network plugin for NCCL, libnccl-net-ofi.so say. longhaul's plugin then leaves the traffic between "
     "ranks of one site to it, on its first device; without one that is TCP. Must be set on all ranks of a site or on none. "
     "Means nothing without NCCL."},

    {"LONGHAUL_TIMEOUT", "timeout", OptionType::kTime, false, "60s", "seconds", "100ms..1h", "", kPatience,
     "How long a process may be silent, not even answering pings, while something is expected of it; then operations fail "
     "with kUnreachable and their communicators end. A rank that is alive but late, for example because it writes a checkpoint, "
     "is waited for without limit. Raise it if lines or whole processes may stand still that long. "
     "It also limits how long a context that is destroyed waits for its peers to take what was sent."},
    {"LONGHAUL_CONNECT_TIMEOUT", "connect_timeout", OptionType::kTime, false, "60s", "seconds", "100ms..1h", "", kPatience,
     "How long the start waits for all ranks to arrive at the rendezvous, and a connection for its peer to answer."},
    {"LONGHAUL_PATH_TIMEOUT", "path_timeout", OptionType::kTime, true, "auto", "seconds", "100ms..1h", "", kPatience,
     "How long operations wait when every path to a process in another site is gone, before they fail with kUnreachable. "
     "auto is LONGHAUL_TIMEOUT."},

    {"LONGHAUL_ALGO", "algo", OptionType::kChoice, true, "auto", "", "auto|ring|hierarchical|sharded", "", kCollectives,
     "Family of schedules of all-reduces and barriers. auto takes the one priced cheapest for the message and the topology; "
     "ring ignores sites; hierarchical crosses between sites as seldom as the operation allows; "
     "sharded twice, but with fewer bytes among three sites or more. "
     "All-gather and reduce-scatter are always hierarchical. Must be the same on all ranks."},
    {"LONGHAUL_SEGMENT_SIZE", "segment_size", OptionType::kSize, true, "auto", "bytes", "4K..1G", "", kCollectives,
     "Pipeline unit of a collective: a larger message is cut in segments so that work within a site hides behind the WAN. "
     "Must be the same on all ranks."},
    {"LONGHAUL_SCRATCH_SIZE", "scratch_size", OptionType::kSize, false, "32M", "bytes", "64K..64G", "", kCollectives,
     "Scratch memory per communicator for segments in flight. More lets more segments overlap; too little serialises them. "
     "Must be the same on all ranks."},

    {"LONGHAUL_COMPRESS", "compress", OptionType::kCodec, false, "none", "", "", "", kWan,
     "Codec of what all-reduces send between sites: none, lossless, bf16, f16, int8, int4, e4m3 or e5m2, the last four with parameters: "
     "int8:block=128, int4:rounding=stochastic, int4:rotate. auto:0.01 takes, for each operation, the fastest whose error is up to 1 % of "
     "the result, by the rates of the lines and the speed of the processors, or none if that is faster. Sums and averages of f32 (all but "
     "bf16 and f16: of f16 and bf16 as well) are encoded, all else crosses as it is. Every codec but none and lossless loses precision; "
     "all ranks have the same bits nevertheless. Must be the same on all ranks."},
    {"LONGHAUL_ERROR_FEEDBACK", "error_feedback", OptionType::kBool, false, "n", "", "", "", kWan,
     "Keep what the codec leaves out of a tensor, and add it to what is encoded the next time. For gradients that come again and again, "
     "in the same memory or under the same name; costs four bytes per element that a rank encodes."},
    {"LONGHAUL_FEEDBACK_MEMORY", "feedback_memory", OptionType::kSize, false, "1G", "bytes", "1M..inf", "", kWan,
     "Memory of a rank for error feedback, per communicator. Beyond it, what was kept of the tensor used longest ago is forgotten."},
    {"LONGHAUL_CHUNK_SIZE", "chunk_size", OptionType::kSize, true, "auto", "bytes", "4K..64M", "", kWan,
     "What is framed and acknowledged as one on a WAN connection, and what moves to another flow when one stalls. "
     "Smaller balances flows better, larger costs less per byte."},
    {"LONGHAUL_WAN_FLOWS", "wan_flows", OptionType::kCount, true, "auto", "flows", "1..64", "", kWan,
     "TCP connections per WAN peer and path. auto is 1 where both hosts permit BBR. Where they do not it begins with 16, and opens more, "
     "up to 64, as long as each doubling makes the path faster by more than 15 %: more gather more of a lossy line under a loss-based congestion control."},
    {"LONGHAUL_WAN_CC", "wan_cc", OptionType::kWord, true, "auto", "", "auto|system|bbr|cubic|reno|NAME", "", kWan,
     "TCP congestion control of WAN connections, by the kernel's name for it. "
     "auto is bbr where this process may choose it, else the host's default; system leaves the host's default."},
    {"LONGHAUL_WAN_PACE", "wan_pace", OptionType::kBool, false, "y", "", "", "", kWan,
     "Paces each WAN flow to what it is seen to deliver, in agreement with the other processes of its site, so that they share a "
     "line evenly and do not overrun the queue in front of it. n leaves all to the congestion control."},
    {"LONGHAUL_WAN_RATE_LIMIT", "wan_rate_limit", OptionType::kRates, false, "none", "bits/s", "", "", kWan,
     "Most that this process sends on one path to one other process, data and headers: one rate for every path, or rates by the "
     "interface here (its name or address), p0=100mbit,p1=1gbit, and none for those not named. What arrives is not limited. "
     "The processes of a host and of a site do not share it: h processes that send over one line may fill h times the rate."},
    {"LONGHAUL_WAN_DSCP", "wan_dscp", OptionType::kDscp, true, "auto", "", "0..63", "", kWan,
     "Differentiated services code point of the packets of WAN connections, for networks that sort by it: 0 to 63, or cs0 to cs7, "
     "af11 to af43, ef, le. Set on the packets this process sends: give all ranks the same. auto leaves the host's."},
    {"LONGHAUL_WAN_POOL", "wan_pool", OptionType::kSize, true, "auto", "bytes", "64K..64G", "", kWan,
     "Receive memory per WAN peer for data that arrives before anyone asked for it. "
     "Should hold at least the line's rate times its round-trip time."},
    {"LONGHAUL_WAN_RETENTION", "wan_retention", OptionType::kSize, true, "auto", "bytes", "64K..64G", "", kWan,
     "Memory per WAN peer for data sent and not yet acknowledged, which is sent again if a flow dies. "
     "Bounds what is in flight: at least the line's rate times its round-trip time."},
    {"LONGHAUL_WARMUP", "warmup", OptionType::kSize, true, "auto", "bytes", "0..1G", "", kWan,
     "Bytes sent to each WAN peer at the start, at most, until the congestion windows are open and the pace is found; "
     "the creation of a communicator waits for it. auto is 256M. 0 sends none: the first collectives pay instead."},
    {"LONGHAUL_SOCKET_BUFFER", "socket_buffer", OptionType::kSize, true, "auto", "bytes", "4K..1G", "", kWan,
     "Fixed send and receive buffer of each WAN socket, capped by the kernel's net.core.wmem_max and rmem_max. "
     "auto leaves the kernel's autotuning on, which a fixed size turns off."},
    {"LONGHAUL_NOTSENT_LOWAT", "notsent_lowat", OptionType::kSize, true, "auto", "bytes", "4K..inf", "", kWan,
     "Unsent bytes a WAN socket may hold before it takes no more (TCP_NOTSENT_LOWAT). "
     "Small keeps data free to move to a faster flow; inf leaves the kernel's default."},

    {"LONGHAUL_BUSY_POLL", "busy_poll", OptionType::kTime, false, "0", "seconds", "0..1s", "", kRunning,
     "How long an engine spins after its last event before it sleeps. "
     "Trades a core for quicker answers."},
    {"LONGHAUL_LOG", "log", OptionType::kChoice, false, "warn", "", "error|warn|info|debug|trace", "NCCL_DEBUG", kRunning,
     "What is logged: each level includes those before it."},
    {"LONGHAUL_LOG_FILE", "log_file", OptionType::kPath, false, "", "", "", "", kRunning,
     "File to append the log to in place of stderr. %h stands for the host's name, %p for the process id."},
    {"LONGHAUL_WARN_UNUSED_ENV", "warn_unused_env", OptionType::kBool, false, "y", "", "", "", kRunning,
     "Warn of LONGHAUL_ variables in the environment that are no option, with the nearest name that is."},
};

constexpr OptionField kFields[] = {
    &Options::rendezvous, &Options::rank, &Options::world_size, &Options::site, &Options::topology,
    &Options::interfaces, &Options::address_family, &Options::port_range, &Options::secret_file,
    &Options::paths, &Options::site_plugin,
    &Options::timeout, &Options::connect_timeout, &Options::path_timeout,
    &Options::algo, &Options::segment_size, &Options::scratch_size,
    &Options::compress, &Options::error_feedback, &Options::feedback_memory, &Options::chunk_size, &Options::wan_flows, &Options::wan_cc, &Options::wan_pace,
    &Options::wan_rate_limit, &Options::wan_dscp, &Options::wan_pool, &Options::wan_retention,
    &Options::warmup, &Options::socket_buffer, &Options::notsent_lowat,
    &Options::busy_poll, &Options::log, &Options::log_file, &Options::warn_unused_env,
};
// clang-format on
static_assert(std::size(kTable) == std::size(kFields));

}  // namespace

std::span<const OptionInfo> Options::Table() noexcept { return kTable; }

std::span<const OptionField> OptionFields() noexcept { return kFields; }

}  // namespace longhaul
