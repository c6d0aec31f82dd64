// What the system and the environment give a process.
#include <algorithm>
#include <bit>

#include "base/parse.h"
#include "base/text.h"
#include "doctor/checks.h"

namespace longhaul::doctor {
namespace {

// A flow, a listener and NCCL's own sockets per peer, with room for the rest of
// a training job.
constexpr uint64_t kFewFiles = 1024;
constexpr uint64_t kEnoughFiles = 65536;
// What `auto` gives LONGHAUL_WAN_POOL at the least.
constexpr uint64_t kAutoMemory = uint64_t{16} << 20;

std::string LimitText(uint64_t limit) {
  return limit == kUnlimited ? "unlimited" : std::to_string(limit);
}

std::string MiB(uint64_t bytes) {
  return Text("%.3g MiB", static_cast<double>(bytes) / (1 << 20));
}

Finding Kernel(const HostFacts& facts) {
  Finding finding{.check = "kernel",
                  .found = "Linux " + facts.kernel + ", glibc " + facts.glibc};
  if (!KernelIsAtLeast(facts.kernel, 4, 9)) {
    finding.verdict = Verdict::kProblem;
    finding.change = "Use Linux 5.11 or newer: BBR came with 4.9.";
  } else if (!KernelIsAtLeast(facts.kernel, 5, 11)) {
    finding.verdict = Verdict::kAdvice;
    finding.change =
        "Use Linux 5.11 or newer: before, what is timed may come up to a "
        "millisecond late.";
  }
  return finding;
}

Finding Clock(const HostFacts& facts) {
  Finding finding{
      .check = "clock",
      .found = facts.clock_source.empty() ? "not known" : facts.clock_source};
  constexpr std::string_view kSlow[] = {"hpet", "acpi_pm", "jiffies", "xen"};
  if (std::find(std::begin(kSlow), std::end(kSlow), facts.clock_source) ==
      std::end(kSlow)) {
    return finding;
  }
  finding.verdict = Verdict::kAdvice;
  const std::string sources = " " + facts.clock_sources + " ";
  if (sources.find(" tsc ") != sources.npos) {
    finding.change =
        "Use tsc: reading this one takes a system call, and an engine reads "
        "the clock in every turn.";
    finding.commands = {
        "echo tsc > "
        "/sys/devices/system/clocksource/clocksource0/current_clocksource"};
  } else {
    finding.change =
        "The kernel does not trust the processor's own counter here; reading "
        "the clock takes a system call, and an engine does so in every turn.";
    finding.commands = {"dmesg | grep -i -e tsc -e clocksource"};
  }
  return finding;
}

Finding OpenFiles(const HostFacts& facts) {
  Finding finding{.check = "open files",
                  .found = "limit " + LimitText(facts.open_files.soft) +
                           ", may be raised to " +
                           LimitText(facts.open_files.hard)};
  if (facts.open_files.soft >= kEnoughFiles) return finding;
  finding.verdict =
      facts.open_files.soft < kFewFiles ? Verdict::kProblem : Verdict::kAdvice;
  finding.change =
      "Raise it: longhaul and NCCL both hold sockets for every peer and "
      "channel.";
  const uint64_t most = std::min(facts.open_files.hard, kEnoughFiles);
  if (most > facts.open_files.soft) {
    finding.commands.push_back("ulimit -n " + std::to_string(most));
  }
  if (facts.open_files.hard < kEnoughFiles) {
    finding.commands.push_back(
        "echo '* - nofile 65536' >> /etc/security/limits.d/90-longhaul.conf");
  }
  return finding;
}

Finding LockedMemory(const HostFacts& facts) {
  const uint64_t limit = facts.locked_memory.soft;
  Finding finding{
      .check = "locked memory",
      .found = limit == kUnlimited ? "unlimited" : "limit " + SizeText(limit)};
  if (limit == kUnlimited) return finding;
  if (!facts.site_plugin) {
    finding.found += "; longhaul itself locks none";
    return finding;
  }
  finding.verdict = Verdict::kAdvice;
  finding.change =
      "Lift it: the plugin for traffic inside the site (LONGHAUL_SITE_PLUGIN) "
      "registers memory with the network card, which locks it.";
  finding.commands = {"ulimit -l unlimited",
                      "echo '* - memlock unlimited' >> "
                      "/etc/security/limits.d/90-longhaul.conf"};
  return finding;
}

Finding Variables(const HostFacts& facts) {
  Finding finding{.check = "variables"};
  if (!facts.options_status.ok()) {
    finding.verdict = Verdict::kProblem;
    finding.found = facts.options_status.text();
    finding.change =
        "Correct it: longhaul refuses to start so. (The other checks go by "
        "the defaults.)";
    finding.commands = {"longhaul info --full"};
    return finding;
  }
  std::string odd;
  for (const std::string& warning : facts.options.warnings) {
    odd += odd.empty() ? "" : "; ";
    odd += warning;
  }
  if (odd.empty()) {
    finding.found = "every LONGHAUL_ variable that is set can be read";
    return finding;
  }
  finding.verdict = Verdict::kAdvice;
  finding.found = odd;
  finding.change = "Correct or unset them: they do nothing.";
  finding.commands = {"longhaul info --full"};
  return finding;
}

Finding Site(const HostFacts& facts) {
  Finding finding{.check = "site"};
  if (!facts.topology.ok()) {
    finding.verdict = Verdict::kProblem;
    finding.found = facts.topology.text();
    finding.change =
        "Correct the file, or its path (docs/topology.md describes it), or "
        "name the site of this host.";
    finding.commands = {"export LONGHAUL_SITE=NAME"};
    return finding;
  }
  finding.found =
      Text("host %s is in site %s", facts.host.c_str(), facts.site.c_str());
  const bool unnamed =
      facts.options.site.empty() && facts.options.topology.empty();
  if (!unnamed || !facts.options_status.ok()) return finding;
  finding.verdict = Verdict::kAdvice;
  finding.change =
      "Name the site, or give a topology file: without either all ranks count "
      "as one site.";
  finding.commands = {"export LONGHAUL_SITE=NAME",
                      "export LONGHAUL_TOPOLOGY=FILE"};
  return finding;
}

Finding Secret(const HostFacts& facts) {
  Finding finding{.check = "secret"};
  if (facts.options.secret_file.empty()) {
    finding.found =
        "none of its own: strays are kept out, those who can read the network "
        "are not (LONGHAUL_SECRET_FILE)";
    return finding;
  }
  finding.found = facts.options.secret_file + " can be read";
  if (facts.secret.ok()) return finding;
  finding.verdict = Verdict::kProblem;
  finding.found = facts.secret.text();
  finding.change = "Make one, and copy it to every host of the job.";
  finding.commands = {"(umask 077; head -c 32 /dev/urandom > " +
                      facts.options.secret_file + ")"};
  return finding;
}

Finding Memory(const HostFacts& facts, const WanNeed& need) {
  Finding finding{.check = "memory per WAN peer"};
  const uint64_t needed = std::max(std::bit_ceil(need.Bdp()), kAutoMemory);
  const uint64_t pool = facts.options.wan_pool.value_or(kAutoMemory);
  const uint64_t kept = facts.options.wan_retention.value_or(kAutoMemory);
  const auto text = [](const std::optional<uint64_t>& value) {
    return value ? SizeText(*value) : "auto";
  };
  finding.found = Text(
      "LONGHAUL_WAN_POOL=%s, LONGHAUL_WAN_RETENTION=%s; the "
      "line holds %s",
      text(facts.options.wan_pool).c_str(),
      text(facts.options.wan_retention).c_str(), MiB(need.Bdp()).c_str());
  if (std::min(pool, kept) >= needed) return finding;
  finding.verdict = Verdict::kAdvice;
  finding.change =
      "Raise them if one process carries the whole line: what is on its way "
      "must have room at both ends.";
  if (pool < needed) {
    finding.commands.push_back("export LONGHAUL_WAN_POOL=" + SizeText(needed));
  }
  if (kept < needed) {
    finding.commands.push_back("export LONGHAUL_WAN_RETENTION=" +
                               SizeText(needed));
  }
  return finding;
}

}  // namespace

std::vector<Finding> ExamineProcess(const HostFacts& facts,
                                    const WanNeed& need) {
  return {Kernel(facts),       Clock(facts),       OpenFiles(facts),
          LockedMemory(facts), Variables(facts),   Site(facts),
          Secret(facts),       Memory(facts, need)};
}

}  // namespace longhaul::doctor
