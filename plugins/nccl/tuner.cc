#include "tuner.h"

#include <algorithm>
#include <span>

#include "abi/tuner_constants.h"
#include "nccl/advice/advice.h"

namespace longhaul::nccl {
namespace {

using abi::FuncCode;

// Above any cost NCCL's model computes, in microseconds: thirty years.
constexpr float kBanned = 1e15F;
// The most NCCL has, and as many as keep a host's own links busy.
constexpr uint64_t kMaxChannels = 64;
constexpr uint64_t kMinChannels = 8;

constexpr int kForAllReduce[] = {abi::kAlgoCollNetDirect,
                                 abi::kAlgoCollNetChain, abi::kAlgoTree,
                                 abi::kAlgoRing, abi::kAlgoPat};
constexpr int kForGathering[] = {abi::kAlgoCollNetDirect,
                                 abi::kAlgoCollNetChain, abi::kAlgoRing,
                                 abi::kAlgoPat, abi::kAlgoTree};
constexpr int kForRooted[] = {abi::kAlgoTree, abi::kAlgoRing};

std::span<const int> Preferred(FuncCode function) {
  switch (function) {
    case FuncCode::kAllReduce:
      return kForAllReduce;
    case FuncCode::kAllGather:
    case FuncCode::kReduceScatter:
      return kForGathering;
    case FuncCode::kBroadcast:
    case FuncCode::kReduce:
      return kForRooted;
  }
  return {};  // a function of a later NCCL
}

bool IsCollNet(int algorithm) {
  return algorithm == abi::kAlgoCollNetDirect ||
         algorithm == abi::kAlgoCollNetChain;
}

bool IsPattern(const std::string& host) {
  return host.find_first_of("*?") != std::string::npos;
}

std::optional<size_t> LargestSite(const TopologyFile& file) {
  size_t largest = 0;
  for (const TopologyFile::Site& site : file.sites) {
    if (site.hosts.empty() ||
        std::any_of(site.hosts.begin(), site.hosts.end(), IsPattern)) {
      return {};
    }
    largest = std::max(largest, site.hosts.size());
  }
  return largest;
}

uint64_t DivideUp(uint64_t a, uint64_t b) { return (a + b - 1) / b; }

}  // namespace

TunerFacts TunerFacts::Of(const TopologyFile& file) {
  TunerFacts facts;
  facts.sites = static_cast<int>(file.sites.size());
  facts.largest_site = LargestSite(file);
  const Result<Line> line = HeaviestLine(file);
  if (line.ok()) facts.bdp_bytes = line->Bdp();
  return facts;
}

Tuner::Tuner(const TunerFacts& facts, const std::optional<Agreement>& agreement,
             size_t ranks, size_t nodes)
    : bdp_bytes_(facts.bdp_bytes),
      buffer_bytes_(std::max<uint64_t>(facts.buffer_bytes, 1)),
      spans_sites_(facts.sites > 1 && facts.largest_site &&
                   nodes > *facts.largest_site) {
  if (!agreement || ranks != nodes || agreement->members < 0 ||
      static_cast<size_t>(agreement->members) != nodes) {
    return;
  }
  spans_sites_ = agreement->SpansSites();
  if (agreement->bdp_bytes > 0) bdp_bytes_ = agreement->bdp_bytes;
}

void Tuner::Price(FuncCode function, float* costs, int algorithms,
                  int protocols, int* channels) const {
  if (!spans_sites_ || !costs || protocols <= abi::kProtoSimple) return;
  const auto cost = [&](int algorithm, int protocol) -> float& {
    return costs[static_cast<ptrdiff_t>(algorithm) * protocols + protocol];
  };
  const std::span<const int> preferred = Preferred(function);
  const auto chosen =
      std::find_if(preferred.begin(), preferred.end(), [&](int algorithm) {
        return algorithm < algorithms &&
               cost(algorithm, abi::kProtoSimple) >= 0;
      });
  if (chosen == preferred.end()) return;
  std::for_each(costs, costs + static_cast<ptrdiff_t>(algorithms) * protocols,
                [](float& entry) {
                  if (entry >= 0) entry = kBanned;
                });
  cost(*chosen, abi::kProtoSimple) = 0;
  if (channels && bdp_bytes_ > 0 && !IsCollNet(*chosen)) {
    *channels = static_cast<int>(std::clamp(DivideUp(bdp_bytes_, buffer_bytes_),
                                            kMinChannels, kMaxChannels));
  }
}

void Tuner::ChunkBytes(size_t bytes, int algorithm, int protocol, int channels,
                       size_t* chunk_bytes) const {
  if (!spans_sites_ || !chunk_bytes || bdp_bytes_ == 0) return;
  if (protocol != abi::kProtoSimple) return;
  if (!IsCollNet(algorithm) && algorithm != abi::kAlgoTree) return;
  Advice line;
  line.bdp_per_head = bdp_bytes_;
  line.buffer_size = buffer_bytes_;
  *chunk_bytes = std::max<size_t>(
      *chunk_bytes, ChunkSize(line, bytes, std::max(channels, 1)));
}

}  // namespace longhaul::nccl
