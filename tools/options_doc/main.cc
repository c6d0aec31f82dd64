// Writes docs/tuning.md: the hand-written docs/tuning.in.md with the table of
// options in place of the line "@OPTIONS@".
//
//   options_doc TEMPLATE OUTPUT           writes OUTPUT
//   options_doc --check TEMPLATE OUTPUT   fails if OUTPUT would change
#include <longhaul/options.h>

#include <cstdio>
#include <optional>
#include <string>
#include <string_view>

namespace {

using longhaul::OptionInfo;
using longhaul::Options;

std::optional<std::string> ReadFile(const char* path) {
  std::FILE* file = std::fopen(path, "rb");
  if (file == nullptr) return {};
  std::string text;
  char block[4096];
  size_t got = 0;
  while ((got = std::fread(block, 1, sizeof(block), file)) > 0) {
    text.append(block, got);
  }
  const bool good = std::ferror(file) == 0;
  std::fclose(file);
  return good ? std::optional(text) : std::nullopt;
}

bool WriteFile(const char* path, const std::string& text) {
  std::FILE* file = std::fopen(path, "wb");
  if (file == nullptr) return false;
  const bool good =
      std::fwrite(text.data(), 1, text.size(), file) == text.size();
  return std::fclose(file) == 0 && good;
}

void ReplaceAll(std::string* text, std::string_view from, std::string_view to) {
  for (size_t at = text->find(from); at != text->npos;
       at = text->find(from, at + to.size())) {
    text->replace(at, from.size(), to);
  }
}

std::string Code(std::string_view text) {
  return text.empty() ? std::string() : "`" + std::string(text) + "`";
}

// "size, `4K` to `64M`", "`auto`, `ring` or `hierarchical`".
std::string Values(const OptionInfo& option) {
  std::string range = option.range;
  if (range.find('|') != range.npos) {
    ReplaceAll(&range, "|", "` `");
    return Code(range);
  }
  std::string text = NameOf(option.type);
  const size_t dots = range.find("..");
  if (dots == range.npos) return text;
  const std::string low = range.substr(0, dots);
  const std::string high = range.substr(dots + 2);
  text += high.empty() ? ", from " + Code(low)
                       : ", " + Code(low) + " to " + Code(high);
  return text;
}

std::string Row(const OptionInfo& option) {
  std::string help = option.help;
  if (option.fall_back[0] != '\0') {
    std::string names = Code(option.fall_back);
    ReplaceAll(&names, ", ", "`, `");
    help += " Falls back to " + names + ".";
  }
  std::string row = "| " + Code(option.environment);
  row += " | " + Values(option);
  row += " | ";
  row += option.default_value[0] == '\0' ? "none" : Code(option.default_value);
  row += " | " + help + " |\n";
  return row;
}

std::string AllOptions() {
  std::string text;
  std::string_view group;
  for (const OptionInfo& option : Options::Table()) {
    if (option.group != group) {
      group = option.group;
      if (!text.empty()) text += "\n";
      text += "### " + std::string(group) + "\n\n";
      text += "| Variable | Values | Default | What it does |\n";
      text += "|---|---|---|---|\n";
    }
    text += Row(option);
  }
  return text;
}

}  // namespace

int main(int argc, char** argv) {
  const bool check = argc == 4 && std::string_view(argv[1]) == "--check";
  if (argc != 3 && !check) {
    std::fprintf(stderr, "usage: options_doc [--check] TEMPLATE OUTPUT\n");
    return 2;
  }
  const char* source = argv[argc - 2];
  const char* output = argv[argc - 1];
  std::optional<std::string> text = ReadFile(source);
  constexpr std::string_view kMark = "@OPTIONS@\n";
  if (!text || text->find(kMark) == text->npos) {
    std::fprintf(stderr, "options_doc: %s: no line @OPTIONS@ to replace\n",
                 source);
    return 2;
  }
  ReplaceAll(&*text, kMark, AllOptions());
  if (check) {
    if (ReadFile(output) == *text) return 0;
    std::fprintf(stderr,
                 "%s is not what the options and %s say; update it with\n"
                 "  cmake --build BUILD_FOLDER --target tuning_doc\n",
                 output, source);
    return 1;
  }
  if (WriteFile(output, *text)) return 0;
  std::perror(output);
  return 1;
}
