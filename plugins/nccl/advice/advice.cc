#include "nccl/advice/advice.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <optional>
#include <utility>

#include "base/parse.h"
#include "base/text.h"

namespace longhaul::nccl {
namespace {

constexpr uint64_t kKiB = 1024;
constexpr uint64_t kMiB = 1024 * kKiB;

// NCCL's: slots per channel, its own buffer, and the bounds it computes with.
// Its CollNet region, 2 x channels x buffer, is an `int`; the offsets of a
// connection's buffers have 29 bits. With 16 or 32 channels the first is the
// narrower one: the largest power of two below 1 GiB for one half.
constexpr uint64_t kSlots = 8;
constexpr uint64_t kNcclBuffer = 4 * kMiB;
constexpr uint64_t kMaxInFlight = 512 * kMiB;

// Every channel takes a multiprocessor of the GPU, and NCCL before 2.25 has no
// more than 32.
constexpr uint64_t kMinChannels = 16;
constexpr uint64_t kMaxChannels = 32;
// What a channel has in flight where NCCL cuts CollNet's chunks to 128 KiB.
constexpr uint64_t kUntunedPerChannel = kSlots * 128 * kKiB;

// One BDP is on the line while the hosts at its ends copy and add the other.
constexpr uint64_t kBdpsInFlight = 2;

// Of LONGHAUL_WAN_POOL and LONGHAUL_WAN_RETENTION: what `auto` suffices for,
// and the end of their range.
constexpr uint64_t kAutoMemory = 16 * kMiB;
constexpr uint64_t kMaxMemory = 65536 * kMiB;

constexpr uint64_t kMaxBdp = uint64_t{1} << 50;
constexpr uint64_t kChunkGrain = 4 * kKiB;
constexpr uint64_t kMinChunk = 32 * kKiB;
constexpr uint64_t kMaxRounds = 32;

constexpr int kMaxCollNetRanksPerHost = 8;

uint64_t DivideUp(uint64_t a, uint64_t b) { return (a + b - 1) / b; }

bool RateIsStated(const TopologyFile& file, SiteIndex from, SiteIndex to) {
  const auto spec = [&](SiteIndex site) {
    return file.sites[static_cast<size_t>(site)].spec;
  };
  if (spec(from).wan_up || spec(to).wan_down) return true;
  bool any = false;
  for (const PathSpec& path : file.paths) {
    if (std::minmax(path.a, path.b) != std::minmax(from, to)) continue;
    if (!path.rate) return false;  // their sum is not known then
    any = true;
  }
  return any;
}

// One rank per site, which is all that rates and delays need.
Result<Topology> SitesOf(TopologyFile file) {
  std::vector<Member> members;
  for (TopologyFile::Site& site : file.sites) {
    site.no_wan_hosts.clear();
    members.push_back({site.spec.name, "", static_cast<int32_t>(members.size()),
                       /*wan=*/true});
  }
  return MakeTopology(members, &file);
}

// 10000000000 as "10gbit", 333333333.3 as "333mbit".
std::string RoundRate(double rate) {
  const double step = std::pow(10, std::floor(std::log10(rate)) - 2);
  return RateText(std::round(rate / step) * step);
}

std::string MiB(uint64_t bytes) {
  return Text("%.3g MiB",
              static_cast<double>(bytes) / static_cast<double>(kMiB));
}

// What a process keeps per WAN peer, sent or received.
uint64_t MemoryPerPeer(const Advice& advice) {
  return std::min(std::bit_ceil(kBdpsInFlight * advice.bdp_per_head),
                  kMaxMemory);
}

void AddSettings(Advice* advice) {
  const std::string channels = std::to_string(advice->channels);
  const std::string in_flight =
      MiB(static_cast<uint64_t>(advice->channels) * advice->buffer_size);
  const auto add = [&](const char* name, std::string value,
                       std::string reason) {
    advice->settings.push_back({name, std::move(value), std::move(reason)});
  };
  add("NCCL_NET_PLUGIN", "longhaul", "Loads libnccl-net-longhaul.so.");
  add("NCCL_COLLNET_ENABLE", "1",
      "Lets longhaul do all-reduces itself, site by site; NCCL's default is "
      "not to ask.");
  add("NCCL_BUFFSIZE", std::to_string(advice->buffer_size),
      Text("%s per channel: %s in flight per host, for the %s that this line "
           "holds.",
           MiB(advice->buffer_size).c_str(), in_flight.c_str(),
           MiB(advice->bdp_per_head).c_str()));
  add("NCCL_MIN_NCHANNELS", channels,
      "NCCL before 2.30 cuts CollNet's chunks to 128 KiB, 8 per channel: then "
      "only channels put more in flight.");
  add("NCCL_MAX_NCHANNELS", channels,
      Text("Bounds CollNet's pinned memory to %s per host; NCCL allows less "
           "than 2 GiB.",
           MiB(advice->collnet_memory).c_str()));
  add("NCCL_P2P_NET_CHUNKSIZE", std::to_string(advice->p2p_chunk),
      "Chunk of sends and receives, an eighth of the buffer: as much in flight "
      "per channel as collectives have.");
  add("NCCL_NVLS_ENABLE", "0",
      "NVLS would hand the line 32 KiB at a time; CollNet or Tree take larger "
      "chunks.");
  add("NCCL_PXN_DISABLE", "1",
      "longhaul takes host memory, which PXN does not forward.");
  const uint64_t wanted = MemoryPerPeer(*advice);
  if (wanted <= kAutoMemory) return;
  add("LONGHAUL_WAN_POOL", SizeText(wanted),
      "Room for what arrives before NCCL asks for it: more than this line "
      "holds.");
  add("LONGHAUL_WAN_RETENTION", SizeText(wanted),
      "Room for what is sent and not yet acknowledged: more than this line "
      "holds.");
}

void AddNotes(const Job& job, Advice* advice) {
  const auto add = [&](std::string text) {
    advice->notes.push_back(std::move(text));
  };
  if (!advice->line.rate_stated) {
    add("The topology file states no rate for this line; 1 Gbit/s is assumed.");
  }
  if (!advice->line.delay_stated) {
    add("The topology file states no delay for this line; 25 ms one way is "
        "assumed.");
  }
  if (!advice->fills_line) {
    const double seconds =
        static_cast<double>(advice->line.round_trip) / kSecond;
    add(
        Text("NCCL's bounds let one host have %s in flight, %s on this line; "
             "with %llu hosts per site or more it can be filled.",
             MiB(kMaxInFlight).c_str(),
             RoundRate(static_cast<double>(kMaxInFlight) * 8 / seconds).c_str(),
             static_cast<unsigned long long>(
                 DivideUp(advice->line.Bdp(), kMaxInFlight))));
  }
  if (job.ranks_per_host > kMaxCollNetRanksPerHost) {
    add("NCCL does not use CollNet with more than 8 ranks on a host; "
        "all-reduces go over Tree.");
  }
  if (job.ranks_per_host > 1) {
    add("NCCL uses CollNet for all-gather and reduce-scatter only with one "
        "rank per host.");
  }
}

}  // namespace

uint64_t Line::Bdp() const {
  const double bytes = rate / 8 * (static_cast<double>(round_trip) / kSecond);
  if (!(bytes < static_cast<double>(kMaxBdp))) return kMaxBdp;
  return static_cast<uint64_t>(std::ceil(bytes));
}

std::string Line::ToString() const {
  return Text("%s to %s: %s%s, %s there and back%s", from.c_str(), to.c_str(),
              RateText(rate).c_str(), rate_stated ? "" : " (assumed)",
              TimeText(round_trip).c_str(), delay_stated ? "" : " (assumed)");
}

Result<Line> HeaviestLine(const TopologyFile& file) {
  if (file.sites.size() < 2) {
    return Status(StatusCode::kInvalidArgument,
                  "the topology file has one site: nothing crosses a line");
  }
  const Result<Topology> topology = SitesOf(file);
  if (!topology.ok()) return topology.status();
  std::optional<Line> heaviest;
  for (SiteIndex from = 0; from < topology->site_count(); ++from) {
    for (SiteIndex to = 0; to < topology->site_count(); ++to) {
      if (from == to) continue;
      const Line line{
          topology->NameOf(from),          topology->NameOf(to),
          topology->RateBetween(from, to), 2 * topology->DelayBetween(from, to),
          RateIsStated(file, from, to),    topology->HasDelay(from, to)};
      if (!heaviest || line.Bdp() > heaviest->Bdp()) heaviest = line;
    }
  }
  return *std::move(heaviest);
}

Advice Advise(const Line& line, const Job& job) {
  Advice advice;
  advice.line = line;
  const auto hosts = static_cast<uint64_t>(std::max(job.hosts_per_site, 1));
  advice.bdp_per_head = DivideUp(line.Bdp(), hosts);
  const uint64_t channels = std::clamp(
      std::bit_ceil(DivideUp(advice.bdp_per_head, kUntunedPerChannel)),
      kMinChannels, kMaxChannels);
  advice.channels = static_cast<int>(channels);
  advice.buffer_size = std::clamp(
      std::bit_ceil(DivideUp(kBdpsInFlight * advice.bdp_per_head, channels)),
      kNcclBuffer, kMaxInFlight / channels);
  advice.p2p_chunk = advice.buffer_size / kSlots;
  advice.collnet_memory = 2 * channels * advice.buffer_size;
  advice.fills_line = channels * advice.buffer_size >= advice.bdp_per_head;
  AddSettings(&advice);
  AddNotes(job, &advice);
  return advice;
}

uint64_t ChunkSize(const Advice& advice, uint64_t bytes, int channels) {
  const auto across = static_cast<uint64_t>(std::max(channels, 1));
  const uint64_t filling = std::max<uint64_t>(
      DivideUp(kBdpsInFlight * advice.bdp_per_head, across * kSlots), 1);
  // A round is a chunk on every channel. 8 rounds are in flight: fewer would
  // leave slots empty, more than 32 save too little to pay for their steps.
  const uint64_t rounds =
      std::clamp(bytes / (across * filling), kSlots, kMaxRounds);
  const uint64_t even = DivideUp(bytes, across * rounds);
  return std::clamp(DivideUp(even, kChunkGrain) * kChunkGrain, kMinChunk,
                    std::max(advice.buffer_size / kSlots, kMinChunk));
}

}  // namespace longhaul::nccl
