#include "command/info.h"

#include <string_view>

#include "base/parse.h"
#include "base/text.h"
#include "command/version.h"

namespace longhaul::command {
namespace {

constexpr size_t kWidth = 80;

std::string_view Find(const char* const* environment, std::string_view name) {
  for (const char* const* entry = environment; *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    if (text.size() > name.size() && text.starts_with(name) &&
        text[name.size()] == '=') {
      return text.substr(name.size() + 1);
    }
  }
  return {};
}

// As Options::FromEnvironment takes them: the variable, unless it is empty or
// `auto`; then those of others; then the default.
std::string SourceOf(const OptionInfo& option, const std::string& value,
                     const char* const* environment) {
  const std::string_view set = Find(environment, option.environment);
  const bool is_auto =
      option.takes_auto && EqualIgnoringCase(Trim(set), "auto");
  if (!set.empty() && !is_auto) return "environment";
  if (value != option.default_value) return option.fall_back;
  return set.empty() ? "default" : "environment";
}

std::string Comment(const std::string& text) {
  std::string lines;
  std::string line = "#";
  for (const std::string_view word : Split(text, ' ')) {
    if (line.size() + 1 + word.size() > kWidth) {
      lines += line + "\n";
      line = "#";
    }
    line += ' ';
    line += word;
  }
  return lines + line + "\n";
}

std::string Help(const OptionInfo& option) {
  std::string values = NameOf(option.type);
  if (option.range[0] != '\0') values += Text(", %s", option.range);
  if (option.takes_auto && option.type != OptionType::kChoice) {
    values += ", or auto";
  }
  std::string text = "\n" + Comment(option.help);
  text += Comment(
      Text("Values: %s. Default: %s.", values.c_str(),
           option.default_value[0] == '\0' ? "none" : option.default_value));
  if (option.fall_back[0] != '\0') {
    text += Comment(Text("Falls back to: %s.", option.fall_back));
  }
  return text;
}

}  // namespace

std::string InfoText(const Options& options, const char* const* environment,
                     bool full) {
  std::string text = Text("# longhaul %s\n", Version());
  std::string_view group;
  for (const OptionInfo& option : Options::Table()) {
    if (option.group != group) {
      group = option.group;
      text += "\n# " + std::string(group) + "\n";
    }
    if (full) text += Help(option);
    const std::string value = options.Get(option.key).value();
    const std::string line = Text("%s=%s", option.environment, value.c_str());
    text += Text("%-40s  # %s\n", line.c_str(),
                 SourceOf(option, value, environment).c_str());
  }
  for (const std::string& warning : options.warnings) {
    text += "\n" + Comment("Warning: " + warning);
  }
  return text;
}

}  // namespace longhaul::command
