#include "harness/bound.h"

#include <vector>

#include "base/parse.h"

namespace longhaul::bench {

std::optional<Link> ParseLink(std::string_view text) {
  const std::vector<std::string_view> parts = Split(text, ',');
  if (parts.size() != 2) return std::nullopt;
  const std::optional<double> rate = ParseRate(parts[0]);
  const std::optional<Duration> delay = ParseTime(parts[1]);
  if (!rate || !delay || *rate <= 0 || *delay < 0) return std::nullopt;
  return Link{*rate, static_cast<double>(*delay) / 1e9};
}

std::optional<double> LowerBound(const Link& link, int sites, uint64_t bytes) {
  if (sites < 2) return std::nullopt;
  const double k = sites;
  const double bits = static_cast<double>(bytes) * 8;
  return link.delay + 2 * (k - 1) / k * bits / (link.rate * kPayloadShare);
}

}  // namespace longhaul::bench
