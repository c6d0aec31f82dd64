// The topology file: which hosts form which site, and what is known of the
// lines between sites. TOML; docs/topology.md describes it.
//
//   [[site]]
//   name = "paris"
//   hosts = ["node0", "gpu-a*"]          # * and ? as in a shell
//   wan = { up = "500mbit", down = "1gbit" }
//   no_wan_hosts = ["gpu-a7"]
//
//   [[path]]
//   between = ["paris", "tokyo"]
//   rate = "500mbit"
//   delay = "110ms"                      # one way
//   loss = 0.0001
//   via = ["p0", "eth1"]                 # interface or address at each end
//
// LONGHAUL_SITE, where set, decides a process's site and the file's host lists
// are not asked; rates, paths and no_wan_hosts still come from the file.
//
// Plain values; thread-compatible.
#pragma once

#include <longhaul/options.h>
#include <longhaul/status.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "topology/topology.h"

namespace longhaul {

struct TopologyFile {
  struct Site {
    SiteSpec spec;
    std::vector<std::string> hosts;         ///< patterns
    std::vector<std::string> no_wan_hosts;  ///< patterns
  };
  std::vector<Site> sites;
  std::vector<PathSpec> paths;  ///< indices into `sites`

  /// kInvalidArgument gives `name`:line, what is wrong and what is accepted.
  static Result<TopologyFile> Parse(std::string_view text,
                                    std::string_view name);
  /// kInvalidArgument also if the file cannot be read.
  static Result<TopologyFile> Read(const std::string& path);

  /// Equal for files that say the same, on any machine; never 0. By it ranks
  /// learn whether they were given the same file.
  uint64_t Fingerprint() const;
  /// The site of a host: the first whose list has its name exactly, else the
  /// first with a pattern that fits. A full name (node0.example.net) is also
  /// tried by its first label. -1 if none.
  SiteIndex SiteOfHost(std::string_view host) const;
  /// False if the host is in the no_wan_hosts of that site.
  bool HostHasWan(SiteIndex site, std::string_view host) const;
  /// -1 if no site has that name.
  SiteIndex FindSite(std::string_view name) const;
  /// What `via` says of the paths from one site to another, as seen from
  /// `here`; empty if nothing.
  std::vector<PathRule> PathRules(std::string_view here,
                                  std::string_view there) const;
};

/// The site name of this process: `option` (LONGHAUL_SITE) if not empty, else
/// what the file says of `host`, else "default" if there is no file.
/// kInvalidArgument if there is a file and the host is in none of its sites.
Result<std::string> ChooseSite(std::string_view option,
                               const TopologyFile* file, std::string_view host);

/// What each rank tells of itself at the start.
struct Member {
  std::string site;
  std::string host;
  int32_t process = 0;
  bool wan = true;
};

/// The topology of these members: sites in order of their first rank, rates
/// and paths from `file` (may be null) for the sites it knows.
Result<Topology> MakeTopology(const std::vector<Member>& members,
                              const TopologyFile* file);

}  // namespace longhaul
