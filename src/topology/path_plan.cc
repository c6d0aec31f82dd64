#include "topology/path_plan.h"

#include <algorithm>
#include <utility>

#include "base/text.h"

namespace longhaul {
namespace {

/// Indices of addresses: of the lower incarnation, and of the higher.
struct Pair {
  size_t low = 0;
  size_t high = 0;
  bool operator==(const Pair&) const = default;
};

bool SameHostAddress(const Address& a, const Address& b) {
  return a.family == b.family && a.bytes == b.bytes;
}

bool Has(const PathEnd& end, const Address& address) {
  return std::any_of(
      end.addresses.begin(), end.addresses.end(),
      [&](const Address& own) { return SameHostAddress(own, address); });
}

bool HasAll(const PathEnd& end, const PathEnd& of) {
  return std::all_of(
      of.addresses.begin(), of.addresses.end(),
      [&end](const Address& address) { return Has(end, address); });
}

// Names alone do not tell: many a host is called localhost.
bool OnOneHost(const PathEnd& a, const PathEnd& b) {
  const bool may_be = a.host.empty() || b.host.empty() || a.host == b.host;
  return may_be && (HasAll(a, b) || HasAll(b, a));
}

std::string_view LabelAt(const PathEnd& end, size_t index) {
  return index < end.labels.size() ? end.labels[index] : std::string_view();
}

bool SaysLabels(const PathEnd& end) {
  return std::any_of(end.labels.begin(), end.labels.end(),
                     [](const std::string& label) { return !label.empty(); });
}

bool Fits(const PathEnd& end, size_t index, const std::string& name) {
  if (LabelAt(end, index) == name) return true;
  const Result<Address> address = Address::ParseHost(name, 0);
  return address.ok() && SameHostAddress(*address, end.addresses[index]);
}

std::string Describe(const PathEnd& end) {
  std::string text;
  for (size_t i = 0; i < end.addresses.size(); ++i) {
    if (i > 0) text += ", ";
    const std::string_view label = LabelAt(end, i);
    if (!label.empty()) text += std::string(label) + " ";
    text += end.addresses[i].HostString();
  }
  return text.empty() ? "none" : text;
}

std::string Describe(std::span<const PathRule> rules) {
  std::string text;
  for (const PathRule& rule : rules) {
    if (!text.empty()) text += ",";
    text += rule.here;
    if (rule.there != rule.here) text += ">" + rule.there;
  }
  return text;
}

/// Plans as the lower incarnation sees it, so that both sides do the same.
class Planner {
 public:
  Planner(const PathEnd& low, const PathEnd& high)
      : low_(low), high_(high), one_host_(OnOneHost(low, high)) {
    const auto ends = [](const PathEnd& end) {
      return std::min(end.addresses.size(), kMostPathEnds);
    };
    for (size_t i = 0; i < ends(low); ++i) {
      for (size_t j = 0; j < ends(high); ++j) {
        if (Usable(low.addresses[i], high.addresses[j])) {
          usable_.push_back({i, j});
        }
      }
    }
    FindSpare();
  }

  // Pairs of one name first, then those that share no address, then the rest.
  std::vector<Pair> All() const {
    std::vector<Pair> chosen;
    const auto add = [&](const auto& fits) {
      for (const Pair& pair : usable_) {
        if (!Holds(spare_, pair) && !Holds(chosen, pair) && fits(pair)) {
          chosen.push_back(pair);
        }
      }
    };
    add([&](const Pair& pair) {
      const std::string_view label = LabelAt(low_, pair.low);
      return !label.empty() && label == LabelAt(high_, pair.high) &&
             IsDisjoint(chosen, pair);
    });
    add([&](const Pair& pair) { return IsDisjoint(chosen, pair); });
    add([](const Pair&) { return true; });
    return chosen;
  }

  // Those that join what fits the two names, none with an address in common;
  // spare ones if they are asked for by address.
  std::vector<Pair> Between(const std::string& low,
                            const std::string& high) const {
    std::vector<Pair> chosen;
    for (const Pair& pair : usable_) {
      if (!Fits(low_, pair.low, low) || !Fits(high_, pair.high, high)) continue;
      const bool by_label =
          LabelAt(low_, pair.low) == low && LabelAt(high_, pair.high) == high;
      if (by_label && Holds(spare_, pair)) continue;
      if (IsDisjoint(chosen, pair)) chosen.push_back(pair);
    }
    return chosen;
  }

  static bool Holds(const std::vector<Pair>& pairs, const Pair& pair) {
    return std::find(pairs.begin(), pairs.end(), pair) != pairs.end();
  }

 private:
  bool Usable(const Address& a, const Address& b) const {
    if (a.family != b.family || a.IsLoopback() != b.IsLoopback() ||
        a.IsLinkLocal() != b.IsLinkLocal()) {
      return false;
    }
    if (one_host_) return SameHostAddress(a, b);
    return !Has(high_, a) && !Has(low_, b);
  }

