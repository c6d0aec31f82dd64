#include "topology/topology_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/fnv1a.h"
#include "base/parse.h"
#include "base/text.h"
#include "topology/topology_toml.h"

namespace longhaul {

Result<TopologyFile> TopologyFile::Parse(std::string_view text,
                                         std::string_view name) {
  return ParseTopologyToml(text, name);
}

Result<TopologyFile> TopologyFile::Read(const std::string& path) {
  const auto refuse = [&] {
    return Status(
        StatusCode::kInvalidArgument,
        Text("topology file %s: %s", path.c_str(), std::strerror(errno)));
  };
  const int descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return refuse();
  std::string text;
  char block[16384];
  ssize_t got = 0;
  do {
    got = read(descriptor, block, sizeof(block));
    if (got > 0) text.append(block, static_cast<size_t>(got));
  } while (got > 0 || (got < 0 && errno == EINTR));
  const int error = errno;
  close(descriptor);
  errno = error;
  if (got < 0) return refuse();
  return Parse(text, path);
}

namespace {

// FNV-1a over a canonical sequence of bytes, little-endian whatever the
// machine, with a final mix.
class Hash {
 public:
  void Add(uint64_t value) {
    for (int shift = 0; shift < 64; shift += 8) AddByte(value >> shift & 0xff);
  }
  void Add(std::string_view text) {
    Add(text.size());
    for (const char c : text) AddByte(static_cast<uint8_t>(c));
  }
  void Add(const std::optional<double>& value) {
    Add(uint64_t{value.has_value()});
    if (value) Add(std::bit_cast<uint64_t>(*value));
  }
  void Add(const std::vector<std::string>& texts) {
    Add(texts.size());
    for (const std::string& text : texts) Add(text);
  }
  uint64_t value() const {
    uint64_t mixed = state_;
    mixed = (mixed ^ mixed >> 30) * 0xbf58476d1ce4e5b9;
    mixed = (mixed ^ mixed >> 27) * 0x94d049bb133111eb;
    return mixed ^ mixed >> 31;
  }

 private:
  void AddByte(uint64_t byte) {
    state_ = Fnv1a(state_, static_cast<uint8_t>(byte));
  }

  uint64_t state_ = kFnv1aStart;
};

bool AnyFits(const std::vector<std::string>& patterns, std::string_view host) {
  return std::any_of(
      patterns.begin(), patterns.end(),
      [&](const std::string& pattern) { return MatchesGlob(pattern, host); });
}

std::string_view FirstLabel(std::string_view host) {
  return host.substr(0, host.find('.'));
}

bool Lists(const std::vector<std::string>& patterns, std::string_view host) {
  return AnyFits(patterns, host) || AnyFits(patterns, FirstLabel(host));
}

}  // namespace

uint64_t TopologyFile::Fingerprint() const {
  Hash hash;
  hash.Add(sites.size());
  for (const Site& site : sites) {
    hash.Add(site.spec.name);
    hash.Add(site.spec.wan_up);
    hash.Add(site.spec.wan_down);
    hash.Add(site.hosts);
    hash.Add(site.no_wan_hosts);
  }
  hash.Add(paths.size());
  for (const PathSpec& path : paths) {
    hash.Add(static_cast<uint64_t>(path.a));
    hash.Add(static_cast<uint64_t>(path.b));
    hash.Add(path.rate);
    hash.Add(uint64_t{path.delay.has_value()});
    hash.Add(static_cast<uint64_t>(path.delay.value_or(0)));
    hash.Add(path.loss);
    for (const std::string& end : path.via) hash.Add(end);
  }
  return std::max<uint64_t>(hash.value(), 1);
}

SiteIndex TopologyFile::SiteOfHost(std::string_view host) const {
  for (const std::string_view name : {host, FirstLabel(host)}) {
    for (size_t site = 0; site < sites.size(); ++site) {
      const std::vector<std::string>& hosts = sites[site].hosts;
      if (std::find(hosts.begin(), hosts.end(), name) != hosts.end()) {
        return static_cast<SiteIndex>(site);
      }
    }
  }
  for (size_t site = 0; site < sites.size(); ++site) {
    if (Lists(sites[site].hosts, host)) return static_cast<SiteIndex>(site);
  }
  return -1;
}

bool TopologyFile::HostHasWan(SiteIndex site, std::string_view host) const {
  return !Lists(sites[static_cast<size_t>(site)].no_wan_hosts, host);
}

SiteIndex TopologyFile::FindSite(std::string_view name) const {
  for (size_t site = 0; site < sites.size(); ++site) {
    if (sites[site].spec.name == name) return static_cast<SiteIndex>(site);
  }
  return -1;
}

std::vector<PathRule> TopologyFile::PathRules(std::string_view here,
                                              std::string_view there) const {
  const SiteIndex own = FindSite(here);
  const SiteIndex peer = FindSite(there);
  std::vector<PathRule> rules;
  for (const PathSpec& path : paths) {
    if (path.via[0].empty()) continue;
    if (path.a == own && path.b == peer) {
      rules.push_back({path.via[0], path.via[1]});
    } else if (path.a == peer && path.b == own) {
      rules.push_back({path.via[1], path.via[0]});
    }
  }
  return rules;
}

Result<std::string> ChooseSite(std::string_view option,
                               const TopologyFile* file,
                               std::string_view host) {
  if (!option.empty()) return std::string(option);
  if (file == nullptr) return std::string(kDefaultSite);
  const SiteIndex site = file->SiteOfHost(host);
  if (site >= 0) return file->sites[static_cast<size_t>(site)].spec.name;
  return Status(StatusCode::kInvalidArgument,
                Text("host %s is in no site of the topology file; add it to "
                     "the hosts of one, or set LONGHAUL_SITE",
                     std::string(host).c_str()));
}

Result<Topology> MakeTopology(const std::vector<Member>& members,
                              const TopologyFile* file) {
  std::vector<SiteSpec> sites;
  std::vector<SiteIndex> from_file(file ? file->sites.size() : 0, -1);
  std::vector<RankSpec> ranks;
  for (const Member& member : members) {
    auto found = std::find_if(
        sites.begin(), sites.end(),
        [&](const SiteSpec& site) { return site.name == member.site; });
    const auto index = static_cast<SiteIndex>(found - sites.begin());
    const SiteIndex known = file ? file->FindSite(member.site) : -1;
    if (found == sites.end()) {
      if (known >= 0) {
        from_file[static_cast<size_t>(known)] = index;
        sites.push_back(file->sites[static_cast<size_t>(known)].spec);
      } else {
        sites.push_back({member.site, {}, {}});
      }
    }
    const bool wan =
        member.wan && (known < 0 || file->HostHasWan(known, member.host));
    ranks.push_back({index, member.process, wan, member.host});
  }
  std::vector<PathSpec> paths;
  for (const PathSpec& path : file ? file->paths : std::vector<PathSpec>()) {
    PathSpec used = path;
    used.a = from_file[static_cast<size_t>(path.a)];
    used.b = from_file[static_cast<size_t>(path.b)];
    if (used.a >= 0 && used.b >= 0) paths.push_back(used);
  }
  return Topology::Make(std::move(sites), std::move(ranks), std::move(paths));
}

}  // namespace longhaul
