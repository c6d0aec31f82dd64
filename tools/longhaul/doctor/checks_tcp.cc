// TCP between sites: congestion control, buffers, and the switches that long
// lines depend on.
#include <algorithm>
#include <bit>
#include <optional>

#include "base/parse.h"
#include "base/text.h"
#include "doctor/checks.h"

namespace longhaul::doctor {
namespace {

// Where BBR is not permitted longhaul opens this many flows per peer.
constexpr uint64_t kFlowsWithoutBbr = 16;
// The kernel counts a packet's bookkeeping against a buffer.
constexpr uint64_t kBufferPerWindow = 2;
// Buffers are counted by an int in the kernel.
constexpr uint64_t kMostBuffer = 2147483647;
constexpr uint64_t kMostFlows = 64;

struct Direction {
  const char* check;
  const char* what;
  const char* tuned;
  const char* fixed;
  uint64_t per_window;  // bytes that a byte of window takes at the least
};
// By default the kernel shows the peer half of a receive buffer as window.
constexpr Direction kReceive = {"receive buffer", "receive",
                                "net.ipv4.tcp_rmem", "net.core.rmem_max", 2};
constexpr Direction kSend = {"send buffer", "send", "net.ipv4.tcp_wmem",
                             "net.core.wmem_max", 1};

class Tcp {
 public:
  Tcp(const HostFacts& facts, const WanNeed& need)
      : facts_(facts), need_(need) {}

  std::vector<Finding> Examine() const {
    std::vector<Finding> findings = {
        Congestion(),    Buffer(kReceive), Buffer(kSend), Autotuning(),
        WindowScaling(), SelectiveAcks(),  Timestamps(),  IdleRestart(),
        MtuProbing(),    Qdisc(),          LowWater()};
    return findings;
  }

 private:
  std::string Sysctl(const std::string& name) const {
    const auto found = facts_.sysctls.find(name);
    return found == facts_.sysctls.end() ? std::string() : found->second;
  }
  std::optional<int64_t> Number(const std::string& name) const {
    return ParseInteger(Sysctl(name));
  }
  static std::string Set(const std::string& name, const std::string& value) {
    const bool blanks = value.find(' ') != std::string::npos;
    const std::string quote = blanks ? "'" : "";
    return "sysctl -w " + quote + name + "=" + value + quote;
  }
  bool OwnCongestionControl() const {
    return !facts_.options.wan_cc.empty() && facts_.options.wan_cc != "bbr";
  }
  uint64_t Flows() const {
    if (facts_.options.wan_flows) {
      return static_cast<uint64_t>(*facts_.options.wan_flows);
    }
    return facts_.bbr_granted && !OwnCongestionControl() ? 1 : kFlowsWithoutBbr;
  }

  Finding Congestion() const {
    const std::string available =
        Sysctl("net.ipv4.tcp_available_congestion_control");
    const std::string allowed =
        Sysctl("net.ipv4.tcp_allowed_congestion_control");
    Finding finding{.check = "congestion control"};
    if (OwnCongestionControl()) {
      finding.found =
          "LONGHAUL_WAN_CC=" + facts_.options.wan_cc + "; BBR is not asked for";
      return finding;
    }
    if (facts_.bbr_granted) {
      finding.found = "this process may use BBR";
      return finding;
    }
    finding.verdict = Verdict::kProblem;
    finding.found = Text(
        "this process may not use BBR (available: %s; "
        "allowed: %s)",
        available.c_str(), allowed.c_str());
    const bool there = (" " + available + " ").find(" bbr ") != available.npos;
    if (!there && !facts_.bbr_module) {
      finding.change =
          "This kernel has no BBR: use one with CONFIG_TCP_CONG_BBR. Until "
          "then longhaul opens 16 flows per peer, which get less of a line "
          "that loses packets.";
      return finding;
    }
    finding.change =
        "Permit BBR: a loss-based congestion control gets a small part of a "
        "long line that loses packets.";
    if (!there) finding.commands.push_back("modprobe tcp_bbr");
    finding.commands.push_back(Set("net.ipv4.tcp_allowed_congestion_control",
                                   allowed.empty() ? "bbr" : allowed + " bbr"));
    return finding;
  }

