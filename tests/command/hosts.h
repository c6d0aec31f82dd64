// A made-up host with which nothing is wrong, for a line of 1 Gbit/s and 50 ms;
// tests spoil one thing at a time. Plain values.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "doctor/checks.h"

namespace longhaul::doctor {

inline HostFacts GoodHost() {
  HostFacts facts;
  facts.host = "node0";
  facts.kernel = "6.1.0-18-amd64";
  facts.glibc = "2.36";
  facts.sysctls = {
      {"net.core.default_qdisc", "fq"},
      {"net.core.rmem_max", "212992"},
      {"net.core.wmem_max", "212992"},
      {"net.ipv4.ip_local_port_range", "32768\t60999"},
      {"net.ipv4.ip_local_reserved_ports", ""},
      {"net.ipv4.tcp_allowed_congestion_control", "reno cubic bbr"},
      {"net.ipv4.tcp_available_congestion_control", "reno cubic bbr"},
      {"net.ipv4.tcp_moderate_rcvbuf", "1"},
      {"net.ipv4.tcp_mtu_probing", "1"},
      {"net.ipv4.tcp_notsent_lowat", "4294967295"},
      {"net.ipv4.tcp_rmem", "4096\t131072\t67108864"},
      {"net.ipv4.tcp_sack", "1"},
      {"net.ipv4.tcp_slow_start_after_idle", "1"},
      {"net.ipv4.tcp_timestamps", "1"},
      {"net.ipv4.tcp_window_scaling", "1"},
      {"net.ipv4.tcp_wmem", "4096\t16384\t67108864"},
  };
  facts.clock_source = "tsc";
  facts.clock_sources = "tsc hpet acpi_pm";
  facts.bbr_granted = true;
  facts.interfaces = {
      {"lo", Address::ParseHost("127.0.0.1", 0).value(), true, true},
      {"eth0", Address::ParseHost("192.0.2.7", 0).value(), true, false}};
  facts.mtus = {{"lo", 65536}, {"eth0", 1500}};
  facts.ports = {{facts.interfaces[1].address, {}}};
  facts.open_files = {65536, 65536};
  facts.locked_memory = {kUnlimited, kUnlimited};
  facts.options.site = "paris";
  facts.site = "paris";
  facts.environment = {{"NCCL_NET_PLUGIN", "longhaul"},
                       {"NCCL_COLLNET_ENABLE", "1"}};
  facts.nccl = {.asked = "libnccl.so.2",
                .loads = true,
                .path = "/usr/lib/libnccl.so.2",
                .version = 22809};
  facts.plugin = {.asked = "libnccl-net-longhaul.so",
                  .loads = true,
                  .path = "/opt/lib/libnccl-net-longhaul.so",
                  .symbols = {"ncclNetPlugin_v11", "ncclCollNetPlugin_v11"}};
  return facts;
}

/// The finding of one check; a failed test if there is none.
inline Finding Of(const std::vector<Finding>& findings,
                  const std::string& check) {
  const auto found = std::find_if(
      findings.begin(), findings.end(),
      [&](const Finding& finding) { return finding.check == check; });
  EXPECT_NE(found, findings.end()) << "no check " << check;
  return found == findings.end() ? Finding() : *found;
}

}  // namespace longhaul::doctor
