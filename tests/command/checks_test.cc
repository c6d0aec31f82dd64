#include "doctor/checks.h"

#include <functional>

#include "command/hosts.h"

namespace longhaul::doctor {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

using Spoil = std::function<void(HostFacts&)>;

// The finding of one check on a good host that one thing is wrong with.
Finding After(const std::string& check, const Spoil& spoil,
              const WanNeed& need = {}) {
  HostFacts facts = GoodHost();
  spoil(facts);
  return Of(Examine(facts, need), check);
}

Spoil Sysctl(const std::string& name, const std::string& value) {
  return [=](HostFacts& facts) { facts.sysctls[name] = value; };
}

// A check that gives `verdict` and `command` after `spoil`.
void Expect(const std::string& check, const Spoil& spoil, Verdict verdict,
            const std::string& command) {
  const Finding finding = After(check, spoil);
  EXPECT_EQ(finding.verdict, verdict) << check << ": " << finding.found;
  EXPECT_FALSE(finding.change.empty()) << check;
  if (command.empty()) {
    EXPECT_THAT(finding.commands, IsEmpty());
  } else {
    EXPECT_THAT(finding.commands, testing::Contains(command));
  }
}

TEST(ChecksTest, AGoodHostHasNothingToDo) {
  for (const Finding& finding : Examine(GoodHost(), {})) {
    EXPECT_EQ(finding.verdict, Verdict::kOk)
        << finding.check << ": " << finding.found << "; " << finding.change;
    EXPECT_FALSE(finding.found.empty()) << finding.check;
    EXPECT_THAT(finding.change, IsEmpty());
    EXPECT_THAT(finding.commands, IsEmpty());
  }
}

TEST(ChecksTest, AHostOfWhichNothingIsKnownIsJudgedWithoutHarm) {
  const std::vector<Finding> findings = Examine(HostFacts(), {});
  EXPECT_EQ(findings.size(), Examine(GoodHost(), {}).size());
  EXPECT_EQ(Worst(findings), Verdict::kProblem);
}

TEST(ChecksTest, BbrIsPermittedByTheCommandsThatAreMissing) {
  const auto deny = [](HostFacts& facts) {
    facts.bbr_granted = false;
    facts.sysctls["net.ipv4.tcp_allowed_congestion_control"] = "reno cubic";
  };
  EXPECT_THAT(
      After("congestion control", deny).commands,
      ElementsAre("sysctl -w 'net.ipv4.tcp_allowed_congestion_control=reno "
                  "cubic bbr'"));
  const Finding unloaded = After("congestion control", [&](HostFacts& facts) {
    deny(facts);
    facts.bbr_module = true;
    facts.sysctls["net.ipv4.tcp_available_congestion_control"] = "reno cubic";
  });
  EXPECT_EQ(unloaded.verdict, Verdict::kProblem);
  EXPECT_THAT(unloaded.commands,
              ElementsAre("modprobe tcp_bbr", HasSubstr("cubic bbr")));
  const Finding absent = After("congestion control", [&](HostFacts& facts) {
    deny(facts);
    facts.sysctls["net.ipv4.tcp_available_congestion_control"] = "bbr2 cubic";
  });
  EXPECT_EQ(absent.verdict, Verdict::kProblem);
  EXPECT_THAT(absent.change, HasSubstr("no BBR"));
  EXPECT_THAT(absent.commands, IsEmpty());
  const Finding unwanted = After("congestion control", [&](HostFacts& facts) {
    deny(facts);
    facts.options.wan_cc = "cubic";
  });
  EXPECT_EQ(unwanted.verdict, Verdict::kOk);
}

TEST(ChecksTest, BuffersAreJudgedAgainstTheLine) {
  // 6.25 MB on the line; twice that, as a power of two, is 16 MiB.
  Expect("receive buffer", Sysctl("net.ipv4.tcp_rmem", "4096\t131072\t6291456"),
         Verdict::kProblem,
         "sysctl -w 'net.ipv4.tcp_rmem=4096 131072 16777216'");
  Expect("send buffer", Sysctl("net.ipv4.tcp_wmem", "4096\t16384\t4194304"),
         Verdict::kProblem,
         "sysctl -w 'net.ipv4.tcp_wmem=4096 16384 16777216'");
  // All of a send buffer is window, half of a receive buffer.
  Expect("send buffer", Sysctl("net.ipv4.tcp_wmem", "4096\t16384\t8388608"),
         Verdict::kAdvice, "sysctl -w 'net.ipv4.tcp_wmem=4096 16384 16777216'");
  Expect("receive buffer", Sysctl("net.ipv4.tcp_rmem", "4096\t131072\t8388608"),
         Verdict::kProblem,
         "sysctl -w 'net.ipv4.tcp_rmem=4096 131072 16777216'");
  const Finding limited = After(
      "receive buffer", Sysctl("net.ipv4.tcp_rmem", "4096\t131072\t6291456"));
  EXPECT_THAT(limited.change, HasSubstr("about 503mbit as it is, of 1gbit"));
  // The same host is good for a shorter line, and bad for a longer one.
  EXPECT_EQ(After("receive buffer",
                  Sysctl("net.ipv4.tcp_rmem", "4096\t131072\t6291456"),
                  {.rate = 1e9, .round_trip = 10 * kMillisecond, .origin = ""})
                .verdict,
            Verdict::kOk);
  EXPECT_EQ(After("receive buffer", [](HostFacts&) {},
                  {.rate = 1e10, .round_trip = 80 * kMillisecond, .origin = ""})
                .commands,
            (std::vector<std::string>{
                "sysctl -w 'net.ipv4.tcp_rmem=4096 131072 268435456'"}));
}

TEST(ChecksTest, ManyFlowsNeedLessEach) {
  const Spoil small = [](HostFacts& facts) {
    facts.sysctls["net.ipv4.tcp_rmem"] = "4096\t131072\t6291456";
    facts.options.wan_flows = 4;
  };
  EXPECT_EQ(After("receive buffer", small).verdict, Verdict::kOk);
}

TEST(ChecksTest, ABufferBeyondTheKernelsBoundsTakesMoreFlows) {
  const Finding finding =
      After("receive buffer", [](HostFacts&) {},
            {.rate = 4e11, .round_trip = 80 * kMillisecond, .origin = ""});
  // 4 GB on the line: 8 GiB of buffers.
  EXPECT_THAT(
      finding.commands,
      ElementsAre("export LONGHAUL_WAN_FLOWS=5",
                  "sysctl -w 'net.ipv4.tcp_rmem=4096 131072 2147483647'"));
}

TEST(ChecksTest, AFixedBufferIsBoundedByTheOtherLimits) {
  const auto fix = [](uint64_t bytes, const char* most) {
    return [=](HostFacts& facts) {
      facts.options.socket_buffer = bytes;
      facts.sysctls["net.core.rmem_max"] = most;
    };
  };
  EXPECT_EQ(After("receive buffer", fix(8 << 20, "16777216")).verdict,
            Verdict::kOk);
  EXPECT_THAT(After("receive buffer", fix(8 << 20, "212992")).commands,
              ElementsAre("sysctl -w net.core.rmem_max=8388608"));
  EXPECT_THAT(After("receive buffer", fix(1 << 20, "16777216")).commands,
              ElementsAre("export LONGHAUL_SOCKET_BUFFER=8M"));
}

TEST(ChecksTest, SwitchesOfTcp) {
  Expect("window scaling", Sysctl("net.ipv4.tcp_window_scaling", "0"),
         Verdict::kProblem, "sysctl -w net.ipv4.tcp_window_scaling=1");
  Expect("selective acknowledgements", Sysctl("net.ipv4.tcp_sack", "0"),
         Verdict::kProblem, "sysctl -w net.ipv4.tcp_sack=1");
  Expect("receive autotuning", Sysctl("net.ipv4.tcp_moderate_rcvbuf", "0"),
         Verdict::kProblem, "sysctl -w net.ipv4.tcp_moderate_rcvbuf=1");
  Expect("timestamps", Sysctl("net.ipv4.tcp_timestamps", "0"), Verdict::kAdvice,
         "sysctl -w net.ipv4.tcp_timestamps=1");
  Expect("MTU probing", Sysctl("net.ipv4.tcp_mtu_probing", "0"),
         Verdict::kAdvice, "sysctl -w net.ipv4.tcp_mtu_probing=1");
  Expect("unsent bytes", Sysctl("net.ipv4.tcp_notsent_lowat", "16384"),
         Verdict::kAdvice, "sysctl -w net.ipv4.tcp_notsent_lowat=4294967295");
  EXPECT_EQ(After("timestamps", Sysctl("net.ipv4.tcp_timestamps", "2")).verdict,
            Verdict::kOk);
  EXPECT_EQ(
      After("MTU probing", Sysctl("net.ipv4.tcp_mtu_probing", "2")).verdict,
      Verdict::kOk);
}

TEST(ChecksTest, SlowStartAfterIdleMattersWithoutBbr) {
  const Finding finding = After("slow start after idle", [](HostFacts& facts) {
    facts.bbr_granted = false;
  });
  EXPECT_EQ(finding.verdict, Verdict::kAdvice);
  EXPECT_THAT(finding.commands,
              ElementsAre("sysctl -w net.ipv4.tcp_slow_start_after_idle=0"));
}

TEST(ChecksTest, PacingNeedsFqOnlyOnOldKernels) {
  const auto host = [](const char* kernel, const char* qdisc) {
    return [=](HostFacts& facts) {
      facts.kernel = kernel;
      facts.sysctls["net.core.default_qdisc"] = qdisc;
    };
  };
  EXPECT_EQ(After("packet pacing", host("4.12.0", "pfifo_fast")).verdict,
            Verdict::kAdvice);
  EXPECT_EQ(After("packet pacing", host("4.12.0", "fq")).verdict, Verdict::kOk);
  EXPECT_EQ(After("packet pacing", host("4.13.0", "pfifo_fast")).verdict,
            Verdict::kOk);
}

TEST(ChecksTest, AddressesThatNobodyReaches) {
  Expect(
      "addresses", [](HostFacts& facts) { facts.interfaces.pop_back(); },
      Verdict::kProblem, "ip -brief address");
  Expect(
      "addresses",
      [](HostFacts& facts) {
        facts.interfaces[1].address =
            Address::ParseHost("169.254.3.4", 0).value();
      },
      Verdict::kProblem, "ip -brief address");
  Expect(
      "addresses",
      [](HostFacts& facts) { facts.options.interfaces.names = {"ib"}; },
      Verdict::kProblem, "unset LONGHAUL_INTERFACES LONGHAUL_ADDRESS_FAMILY");
}

TEST(ChecksTest, BridgesOfContainersAreLeftOut) {
  const Spoil docker = [](HostFacts& facts) {
    facts.interfaces.push_back(
        {"docker0", Address::ParseHost("172.17.0.1", 0).value(), true, false});
  };
  Expect("addresses", docker, Verdict::kAdvice,
         "export LONGHAUL_INTERFACES=^docker,virbr,br-");
  EXPECT_EQ(After("addresses",
                  [&](HostFacts& facts) {
                    docker(facts);
                    facts.options.interfaces = {{"docker"}, true, false};
                  })
                .verdict,
            Verdict::kOk);
}

TEST(ChecksTest, Mtus) {
  Expect(
      "MTU", [](HostFacts& facts) { facts.mtus["eth0"] = 1000; },
      Verdict::kAdvice, "ip link set dev eth0 mtu 1500");
  const auto jumbo = [](const char* probing) {
    return [=](HostFacts& facts) {
      facts.mtus["eth0"] = 9000;
      facts.sysctls["net.ipv4.tcp_mtu_probing"] = probing;
    };
  };
  Expect("MTU", jumbo("0"), Verdict::kAdvice,
         "sysctl -w net.ipv4.tcp_mtu_probing=1");
  EXPECT_EQ(After("MTU", jumbo("1")).verdict, Verdict::kOk);
}

TEST(ChecksTest, Ports) {
  const Finding taken = After("ports", [](HostFacts& facts) {
    facts.options.port_range = PortRange{20000, 20001};
    facts.ports[0].status =
        Status(StatusCode::kExhausted, "no free port for 192.0.2.7");
  });
  EXPECT_EQ(taken.verdict, Verdict::kProblem);
  EXPECT_EQ(taken.found, "no free port for 192.0.2.7");
}

TEST(ChecksTest, PortsThatOthersMayTakeAreReserved) {
  const auto range = [](uint16_t low, uint16_t high, const char* reserved) {
    return [=](HostFacts& facts) {
      facts.options.port_range = PortRange{low, high};
      facts.sysctls["net.ipv4.ip_local_reserved_ports"] = reserved;
    };
  };
  Expect("reserved ports", range(40000, 40100, ""), Verdict::kAdvice,
         "sysctl -w net.ipv4.ip_local_reserved_ports=40000-40100");
  Expect("reserved ports", range(60999, 61100, "8080,9000-9010"),
         Verdict::kAdvice,
         "sysctl -w "
         "net.ipv4.ip_local_reserved_ports=8080,9000-9010,60999-61100");
  EXPECT_EQ(
      After("reserved ports", range(40000, 40100, "8080,40000-40100")).verdict,
      Verdict::kOk);
  EXPECT_EQ(After("reserved ports", range(20000, 32767, "")).verdict,
            Verdict::kOk);
  EXPECT_EQ(After("reserved ports", range(61000, 61100, "")).verdict,
            Verdict::kOk);
}

TEST(ChecksTest, KernelAndClock) {
  const auto kernel = [](const char* release) {
    return [=](HostFacts& facts) { facts.kernel = release; };
  };
  EXPECT_EQ(After("kernel", kernel("4.4.0")).verdict, Verdict::kProblem);
  EXPECT_EQ(After("kernel", kernel("5.10.0-28")).verdict, Verdict::kAdvice);
  EXPECT_EQ(After("kernel", kernel("5.11.0")).verdict, Verdict::kOk);
  const auto clock = [](const char* now, const char* all) {
    return [=](HostFacts& facts) {
      facts.clock_source = now;
      facts.clock_sources = all;
    };
  };
  EXPECT_THAT(After("clock", clock("hpet", "hpet tsc")).commands,
              ElementsAre(HasSubstr("echo tsc >")));
  EXPECT_THAT(After("clock", clock("hpet", "hpet acpi_pm")).commands,
              ElementsAre(HasSubstr("dmesg")));
  EXPECT_EQ(After("clock", clock("kvm-clock", "kvm-clock")).verdict,
            Verdict::kOk);
}

TEST(ChecksTest, Limits) {
  Expect(
      "open files",
      [](HostFacts& facts) {
        facts.open_files = {1000, 4096};
      },
      Verdict::kProblem, "ulimit -n 4096");
  Expect(
      "open files",
      [](HostFacts& facts) {
        facts.open_files = {1024, 1048576};
      },
      Verdict::kAdvice, "ulimit -n 65536");
  const Spoil locked = [](HostFacts& facts) {
    facts.locked_memory = {65536, 65536};
  };
  EXPECT_EQ(After("locked memory", locked).verdict, Verdict::kOk);
  Expect(
      "locked memory",
      [&](HostFacts& facts) {
        locked(facts);
        facts.site_plugin = LibraryFact{.asked = "/x.so", .loads = true};
      },
      Verdict::kAdvice, "ulimit -l unlimited");
}

TEST(ChecksTest, Variables) {
  const Finding bad = After("variables", [](HostFacts& facts) {
    facts.options_status =
        Status(StatusCode::kInvalidArgument, "LONGHAUL_RANK=x: not an integer");
  });
  EXPECT_EQ(bad.verdict, Verdict::kProblem);
  EXPECT_EQ(bad.found, "LONGHAUL_RANK=x: not an integer");
  const Finding odd = After("variables", [](HostFacts& facts) {
    facts.options.warnings = {"LONGHAUL_RNAK is set but is no option"};
  });
  EXPECT_EQ(odd.verdict, Verdict::kAdvice);
  EXPECT_EQ(odd.found, "LONGHAUL_RNAK is set but is no option");
}

TEST(ChecksTest, SiteAndSecret) {
  const Finding lost = After("site", [](HostFacts& facts) {
    facts.topology = Status(StatusCode::kInvalidArgument, "a.toml:3: no");
  });
  EXPECT_EQ(lost.verdict, Verdict::kProblem);
  EXPECT_EQ(lost.found, "a.toml:3: no");
  Expect(
      "site", [](HostFacts& facts) { facts.options.site.clear(); },
      Verdict::kAdvice, "export LONGHAUL_SITE=NAME");
  Expect(
      "secret",
      [](HostFacts& facts) {
        facts.options.secret_file = "/run/secret";
        facts.secret = Status(StatusCode::kInvalidArgument, "not there");
      },
      Verdict::kProblem, "(umask 077; head -c 32 /dev/urandom > /run/secret)");
}

TEST(ChecksTest, MemoryHoldsTheLine) {
  const WanNeed long_line{
      .rate = 1e10, .round_trip = 80 * kMillisecond, .origin = ""};
  const Finding finding = After(
      "memory per WAN peer", [](HostFacts&) {}, long_line);
  EXPECT_EQ(finding.verdict, Verdict::kAdvice);
  EXPECT_THAT(finding.commands,
              ElementsAre("export LONGHAUL_WAN_POOL=128M",
                          "export LONGHAUL_WAN_RETENTION=128M"));
  const auto enough = [](HostFacts& facts) {
    facts.options.wan_pool = 128 << 20;
    facts.options.wan_retention = 128 << 20;
  };
  EXPECT_EQ(After("memory per WAN peer", enough, long_line).verdict,
            Verdict::kOk);
}

TEST(ChecksTest, NcclVersions) {
  const auto version = [](int number) {
    return [=](HostFacts& facts) { facts.nccl.version = number; };
  };
  EXPECT_EQ(After("NCCL", version(21903)).verdict, Verdict::kProblem);
  EXPECT_EQ(After("NCCL", version(22501)).verdict, Verdict::kOk);
  EXPECT_EQ(After("NCCL", version(22602)).verdict, Verdict::kAdvice);
  EXPECT_EQ(After("NCCL", version(22707)).verdict, Verdict::kAdvice);
  EXPECT_THAT(After("NCCL", version(22803)).found, HasSubstr("2.28.3"));
  EXPECT_EQ(After("NCCL", [](HostFacts& facts) { facts.nccl = LibraryFact(); })
                .verdict,
            Verdict::kOk);
}

TEST(ChecksTest, ThePluginLoadsOrIsSaidNotTo) {
  const auto missing = [](HostFacts& facts) {
    facts.plugin = {.asked = "x", .error = "x: cannot open"};
  };
  Expect("NCCL plugin", missing, Verdict::kProblem,
         "export LD_LIBRARY_PATH=FOLDER${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}");
  EXPECT_EQ(After("NCCL plugin",
                  [&](HostFacts& facts) {
                    missing(facts);
                    facts.environment.clear();  // nobody asks for it
                  })
                .verdict,
            Verdict::kAdvice);
  EXPECT_THAT(After("NCCL plugin",
                    [](HostFacts& facts) { facts.plugin.symbols.clear(); })
                  .found,
              HasSubstr("is no network plugin"));
}

TEST(ChecksTest, ThePluginInsideTheSite) {
  const auto set = [](LibraryFact fact) {
    return [=](HostFacts& facts) { facts.site_plugin = fact; };
  };
  EXPECT_EQ(
      After("plugin inside the site", set({.asked = "/a.so",
                                           .loads = true,
                                           .path = "/a.so",
                                           .symbols = {"ncclNetPlugin_v8"}}))
          .verdict,
      Verdict::kOk);
  EXPECT_EQ(After("plugin inside the site",
                  set({.asked = "/a.so", .loads = true, .path = "/a.so"}))
                .verdict,
            Verdict::kProblem);
  const Finding missing = After("plugin inside the site",
                                set({.asked = "/a.so", .error = "no /a.so"}));
  EXPECT_EQ(missing.verdict, Verdict::kProblem);
  EXPECT_EQ(missing.found, "no /a.so");
}

TEST(ChecksTest, NcclsSettings) {
  const auto set = [](std::map<std::string, std::string> environment) {
    return [=](HostFacts& facts) { facts.environment = environment; };
  };
  Expect("NCCL's settings", set({{"NCCL_NET_PLUGIN", "ofi"}}), Verdict::kAdvice,
         "export NCCL_NET_PLUGIN=longhaul");
  Expect("NCCL's settings",
         set({{"NCCL_NET_PLUGIN", "longhaul"}, {"NCCL_NET", "Socket"}}),
         Verdict::kProblem, "unset NCCL_NET");
  Expect("NCCL's settings", set({{"NCCL_NET_PLUGIN", "longhaul"}}),
         Verdict::kAdvice, "export NCCL_COLLNET_ENABLE=1");
  Expect("NCCL's settings", set({{"NCCL_CONF_FILE", "/a.conf"}}),
         Verdict::kProblem,
         "longhaul nccl-conf --topology FILE --output /a.conf");
  EXPECT_EQ(After("NCCL's settings", set({})).verdict, Verdict::kAdvice);
  EXPECT_EQ(After("NCCL's settings",
                  set({{"NCCL_NET_PLUGIN", "/opt/libnccl-net-longhaul.so"},
                       {"NCCL_NET", "LONGHAUL"},
                       {"NCCL_COLLNET_ENABLE", "1"}}))
                .verdict,
            Verdict::kOk);
}

}  // namespace
}  // namespace longhaul::doctor
