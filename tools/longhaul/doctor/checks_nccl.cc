// NCCL, and the plugin in it.
#include <algorithm>

#include "base/parse.h"
#include "base/text.h"
#include "doctor/checks.h"

namespace longhaul::doctor {
namespace {

constexpr int kFirstVersion = 22000;
// From here to below kErrorsSeen, NCCL drops what a network plugin reports.
constexpr int kErrorsDropped = 22602;
constexpr int kErrorsSeen = 22800;

std::string Variable(const HostFacts& facts, const std::string& name) {
  const auto found = facts.environment.find(name);
  return found == facts.environment.end() ? std::string() : found->second;
}

// 22809 as "2.28.9".
std::string VersionText(int version) {
  return Text("%d.%d.%d", version / 10000, version / 100 % 100, version % 100);
}

// NCCL_NET_PLUGIN asks for us: by name, as a library or by its path.
bool AsksForLonghaul(const std::string& plugins) {
  const std::vector<std::string_view> names = Split(plugins, ',');
  return std::any_of(names.begin(), names.end(), [](std::string_view name) {
    return name == "longhaul" || name.find("libnccl-net-longhaul") != name.npos;
  });
}

Finding Nccl(const HostFacts& facts) {
  Finding finding{.check = "NCCL"};
  if (!facts.nccl.loads) {
    finding.found =
        "no libnccl.so.2 on the loader's path; PyTorch brings its own, of the "
        "version that torch.cuda.nccl.version() gives";
    return finding;
  }
  finding.found =
      facts.nccl.path +
      (facts.nccl.version > 0 ? ", " + VersionText(facts.nccl.version) : "");
  if (facts.nccl.version > 0 && facts.nccl.version < kFirstVersion) {
    finding.verdict = Verdict::kProblem;
    finding.change = "Use NCCL 2.20 or newer: the plugin has no older form.";
  } else if (facts.nccl.version >= kErrorsDropped &&
             facts.nccl.version < kErrorsSeen) {
    finding.verdict = Verdict::kAdvice;
    finding.change =
        "Use NCCL 2.28 or newer: from 2.26.2 to 2.27.7 it drops the errors of "
        "network plugins, and a job with a dead peer hangs until its own "
        "timeout.";
  }
  return finding;
}

Finding Plugin(const HostFacts& facts) {
  Finding finding{.check = "NCCL plugin"};
  const bool asked = AsksForLonghaul(Variable(facts, "NCCL_NET_PLUGIN"));
  const auto exports = [&](const char* symbol) {
    return std::any_of(
        facts.plugin.symbols.begin(), facts.plugin.symbols.end(),
        [&](const std::string& one) { return one.starts_with(symbol); });
  };
  if (facts.plugin.loads && exports("ncclNetPlugin_v")) {
    finding.found = facts.plugin.path + " loads";
    if (!exports("ncclCollNetPlugin_v")) finding.found += "; without CollNet";
    return finding;
  }
  finding.verdict = asked ? Verdict::kProblem : Verdict::kAdvice;
  finding.found = facts.plugin.loads
                      ? facts.plugin.path + " is no network plugin of NCCL"
                      : facts.plugin.error;
  finding.change =
      "Put the folder of libnccl-net-longhaul.so on the loader's path, or give "
      "NCCL_NET_PLUGIN its full path (NCCL 2.26 and newer). Programs that do "
      "not use NCCL need neither.";
  finding.commands = {
      "export LD_LIBRARY_PATH=FOLDER${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"};
  return finding;
}

Finding SitePlugin(const HostFacts& facts) {
  Finding finding{.check = "plugin inside the site"};
  if (!facts.site_plugin) {
    finding.found = "LONGHAUL_SITE_PLUGIN is not set; TCP inside the site, too";
    return finding;
  }
  if (facts.site_plugin->loads && !facts.site_plugin->symbols.empty()) {
    finding.found = facts.site_plugin->path + " loads";
    return finding;
  }
  finding.verdict = Verdict::kProblem;
  finding.found = facts.site_plugin->loads ? facts.site_plugin->path +
                                                 " is no network plugin of NCCL"
                                           : facts.site_plugin->error;
  finding.change =
      "Give LONGHAUL_SITE_PLUGIN the full path of a libnccl-net-....so that "
      "loads, or unset it.";
  finding.commands = {"ldd " + facts.site_plugin->asked};
  return finding;
}

Finding Settings(const HostFacts& facts) {
  Finding finding{.check = "NCCL's settings"};
  const std::string plugin = Variable(facts, "NCCL_NET_PLUGIN");
  const std::string net = Variable(facts, "NCCL_NET");
  const std::string conf = Variable(facts, "NCCL_CONF_FILE");
  const std::vector<std::string>& confs = facts.nccl_confs;
  const char* const kConf =
      "longhaul nccl-conf --topology FILE --output "
      "nccl.conf && export NCCL_CONF_FILE=$PWD/nccl.conf";
  if (!plugin.empty() && !AsksForLonghaul(plugin)) {
    finding.verdict = Verdict::kAdvice;
    finding.found = "NCCL_NET_PLUGIN=" + plugin;
    finding.change = "NCCL loads that plugin, not longhaul.";
    finding.commands = {"export NCCL_NET_PLUGIN=longhaul"};
  } else if (!net.empty() && !EqualIgnoringCase(net, "longhaul")) {
    finding.verdict = plugin.empty() ? Verdict::kAdvice : Verdict::kProblem;
    finding.found = "NCCL_NET=" + net;
    finding.change =
        "Unset it: NCCL takes only a network of that name, and longhaul's is "
        "Longhaul.";
    finding.commands = {"unset NCCL_NET"};
  } else if (!conf.empty() &&
             std::find(confs.begin(), confs.end(), conf) == confs.end()) {
    finding.verdict = Verdict::kProblem;
    finding.found = "NCCL_CONF_FILE=" + conf + " cannot be read";
    finding.change = "Write it: NCCL does without it, and says nothing.";
    finding.commands = {"longhaul nccl-conf --topology FILE --output " + conf};
  } else if (plugin.empty()) {
    finding.verdict = Verdict::kAdvice;
    finding.found = "NCCL_NET_PLUGIN is not set";
    finding.change =
        "For jobs with NCCL, write a configuration that fits the line; other "
        "programs need none.";
    finding.commands = {kConf};
  } else if (Variable(facts, "NCCL_COLLNET_ENABLE") != "1") {
    finding.verdict = Verdict::kAdvice;
    finding.found =
        "NCCL_NET_PLUGIN=" + plugin + "; NCCL_COLLNET_ENABLE is not 1";
    finding.change =
        "Set it: longhaul's own all-reduce is used only then. Or write a whole "
        "configuration.";
    finding.commands = {"export NCCL_COLLNET_ENABLE=1", kConf};
  } else {
    finding.found = "NCCL_NET_PLUGIN=" + plugin + ", NCCL_COLLNET_ENABLE=1";
    for (const std::string& file : confs) finding.found += "; read " + file;
  }
  return finding;
}

}  // namespace

std::vector<Finding> ExamineNccl(const HostFacts& facts) {
  return {Nccl(facts), Plugin(facts), SitePlugin(facts), Settings(facts)};
}

}  // namespace longhaul::doctor
