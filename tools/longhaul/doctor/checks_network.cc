// Which addresses peers can reach this host at, and through which doors.
#include <algorithm>
#include <optional>
#include <utility>

#include "base/parse.h"
#include "base/text.h"
#include "doctor/checks.h"

namespace longhaul::doctor {
namespace {

// IPv6's least; less than this is a broken tunnel.
constexpr int kLeastMtu = 1280;
constexpr int kUsualMtu = 1500;

using Interfaces = std::vector<Interface>;

Result<Interfaces> Chosen(const HostFacts& facts) {
  return ChooseInterfaces(facts.interfaces, facts.options.interfaces,
                          facts.options.address_family);
}

Finding Addresses(const HostFacts& facts, const Result<Interfaces>& chosen) {
  Finding finding{.check = "addresses"};
  if (!chosen.ok()) {
    finding.verdict = Verdict::kProblem;
    finding.found = chosen.status().text();
    finding.change =
        "Name interfaces that are up, or unset both variables to use all.";
    finding.commands = {"unset LONGHAUL_INTERFACES LONGHAUL_ADDRESS_FAMILY",
                        "ip -brief address"};
    return finding;
  }
  for (const Interface& interface : *chosen) {
    finding.found += finding.found.empty() ? "" : ", ";
    finding.found += interface.name + " " + interface.address.HostString();
  }
  const auto all = [&](auto&& is) {
    return std::all_of(chosen->begin(), chosen->end(), is);
  };
  if (all([](const Interface& interface) { return interface.loopback; })) {
    finding.verdict = Verdict::kProblem;
    finding.change =
        "Bring up an interface that other hosts can reach, or let "
        "LONGHAUL_INTERFACES name one: with loopback only, all ranks must be "
        "on this host.";
    finding.commands = {"ip -brief address"};
  } else if (all([](const Interface& interface) {
               return interface.loopback || interface.address.IsLinkLocal();
             })) {
    finding.verdict = Verdict::kProblem;
    finding.change =
        "Give an interface an address that is routed: link-local ones do not "
        "leave this network.";
    finding.commands = {"ip -brief address"};
  } else if (facts.options.interfaces.names.empty() && chosen->size() > 1 &&
             std::any_of(chosen->begin(), chosen->end(), [](const auto& one) {
               return one.name.starts_with("docker") ||
                      one.name.starts_with("virbr") ||
                      one.name.starts_with("br-");
             })) {
    finding.verdict = Verdict::kAdvice;
    finding.change =
        "Leave out bridges of containers and virtual machines: other hosts "
        "cannot reach them, or reach their own.";
    finding.commands = {"export LONGHAUL_INTERFACES=^docker,virbr,br-"};
  }
  return finding;
}

Finding Mtus(const HostFacts& facts, const Interfaces& chosen) {
  Finding finding{.check = "MTU"};
  std::vector<std::string> seen;
  std::optional<std::string> small;
  bool large = false;
  for (const Interface& interface : chosen) {
    const auto mtu = facts.mtus.find(interface.name);
    if (mtu == facts.mtus.end() || interface.loopback) continue;
    if (std::find(seen.begin(), seen.end(), interface.name) != seen.end()) {
      continue;
    }
    seen.push_back(interface.name);
    finding.found += finding.found.empty() ? "" : ", ";
    finding.found += Text("%s %d", interface.name.c_str(), mtu->second);
    if (mtu->second < kLeastMtu) small = interface.name;
    large = large || mtu->second > kUsualMtu;
  }
  if (finding.found.empty()) finding.found = "none known";
  const auto probing = facts.sysctls.find("net.ipv4.tcp_mtu_probing");
  const bool probes =
      probing != facts.sysctls.end() && ParseInteger(probing->second) != 0;
  if (small) {
    finding.verdict = Verdict::kAdvice;
    finding.change =
        "Raise it unless the tunnel behind it needs it so: every packet "
        "carries 40 to 80 bytes of headers.";
    finding.commands = {
        Text("ip link set dev %s mtu %d", small->c_str(), kUsualMtu)};
  } else if (large && !probes) {
    finding.verdict = Verdict::kAdvice;
    finding.change =
        "Let TCP probe, or make sure that the whole way takes such packets: "
        "lines between sites often take 1500 bytes and do not say so.";
    finding.commands = {"sysctl -w net.ipv4.tcp_mtu_probing=1"};
  }
  return finding;
}

Finding Ports(const HostFacts& facts) {
  Finding finding{.check = "ports"};
  const std::optional<PortRange>& range = facts.options.port_range;
  finding.found =
      range ? Text("LONGHAUL_PORT_RANGE %u-%u: one is free on every address",
                   unsigned{range->low}, unsigned{range->high})
            : "the system chooses; one is free on every address";
  for (const PortFact& port : facts.ports) {
    if (port.status.ok()) continue;
    finding.verdict = Verdict::kProblem;
    finding.found = port.status.text();
    finding.change =
        "Free one, or set a wider range: every process listens on one port "
        "per address.";
    finding.commands = {"ss -ltnp"};
    return finding;
  }
  return finding;
}

// The system hands out ports of its own range to outgoing connections, ours
// among them if the ranges meet.
Finding ReservedPorts(const HostFacts& facts) {
  Finding finding{.check = "reserved ports"};
  const std::optional<PortRange>& range = facts.options.port_range;
  const auto local = facts.sysctls.find("net.ipv4.ip_local_port_range");
  if (!range || local == facts.sysctls.end()) {
    finding.found = "LONGHAUL_PORT_RANGE is not set; none needed";
    return finding;
  }
  std::string text = local->second;
  std::replace(text.begin(), text.end(), '\t', ' ');
  const size_t blank = text.find(' ');
  const auto low = ParseInteger(text.substr(0, blank));
  const auto high =
      blank == text.npos ? low : ParseInteger(Trim(text.substr(blank)));
  const std::string ours =
      Text("%u-%u", unsigned{range->low}, unsigned{range->high});
  finding.found = Text("outgoing connections use %s, longhaul listens in %s",
                       text.c_str(), ours.c_str());
  const auto found = facts.sysctls.find("net.ipv4.ip_local_reserved_ports");
  const std::string reserved =
      found == facts.sysctls.end() ? "" : found->second;
  const bool meet = low && high && *low <= range->high && range->low <= *high;
  const std::vector<std::string_view> parts = Split(reserved, ',');
  if (!meet || std::find(parts.begin(), parts.end(), ours) != parts.end()) {
    return finding;
  }
  finding.verdict = Verdict::kAdvice;
  finding.change =
      "Reserve the range: an outgoing connection of any program may take the "
      "last free port of it.";
  finding.commands = {"sysctl -w net.ipv4.ip_local_reserved_ports=" +
                      (reserved.empty() ? ours : reserved + "," + ours)};
  return finding;
}

}  // namespace

std::vector<Finding> ExamineNetwork(const HostFacts& facts) {
  const Result<Interfaces> chosen = Chosen(facts);
  return {Addresses(facts, chosen),
          Mtus(facts, chosen.ok() ? *chosen : Interfaces()), Ports(facts),
          ReservedPorts(facts)};
}

}  // namespace longhaul::doctor