  // Pairs that are usable but add nothing to others: link-local ones, and those
  // over IPv6 between interfaces that are joined already.
  void FindSpare() {
    const auto is_link_local = [this](const Pair& pair) {
      return low_.addresses[pair.low].IsLinkLocal();
    };
    const bool only_link_local =
        std::all_of(usable_.begin(), usable_.end(), is_link_local);
    std::vector<Pair> kept;
    for (const bool ipv4 : {true, false}) {
      for (const Pair& pair : usable_) {
        if ((low_.addresses[pair.low].family == AddressFamily::kIpv4) != ipv4) {
          continue;
        }
        const bool spare = (is_link_local(pair) && !only_link_local) ||
                           (!ipv4 && JoinsTheSame(kept, pair));
        (spare ? spare_ : kept).push_back(pair);
      }
    }
  }

  // Does one of `pairs` join the two interfaces?
  bool JoinsTheSame(const std::vector<Pair>& pairs, const Pair& pair) const {
    const std::string_view low = LabelAt(low_, pair.low);
    const std::string_view high = LabelAt(high_, pair.high);
    if (low.empty() || high.empty()) return false;
    return std::any_of(pairs.begin(), pairs.end(), [&](const Pair& other) {
      return LabelAt(low_, other.low) == low &&
             LabelAt(high_, other.high) == high;
    });
  }

  static bool IsDisjoint(const std::vector<Pair>& pairs, const Pair& pair) {
    return std::none_of(pairs.begin(), pairs.end(), [&](const Pair& other) {
      return other.low == pair.low || other.high == pair.high;
    });
  }

  const PathEnd& low_;
  const PathEnd& high_;
  const bool one_host_;
  std::vector<Pair> usable_;
  std::vector<Pair> spare_;  // of these
};

std::vector<Pair> PairsOf(const PathRule& rule, const Planner& planner,
                          bool own_is_low) {
  const auto between = [&](const std::string& here, const std::string& there) {
    return own_is_low ? planner.Between(here, there)
                      : planner.Between(there, here);
  };
  std::vector<Pair> pairs = between(rule.here, rule.there);
  if (pairs.empty()) pairs = between(rule.there, rule.here);
  return pairs;
}

}  // namespace

std::string PathName(const Address& local, const Address& remote,
                     std::string_view label_here,
                     std::string_view label_there) {
  std::string name = local.HostString() + " -> " + remote.HostString();
  if (label_here.empty()) return name;
  name += " (" + std::string(label_here);
  if (!label_there.empty() && label_there != label_here) {
    name += ">" + std::string(label_there);
  }
  return name + ")";
}

double RateLimitOf(const RateLimits& limits, const Address& local,
                   std::string_view label) {
  constexpr double kBitsPerByte = 8;
  if (limits.some.empty()) return limits.every / kBitsPerByte;
  const PathEnd end{0, "", {local}, {std::string(label)}};
  const auto of = std::find_if(
      limits.some.begin(), limits.some.end(),
      [&end](const RateLimits::Of& some) { return Fits(end, 0, some.label); });
  return of == limits.some.end() ? 0 : of->rate / kBitsPerByte;
}

std::string_view LabelOf(const PathEnd& end, const Address& address) {
  for (size_t i = 0; i < end.addresses.size(); ++i) {
    if (SameHostAddress(end.addresses[i], address)) return LabelAt(end, i);
  }
  return {};
}

Result<PathPlan> PlanPaths(const PathEnd& own, const PathEnd& peer,
                           std::span<const PathRule> rules,
                           const RateLimits& limits) {
  const bool own_is_low = own.incarnation < peer.incarnation;
  const Planner planner = own_is_low ? Planner(own, peer) : Planner(peer, own);
  PathPlan plan;
  std::vector<Pair> pairs;
  for (const PathRule& rule : rules) {
    const std::vector<Pair> found = PairsOf(rule, planner, own_is_low);
    for (const Pair& pair : found) {
      if (!Planner::Holds(pairs, pair)) pairs.push_back(pair);
    }
    if (!found.empty()) continue;
    if (!plan.unmet.empty()) plan.unmet += ",";
    plan.unmet += Describe(std::span(&rule, 1));
  }
  const bool guess = pairs.empty() && (rules.empty() || !SaysLabels(peer));
  if (guess) {
    pairs = planner.All();
    plan.unmet.clear();
  }
  if (pairs.empty()) {
    return Status(
        StatusCode::kInvalidArgument,
        Text("no pair of addresses can be used as a path; here are: %s; there "
             "are: %s; LONGHAUL_PATHS (%s) and LONGHAUL_INTERFACES choose "
             "among them",
             Describe(own).c_str(), Describe(peer).c_str(),
             rules.empty() ? "auto" : Describe(rules).c_str()),
        FaultScope::kConnection);
  }
  if (pairs.size() > kMostPaths) pairs.resize(kMostPaths);
  for (const Pair& pair : pairs) {
    const size_t here = own_is_low ? pair.low : pair.high;
    const size_t there = own_is_low ? pair.high : pair.low;
    PlannedPath path;
    path.number = static_cast<uint16_t>(kMostPathEnds * pair.low + pair.high);
    path.local = own.addresses[here];
    path.remote = peer.addresses[there];
    // Scopes stay home; a link is the same from both of its ends.
    if (path.remote.IsLinkLocal()) path.remote.scope = path.local.scope;
    path.name = PathName(path.local, path.remote, LabelAt(own, here),
                         LabelAt(peer, there));
    path.rate_limit = RateLimitOf(limits, path.local, LabelAt(own, here));
    path.guessed = guess;
    plan.paths.push_back(std::move(path));
  }
  return plan;
}

}  // namespace longhaul
