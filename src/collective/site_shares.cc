#include "collective/site_shares.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/check.h"
#include "base/fnv1a.h"
#include "collective/routes.h"

namespace longhaul {
namespace {

// Of the greatest rate. A slower site counts as this fast.
constexpr double kFinest = uint64_t{1} << 20;

// The lesser of each site's rates, as parts of kFinest of the greatest. One
// division, rounded as IEEE 754 says: the same on every processor.
std::vector<uint64_t> RelativeRates(const Topology& topology) {
  std::vector<double> rates;
  for (SiteIndex site = 0; site < topology.site_count(); ++site) {
    rates.push_back(std::min(RateOut(topology, site), RateIn(topology, site)));
  }
  const double most = *std::max_element(rates.begin(), rates.end());
  std::vector<uint64_t> relative;
  for (const double rate : rates) {
    const double parts = std::round(rate / most * kFinest);
    relative.push_back(static_cast<uint64_t>(std::max(1.0, parts)));
  }
  return relative;
}

}  // namespace

SiteShares SiteShares::OfWeights(std::span<const uint64_t> weights) {
  LH_CHECK(!weights.empty() && weights.size() <= size_t{kMostSites});
  uint64_t sum = 0;
  for (const uint64_t weight : weights) {
    LH_CHECK(weight <= kMostWeight);
    sum += weight;
  }
  SiteShares shares;
  uint64_t before = 0;
  for (const uint64_t weight : weights) {
    before += sum == 0 ? 1 : weight;
    const uint64_t whole = sum == 0 ? weights.size() : sum;
    shares.end_[shares.sites_++] =
        static_cast<uint32_t>(before * kWhole / whole);
  }
  return shares;
}

uint32_t SiteShares::Hash() const {
  uint64_t hash = kFnv1aStart;
  for (SiteIndex site = 0; site < sites(); ++site) {
    for (int shift = 0; shift < 32; shift += 8) {
      hash = Fnv1a(hash, static_cast<uint8_t>(End(site) >> shift));
    }
  }
  return static_cast<uint32_t>(hash ^ hash >> 32);
}

// With T B_i / S - 1 for weights, all of them times what makes them whole.
SiteShares SharesOf(const Topology& topology) {
  if (topology.site_count() > SiteShares::kMostSites) return {};
  const auto k = static_cast<uint64_t>(topology.site_count());
  std::vector<uint64_t> weights(k, 1);
  if (k > 2) {
    const std::vector<uint64_t> rates = RelativeRates(topology);
    const uint64_t least = *std::min_element(rates.begin(), rates.end());
    uint64_t sum = 0;
    for (const uint64_t rate : rates) sum += rate;
    const bool slowest_decides = sum >= 2 * (k - 1) * least;
    for (size_t i = 0; i < k; ++i) {
      weights[i] =
          slowest_decides ? rates[i] - least : 2 * (k - 1) * rates[i] - sum;
    }
  }
  return SiteShares::OfWeights(weights);
}

}  // namespace longhaul
