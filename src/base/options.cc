#include <longhaul/options.h>

#include "base/address.h"
#include "base/option_table.h"
#include "base/parse.h"
#include "base/text.h"

// unistd.h declares it only under _GNU_SOURCE.
extern char** environ;  // NOLINT(readability-redundant-declaration)

namespace longhaul {
namespace {

constexpr std::string_view kPrefix = "LONGHAUL_";

class Environment {
 public:
  explicit Environment(const char* const* entries) : entries_(entries) {}

  // Empty if unset; a variable set to nothing counts as unset.
  std::string_view Find(std::string_view name) const {
    for (const char* const* entry = entries_; *entry != nullptr; ++entry) {
      const std::string_view text = *entry;
      if (text.size() > name.size() && text.starts_with(name) &&
          text[name.size()] == '=') {
        return text.substr(name.size() + 1);
      }
    }
    return {};
  }

  template <typename Visit>
  void ForEachName(Visit visit) const {
    for (const char* const* entry = entries_; *entry != nullptr; ++entry) {
      const std::string_view text = *entry;
      visit(text.substr(0, text.find('=')));
    }
  }

 private:
  const char* const* entries_;
};

// What another program's variables say of an option.
struct FallBack {
  std::string source;
  std::string value;  // empty: nothing
};

FallBack TorchrunRendezvous(const Environment& environment) {
  const std::string_view host = environment.Find("MASTER_ADDR");
  const std::string_view port = environment.Find("MASTER_PORT");
  if (host.empty() || port.empty()) return {};
  const std::optional<int64_t> number = ParseInteger(port);
  const std::string source = "MASTER_ADDR:MASTER_PORT+1";
  const bool bare_ipv6 =
      host.find(':') != std::string_view::npos && !host.starts_with('[');
  std::string value(host);
  if (bare_ipv6) value = "[" + value + "]";
  // Not a number: kept as it is, for the refusal to show.
  value += ':';
  value += number ? std::to_string(*number + 1) : std::string(port);
  return {source, value};
}

// A word of ours for each of theirs; others of theirs mean nothing to us.
struct Translation {
  std::string_view theirs;
  const char* ours;
};
constexpr Translation kFamilies[] = {{"AF_INET", "ipv4"}, {"AF_INET6", "ipv6"}};
constexpr Translation kLevels[] = {{"VERSION", "warn"},
                                   {"WARN", "warn"},
                                   {"INFO", "info"},
                                   {"ABORT", "warn"},
                                   {"TRACE", "trace"}};

std::string Translate(std::span<const Translation> words,
                      std::string_view value) {
  for (const Translation& word : words) {
    if (EqualIgnoringCase(word.theirs, value)) return word.ours;
  }
  return {};
}

FallBack FindFallBack(const OptionInfo& option,
                      const Environment& environment) {
  const std::string_view key = option.key;
  if (key == "rendezvous") return TorchrunRendezvous(environment);
  const std::string source = option.fall_back;
  if (source.empty()) return {};
  const std::string_view value = environment.Find(source);
  if (key == "address_family") return {source, Translate(kFamilies, value)};
  if (key == "log") return {source, Translate(kLevels, value)};
  return {source, std::string(value)};
}

// The nearest option's variable for a name, prefix or not; empty if none.
std::string NearestVariable(std::string_view name) {
  if (name.size() > kPrefix.size() &&
      EqualIgnoringCase(name.substr(0, kPrefix.size()), kPrefix)) {
    name.remove_prefix(kPrefix.size());
  }
  std::vector<std::string_view> keys;
  for (const OptionInfo& option : Options::Table()) keys.push_back(option.key);
  const int row = FindOption(NearestName(name, keys));
  return row < 0 ? std::string()
                 : Options::Table()[static_cast<size_t>(row)].environment;
}

Status UnknownOption(std::string_view name) {
  const std::string nearest = NearestVariable(name);
  std::string text = std::string(name) + ": no such option";
  text += nearest.empty() ? "; docs/tuning.md lists all"
                          : "; did you mean " + nearest + "?";
  return {StatusCode::kInvalidArgument, text};
}

void WarnOfUnknown(const Environment& environment, Options* options) {
  environment.ForEachName([&](std::string_view name) {
    if (!name.starts_with(kPrefix) || FindOption(name) >= 0) return;
    const std::string nearest = NearestVariable(name);
    std::string text =
        std::string(name) + " is set but is no option of longhaul";
    if (!nearest.empty()) text += "; did you mean " + nearest + "?";
    options->warnings.push_back(text +
                                " (LONGHAUL_WARN_UNUSED_ENV=n silences this)");
  });
}

}  // namespace

Result<Options> Options::FromEnvironment() { return FromEnvironment(environ); }

Result<Options> Options::FromEnvironment(const char* const* entries) {
  const Environment environment(entries);
  Options options;
  const std::span<const OptionInfo> table = Table();
  for (size_t row = 0; row < table.size(); ++row) {
    std::string source = table[row].environment;
    std::string value(environment.Find(source));
    if (value.empty() ||
        (table[row].takes_auto && EqualIgnoringCase(Trim(value), "auto"))) {
      FallBack fall_back = FindFallBack(table[row], environment);
      source = std::move(fall_back.source);
      value = std::move(fall_back.value);
    }
    if (value.empty()) continue;
    Status status = SetOption(static_cast<int>(row), source, value, &options);
    if (!status.ok()) return status;
  }
  if (options.warn_unused_env) WarnOfUnknown(environment, &options);
  return options;
}

Status Options::Set(std::string_view name, std::string_view value) {
  const int row = FindOption(name);
  if (row < 0) return UnknownOption(name);
  return SetOption(row, name, value, this);
}

Result<std::string> Options::Get(std::string_view name) const {
  const int row = FindOption(name);
  if (row < 0) return UnknownOption(name);
  return OptionText(row, *this);
}

}  // namespace longhaul