  // The third number of tcp_rmem or tcp_wmem bounds autotuning; a fixed
  // LONGHAUL_SOCKET_BUFFER is bounded by net.core's.
  Finding Buffer(const Direction& direction) const {
    Finding finding{.check = direction.check};
    const bool is_fixed = facts_.options.socket_buffer.has_value();
    const std::string name = is_fixed ? direction.fixed : direction.tuned;
    const std::string text = Sysctl(name);
    const std::optional<uint64_t> most = LastNumber(text);
    if (!most) {
      finding.found = name + " cannot be read";
      return finding;
    }
    const uint64_t window = need_.Bdp() / Flows();
    const uint64_t wanted =
        std::bit_ceil(is_fixed ? window : kBufferPerWindow * window);
    const uint64_t has =
        is_fixed ? std::min(*most, *facts_.options.socket_buffer) : *most;
    finding.found =
        Text("a %s buffer holds up to %s; a full flow needs %s", direction.what,
             SizeText(has).c_str(), SizeText(wanted).c_str());
    if (has >= wanted) return finding;
    const uint64_t usable = is_fixed ? has : has / direction.per_window;
    const double share = need_.rate / static_cast<double>(Flows());
    if (usable >= window) {
      finding.verdict = Verdict::kAdvice;
      finding.change =
          "Raise it: it leaves the kernel no room for its own bookkeeping.";
    } else {
      finding.verdict = Verdict::kProblem;
      finding.change =
          Text("Raise it: a flow is limited to about %s as it is, of %s.",
               RateText(RateWith(usable)).c_str(), RateText(share).c_str());
    }
    AddBufferCommands(name, text, wanted, is_fixed, &finding);
    return finding;
  }

  void AddBufferCommands(const std::string& name, const std::string& text,
                         uint64_t wanted, bool is_fixed,
                         Finding* finding) const {
    const uint64_t needed = std::min(wanted, kMostBuffer);
    if (wanted > kMostBuffer) {
      const uint64_t times = (wanted + kMostBuffer - 1) / kMostBuffer;
      finding->commands.push_back(
          "export LONGHAUL_WAN_FLOWS=" +
          std::to_string(std::min(Flows() * times, kMostFlows)));
    }
    if (is_fixed && *facts_.options.socket_buffer < needed) {
      finding->commands.push_back("export LONGHAUL_SOCKET_BUFFER=" +
                                  SizeText(needed));
    }
    if (LastNumber(text).value_or(0) < needed) {
      finding->commands.push_back(Set(name, WithLast(text, needed)));
    }
  }

  // Bits per second, to three digits.
  double RateWith(uint64_t window) const {
    const double seconds =
        std::max(static_cast<double>(need_.round_trip) / kSecond, 1e-6);
    const double mbit = static_cast<double>(window) * 8 / seconds / 1e6;
    return mbit >= 1 ? static_cast<double>(static_cast<int64_t>(mbit)) * 1e6
                     : 1e6;
  }

  static std::optional<uint64_t> LastNumber(const std::string& text) {
    const size_t blank = text.find_last_of(" \t");
    const std::optional<int64_t> number =
        ParseInteger(blank == text.npos ? text : text.substr(blank + 1));
    if (!number || *number < 0) return {};
    return static_cast<uint64_t>(*number);
  }
  static std::string WithLast(std::string text, uint64_t last) {
    std::replace(text.begin(), text.end(), '\t', ' ');
    return text.substr(0, text.rfind(' ') + 1) + std::to_string(last);
  }

  // A switch that should have a value.
  Finding Switch(const std::string& check, const std::string& name,
                 int64_t wanted, Verdict otherwise,
                 const std::string& why) const {
    Finding finding{.check = check};
    const std::optional<int64_t> has = Number(name);
    finding.found =
        has ? name + "=" + std::to_string(*has) : name + " cannot be read";
    if (!has || *has == wanted) return finding;
    finding.verdict = otherwise;
    finding.change = why;
    finding.commands.push_back(Set(name, std::to_string(wanted)));
    return finding;
  }

