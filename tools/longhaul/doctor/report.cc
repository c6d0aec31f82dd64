#include "doctor/report.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/parse.h"
#include "base/text.h"
#include "command/version.h"

namespace longhaul::doctor {
namespace {

constexpr size_t kWidth = 80;

// `text` in lines of kWidth, each behind `indent`.
std::string Wrapped(const std::string& text, const std::string& indent) {
  std::string lines;
  std::string line = indent;
  for (const std::string_view word : Split(text, ' ')) {
    if (line.size() > indent.size() && line.size() + 1 + word.size() > kWidth) {
      lines += line + "\n";
      line = indent;
    }
    if (line.size() > indent.size()) line += ' ';
    line += word;
  }
  return lines + line + "\n";
}

bool ChangesTheSystem(const std::string& command) {
  return command.starts_with("sysctl ");
}

std::string Closing(const std::vector<Finding>& findings) {
  size_t counts[3] = {};
  bool system = false;
  for (const Finding& finding : findings) {
    ++counts[static_cast<size_t>(finding.verdict)];
    system = system || std::any_of(finding.commands.begin(),
                                   finding.commands.end(), ChangesTheSystem);
  }
  std::string text = Text("\n%zu ok, %zu advice, %zu problem%s\n", counts[0],
                          counts[1], counts[2], counts[2] == 1 ? "" : "s");
  if (system) {
    text += Wrapped(
        "sysctl commands need root and last until the next start of the host; "
        "to keep them, write the part behind -w to "
        "/etc/sysctl.d/90-longhaul.conf.",
        "");
  }
  return text;
}

}  // namespace

std::string ReportText(const std::string& host, const WanNeed& need,
                       const std::vector<Finding>& findings) {
  std::string text =
      Text("longhaul %s on %s\n", command::Version(), host.c_str());
  text +=
      Text("line: %s, %s there and back (%s)\n\n", RateText(need.rate).c_str(),
           TimeText(need.round_trip).c_str(), need.origin.c_str());
  for (const Finding& finding : findings) {
    text += Text("%-8s %s: %s\n", NameOf(finding.verdict),
                 finding.check.c_str(), finding.found.c_str());
    if (!finding.change.empty()) {
      text += Wrapped(finding.change, "         ");
    }
    for (const std::string& command : finding.commands) {
      text += "             " + command + "\n";
    }
  }
  return text + Closing(findings);
}

std::string ReportJson(const std::string& host, const WanNeed& need,
                       const std::vector<Finding>& findings) {
  nlohmann::ordered_json checks = nlohmann::ordered_json::array();
  for (const Finding& finding : findings) {
    checks.push_back({{"check", finding.check},
                      {"verdict", NameOf(finding.verdict)},
                      {"found", finding.found},
                      {"change", finding.change},
                      {"commands", finding.commands}});
  }
  const nlohmann::ordered_json report = {
      {"host", host},
      {"version", command::Version()},
      {"wan",
       {{"rate_bits_per_second", need.rate},
        {"round_trip_seconds", static_cast<double>(need.round_trip) / kSecond},
        {"bdp_bytes", need.Bdp()},
        {"origin", need.origin}}},
      {"verdict", NameOf(Worst(findings))},
      {"checks", checks}};
  return report.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) +
         "\n";
}

}  // namespace longhaul::doctor
