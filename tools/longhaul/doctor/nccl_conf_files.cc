#include <algorithm>
#include <fstream>
#include <iterator>
#include <string_view>

#include "doctor/gather.h"

namespace longhaul::doctor {
namespace {

std::string_view NameIn(std::string_view setting) {
  return setting.substr(0, setting.find('='));
}

// Null if it is not set.
const std::string* FindIn(const std::vector<std::string>& settings,
                          std::string_view name) {
  const auto found = std::find_if(
      settings.begin(), settings.end(),
      [&](const std::string& setting) { return NameIn(setting) == name; });
  return found == settings.end() ? nullptr : &*found;
}

// What is set already stays.
void Add(const std::string& file, std::vector<std::string>* settings,
         HostFacts* facts) {
  std::ifstream stream(file);
  const std::string text((std::istreambuf_iterator<char>(stream)), {});
  if (!stream.is_open() || stream.bad()) return;
  facts->nccl_confs.push_back(file);
  for (std::string& setting : NcclConfSettings(text)) {
    if (FindIn(*settings, NameIn(setting)) == nullptr) {
      settings->push_back(std::move(setting));
    }
  }
}

}  // namespace

std::vector<std::string> NcclConfSettings(const std::string& text) {
  std::vector<std::string> settings;
  size_t at = 0;
  while (at < text.size()) {
    const size_t end = std::min(text.find('\n', at), text.size());
    const std::string line = text.substr(at, end - at);
    at = end + 1;
    if (line.starts_with('#') || line.find('=') == line.npos) continue;
    settings.push_back(line);
  }
  return settings;
}

std::vector<std::string> WithNcclConf(const char* const* environment,
                                      const std::string& root,
                                      const std::string& home,
                                      HostFacts* facts) {
  std::vector<std::string> settings;
  for (const char* const* entry = environment; *entry != nullptr; ++entry) {
    settings.emplace_back(*entry);
  }
  constexpr std::string_view kNamed = "NCCL_CONF_FILE";
  const std::string* named = FindIn(settings, kNamed);
  const bool is_named = named != nullptr && named->size() > kNamed.size() + 1;
  Add(is_named ? named->substr(kNamed.size() + 1) : home + "/.nccl.conf",
      &settings, facts);
  Add(root + "/etc/nccl.conf", &settings, facts);
  return settings;
}

}  // namespace longhaul::doctor