  Finding Autotuning() const {
    if (facts_.options.socket_buffer) {
      return {.check = "receive autotuning",
              .found = "LONGHAUL_SOCKET_BUFFER is set; not used"};
    }
    return Switch("receive autotuning", "net.ipv4.tcp_moderate_rcvbuf", 1,
                  Verdict::kProblem,
                  "Switch it on: without it receive windows stay small.");
  }
  Finding WindowScaling() const {
    return Switch("window scaling", "net.ipv4.tcp_window_scaling", 1,
                  Verdict::kProblem,
                  "Switch it on: without it a flow has at most 64 KiB on its "
                  "way.");
  }
  Finding SelectiveAcks() const {
    return Switch("selective acknowledgements", "net.ipv4.tcp_sack", 1,
                  Verdict::kProblem,
                  "Switch them on: without them every lost packet costs a "
                  "round trip.");
  }
  Finding Timestamps() const {
    Finding finding{.check = "timestamps"};
    const std::optional<int64_t> has = Number("net.ipv4.tcp_timestamps");
    finding.found = has ? "net.ipv4.tcp_timestamps=" + std::to_string(*has)
                        : "net.ipv4.tcp_timestamps cannot be read";
    if (has != 0) return finding;  // 2 is without random offsets: good too
    finding.verdict = Verdict::kAdvice;
    finding.change =
        "Switch them on: they guard fast flows against old packets and let "
        "the kernel measure round trips through losses.";
    finding.commands.push_back(Set("net.ipv4.tcp_timestamps", "1"));
    return finding;
  }
  Finding IdleRestart() const {
    if (facts_.bbr_granted && !OwnCongestionControl()) {
      return {.check = "slow start after idle",
              .found = "BBR keeps its window by itself"};
    }
    return Switch("slow start after idle", "net.ipv4.tcp_slow_start_after_idle",
                  0, Verdict::kAdvice,
                  "Switch it off: every collective after a pause starts with a "
                  "small window otherwise.");
  }
  Finding MtuProbing() const {
    Finding finding{.check = "MTU probing"};
    const std::optional<int64_t> has = Number("net.ipv4.tcp_mtu_probing");
    finding.found = has ? "net.ipv4.tcp_mtu_probing=" + std::to_string(*has)
                        : "net.ipv4.tcp_mtu_probing cannot be read";
    if (has != 0) return finding;
    finding.verdict = Verdict::kAdvice;
    finding.change =
        "Switch it on: behind a tunnel that drops large packets without a "
        "word, flows connect and then stand still.";
    finding.commands.push_back(Set("net.ipv4.tcp_mtu_probing", "1"));
    return finding;
  }
  Finding Qdisc() const {
    const std::string has = Sysctl("net.core.default_qdisc");
    Finding finding{.check = "packet pacing"};
    finding.found = "net.core.default_qdisc=" + (has.empty() ? "?" : has);
    if (has == "fq" || KernelIsAtLeast(facts_.kernel, 4, 13)) {
      if (has != "fq") finding.found += "; TCP paces by itself";
      return finding;
    }
    finding.verdict = Verdict::kAdvice;
    finding.change =
        "Use fq: TCP of kernels before 4.13 does not pace without it. "
        "(Interfaces that are up keep theirs; replace EACH by their names.)";
    finding.commands = {Set("net.core.default_qdisc", "fq"),
                        "tc qdisc replace dev EACH root fq"};
    return finding;
  }
  // longhaul sets its own on flows between sites.
  Finding LowWater() const {
    constexpr int64_t kSmall = 128 << 10;
    Finding finding{.check = "unsent bytes"};
    const std::optional<int64_t> has = Number("net.ipv4.tcp_notsent_lowat");
    finding.found = has ? "net.ipv4.tcp_notsent_lowat=" + std::to_string(*has)
                        : "net.ipv4.tcp_notsent_lowat cannot be read";
    if (!has || *has >= kSmall) return finding;
    finding.verdict = Verdict::kAdvice;
    finding.change =
        "Raise it: flows inside a site, which keep the host's value, run dry "
        "between two wake-ups.";
    finding.commands.push_back(Set("net.ipv4.tcp_notsent_lowat", "4294967295"));
    return finding;
  }

  const HostFacts& facts_;
  const WanNeed& need_;
};

}  // namespace

std::vector<Finding> ExamineTcp(const HostFacts& facts, const WanNeed& need) {
  return Tcp(facts, need).Examine();
}

}  // namespace longhaul::doctor
