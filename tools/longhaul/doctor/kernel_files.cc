#include <filesystem>
#include <fstream>
#include <iterator>

#include "base/parse.h"
#include "doctor/gather.h"

namespace longhaul::doctor {
namespace {

namespace fs = std::filesystem;

constexpr const char* kSysctls[] = {
    "net.core.default_qdisc",
    "net.core.rmem_max",
    "net.core.wmem_max",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.tcp_allowed_congestion_control",
    "net.ipv4.tcp_available_congestion_control",
    "net.ipv4.tcp_congestion_control",
    "net.ipv4.tcp_moderate_rcvbuf",
    "net.ipv4.tcp_mtu_probing",
    "net.ipv4.tcp_notsent_lowat",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_sack",
    "net.ipv4.tcp_slow_start_after_idle",
    "net.ipv4.tcp_timestamps",
    "net.ipv4.tcp_window_scaling",
    "net.ipv4.tcp_wmem",
};

// False if it cannot be read; blanks at both ends are left out.
bool ReadText(const fs::path& path, std::string* text) {
  std::ifstream file(path);
  if (!file) return false;
  const std::string all((std::istreambuf_iterator<char>(file)), {});
  if (file.bad()) return false;
  *text = std::string(Trim(all));
  return true;
}

void ReadSysctls(const std::string& root, HostFacts* facts) {
  const fs::path folder = root + "/proc/sys";
  for (const char* name : kSysctls) {
    std::string file = name;
    for (char& c : file) c = c == '.' ? '/' : c;
    std::string text;
    if (ReadText(folder / file, &text)) {
      facts->sysctls[name] = text;
    }
  }
}

void ReadMtus(const std::string& root, HostFacts* facts) {
  std::error_code error;
  for (fs::directory_iterator at(root + "/sys/class/net", error), end;
       !error && at != end; at.increment(error)) {
    std::string text;
    if (!ReadText(at->path() / "mtu", &text)) continue;
    const std::optional<int64_t> mtu = ParseInteger(text);
    if (!mtu || *mtu < 0 || *mtu > INT32_MAX) continue;
    facts->mtus[at->path().filename()] = static_cast<int>(*mtu);
  }
}

// Loaded or not: modules.dep and modules.builtin list what there is.
bool HasBbrModule(const std::string& root, const std::string& release) {
  const fs::path folder = root + "/lib/modules/" + release;
  for (const char* list : {"modules.dep", "modules.builtin"}) {
    std::string text;
    if (ReadText(folder / list, &text) &&
        text.find("/tcp_bbr.ko") != text.npos) {
      return true;
    }
  }
  return false;
}

}  // namespace

void ReadKernelFiles(const std::string& root, HostFacts* facts) {
  ReadText(root + "/proc/sys/kernel/hostname", &facts->host);
  ReadText(root + "/proc/sys/kernel/osrelease", &facts->kernel);
  const std::string clock = root +
                            "/sys/devices/system/clocksource/"
                            "clocksource0/";
  ReadText(clock + "current_clocksource", &facts->clock_source);
  ReadText(clock + "available_clocksource", &facts->clock_sources);
  ReadSysctls(root, facts);
  ReadMtus(root, facts);
  facts->bbr_module = HasBbrModule(root, facts->kernel);
}

}  // namespace longhaul::doctor
