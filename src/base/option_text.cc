// Between an option's text and its field.
#include <algorithm>
#include <array>
#include <limits>

#include "base/address.h"
#include "base/log.h"
#include "base/option_table.h"
#include "base/parse.h"
#include "base/text.h"

namespace longhaul {
namespace {

// The bounds of a range such as "4K..64M" or "0..", as texts.
struct Bounds {
  std::string_view low;
  std::string_view high;
};

Bounds BoundsOf(const OptionInfo& option) {
  const std::string_view range = option.range;
  const size_t dots = range.find("..");
  if (dots == std::string_view::npos) return {};
  return {range.substr(0, dots), range.substr(dots + 2)};
}

enum class Reading : uint8_t { kGood, kMistyped, kOutOfRange };

template <typename T, typename Parse>
Reading ReadInRange(const OptionInfo& option, std::string_view text,
                    Parse parse, T* out) {
  const auto value = parse(text);
  if (!value) return Reading::kMistyped;
  const Bounds bounds = BoundsOf(option);
  if (!bounds.low.empty() && *value < *parse(bounds.low)) {
    return Reading::kOutOfRange;
  }
  if (!bounds.high.empty() && *value > *parse(bounds.high)) {
    return Reading::kOutOfRange;
  }
  *out = static_cast<T>(*value);
  return Reading::kGood;
}

bool IsWord(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c >= '0' && c <= '9') || c == '_' || c == '-';
  });
}

const char* Name(AddressFamily family) {
  switch (family) {
    case AddressFamily::kIpv4:
      return "ipv4";
    case AddressFamily::kIpv6:
      return "ipv6";
    case AddressFamily::kAuto:
      break;
  }
  return "auto";
}

const char* Name(Algorithm algorithm) {
  switch (algorithm) {
    case Algorithm::kRing:
      return "ring";
    case Algorithm::kHierarchical:
      return "hierarchical";
    case Algorithm::kSharded:
      return "sharded";
    case Algorithm::kAuto:
      break;
  }
  return "auto";
}

const char* Name(LogLevel level) { return NameOf(level); }

template <typename T>
constexpr bool kIsChoice = std::is_enum_v<T>;

template <typename T>
constexpr std::array<T, 0> kChoices;
template <>
constexpr std::array kChoices<AddressFamily> = {
    AddressFamily::kAuto, AddressFamily::kIpv4, AddressFamily::kIpv6};
template <>
constexpr std::array kChoices<Algorithm> = {Algorithm::kAuto, Algorithm::kRing,
                                            Algorithm::kHierarchical,
                                            Algorithm::kSharded};
template <>
constexpr std::array kChoices<LogLevel> = {LogLevel::kError, LogLevel::kWarn,
                                           LogLevel::kInfo, LogLevel::kDebug,
                                           LogLevel::kTrace};

// One Read per type of field. `auto` has been dealt with.

Reading Read(const OptionInfo& option, std::string_view text,
             std::string* out) {
  if (option.type == OptionType::kWord && !IsWord(text)) {
    return Reading::kMistyped;
  }
  if (option.type == OptionType::kAddress && !SplitHostPort(text).ok()) {
    return Reading::kMistyped;
  }
  *out = text;
  return Reading::kGood;
}

Reading Read(const OptionInfo&, std::string_view text, bool* out) {
  const std::optional<bool> value = ParseBool(text);
  if (!value) return Reading::kMistyped;
  *out = *value;
  return Reading::kGood;
}

Reading Read(const OptionInfo& option, std::string_view text, uint64_t* out) {
  return ReadInRange(option, text, ParseSize, out);
}

Reading Read(const OptionInfo& option, std::string_view text, int32_t* out) {
  int64_t value = 0;
  const Reading reading = ReadInRange(option, text, ParseInteger, &value);
  if (reading != Reading::kGood) return reading;
  if (!std::in_range<int32_t>(value)) return Reading::kOutOfRange;
  *out = static_cast<int32_t>(value);
  return Reading::kGood;
}

Reading Read(const OptionInfo& option, std::string_view text,
             std::chrono::nanoseconds* out) {
  int64_t value = 0;
  const Reading reading = ReadInRange(option, text, ParseTime, &value);
  if (reading == Reading::kGood) *out = std::chrono::nanoseconds(value);
  return reading;
}

Reading Read(const OptionInfo& option, std::string_view text, PortRange* out) {
  const size_t dash = text.find('-');
  int64_t low = 0;
  const Reading reading =
      ReadInRange(option, text.substr(0, dash), ParseInteger, &low);
  if (reading != Reading::kGood) return reading;
  int64_t high = low;  // one port is a range, too
  if (dash != std::string_view::npos) {
    const Reading second =
        ReadInRange(option, text.substr(dash + 1), ParseInteger, &high);
    if (second != Reading::kGood) return second;
  }
  if (low > high) return Reading::kMistyped;
  *out = {static_cast<uint16_t>(low), static_cast<uint16_t>(high)};
  return Reading::kGood;
}

Reading Read(const OptionInfo&, std::string_view text, InterfaceList* out) {
  InterfaceList list;
  if (text.starts_with('^')) {
    list.exclude = true;
    text = Trim(text.substr(1));
  }
  if (text.starts_with('=')) {
    list.exact = true;
    text = Trim(text.substr(1));
  }
  for (const std::string_view name : Split(text, ',')) {
    // ^ and = are for the whole list, so they are no part of a name.
    if (name.empty() || name.find_first_of("^=/ \t") != name.npos) {
      return Reading::kMistyped;
    }
    list.names.emplace_back(name);
  }
  *out = std::move(list);
  return Reading::kGood;
}

// An interface's name, which may hold almost anything, or an address.
bool IsPathEnd(std::string_view text) {
  return !text.empty() && text.find_first_of("<>=/ \t") == text.npos;
}

Reading Read(const OptionInfo&, std::string_view text,
             std::vector<PathRule>* out) {
  std::vector<PathRule> rules;
  for (const std::string_view entry : Split(text, ',')) {
    const std::vector<std::string_view> ends = Split(entry, '>');
    if (ends.size() > 2 || !IsPathEnd(ends.front()) ||
        !IsPathEnd(ends.back())) {
      return Reading::kMistyped;
    }
    rules.push_back({std::string(ends.front()), std::string(ends.back())});
  }
  *out = std::move(rules);
  return Reading::kGood;
}

Reading ReadRate(std::string_view text, double* out) {
  const std::optional<double> rate = ParseRate(text);
  if (!rate || !(*rate > 0)) return Reading::kMistyped;
  *out = *rate;
  return Reading::kGood;
}

Reading Read(const OptionInfo&, std::string_view text, RateLimits* out) {
  RateLimits limits;
  if (!EqualIgnoringCase(text, "none") &&
      text.find('=') == std::string_view::npos) {
    const Reading reading = ReadRate(text, &limits.every);
    if (reading != Reading::kGood) return reading;
  } else if (!EqualIgnoringCase(text, "none")) {
    for (const std::string_view entry : Split(text, ',')) {
      const size_t equals = std::min(entry.find('='), entry.size());
      RateLimits::Of of{std::string(Trim(entry.substr(0, equals))), 0};
      if (!IsPathEnd(of.label) || equals == entry.size()) {
        return Reading::kMistyped;
      }
      const Reading reading =
          ReadRate(Trim(entry.substr(equals + 1)), &of.rate);
      if (reading != Reading::kGood) return reading;
      limits.some.push_back(std::move(of));
    }
  }
  *out = std::move(limits);
  return Reading::kGood;
}

// RFC 2474, 2597, 3246 and 8622.
std::optional<int> DscpOf(std::string_view name) {
  if (EqualIgnoringCase(name, "ef")) return 46;
  if (EqualIgnoringCase(name, "le")) return 1;
  const auto digit = [name](size_t at, int most) {
    const int value = at < name.size() ? name[at] - '0' : -1;
    return value <= most ? value : -1;
  };
  if (name.size() == 3 && EqualIgnoringCase(name.substr(0, 2), "cs")) {
    const int precedence = digit(2, 7);
    if (precedence >= 0) return 8 * precedence;
  }
  if (name.size() == 4 && EqualIgnoringCase(name.substr(0, 2), "af")) {
    const int type = digit(2, 4);
    const int drop = digit(3, 3);
    if (type >= 1 && drop >= 1) return 8 * type + 2 * drop;
  }
  return {};
}

Reading Read(const OptionInfo& option, std::string_view text, uint8_t* out) {
  if (const std::optional<int> named = DscpOf(text)) {
    *out = static_cast<uint8_t>(*named);
    return Reading::kGood;
  }
  return ReadInRange(option, text, ParseInteger, out);
}

Reading Read(const OptionInfo&, std::string_view text, CodecSpec* out) {
  const Result<CodecSpec> spec = CodecSpec::Parse(text);
  if (!spec.ok()) return Reading::kMistyped;
  *out = *spec;
  return Reading::kGood;
}

template <typename T>
requires kIsChoice<T> Reading Read(const OptionInfo&, std::string_view text,
                                   T* out) {
  for (const T choice : kChoices<T>) {
    if (!EqualIgnoringCase(text, Name(choice))) continue;
    *out = choice;
    return Reading::kGood;
  }
  return Reading::kMistyped;
}

template <typename T>
Reading Read(const OptionInfo& option, std::string_view text,
             std::optional<T>* out) {
  T value{};
  const Reading reading = Read(option, text, &value);
  if (reading == Reading::kGood) *out = value;
  return reading;
}

// And back. What is empty or nullopt is `auto`, written by the caller.

std::string Write(const std::string& value) { return value; }
std::string Write(bool value) { return value ? "y" : "n"; }
std::string Write(uint64_t value) { return SizeText(value); }
std::string Write(int32_t value) { return std::to_string(value); }
std::string Write(std::chrono::nanoseconds value) {
  return TimeText(value.count());
}
std::string Write(const PortRange& value) {
  return Text("%d-%d", int{value.low}, int{value.high});
}
std::string Write(const InterfaceList& value) {
  std::string text;
  if (value.names.empty()) return text;
  if (value.exclude) text += '^';
  if (value.exact) text += '=';
  for (size_t i = 0; i < value.names.size(); ++i) {
    if (i > 0) text += ',';
    text += value.names[i];
  }
  return text;
}
std::string Write(const std::vector<PathRule>& value) {
  std::string text;
  for (const PathRule& rule : value) {
    if (!text.empty()) text += ',';
    text += rule.here;
    if (rule.there != rule.here) text += '>' + rule.there;
  }
  return text;
}
std::string Write(const RateLimits& value) {
  if (value.every > 0) return RateText(value.every);
  std::string text;
  for (const RateLimits::Of& of : value.some) {
    if (!text.empty()) text += ',';
    text += of.label + '=' + RateText(of.rate);
  }
  return text.empty() ? "none" : text;
}
std::string Write(uint8_t value) { return std::to_string(value); }
std::string Write(const CodecSpec& value) { return value.ToString(); }
template <typename T>
requires kIsChoice<T> std::string Write(T value) { return Name(value); }
template <typename T>
std::string Write(const std::optional<T>& value) {
  return value ? Write(*value) : std::string();
}

std::string ChoiceList(std::string_view range) {
  std::string list;
  for (const std::string_view word : Split(range, '|')) {
    if (!list.empty()) list += ", ";
    list += word;
  }
  return list;
}

const char* FormOf(OptionType type) {
  switch (type) {
    case OptionType::kText:
      return "any text";
    case OptionType::kPath:
      return "the path of a file";
    case OptionType::kAddress:
      return "host:port or [ipv6]:port, e.g. node0:29501";
    case OptionType::kWord:
      return "a name of letters, digits, _ and -, e.g. bbr";
    case OptionType::kChoice:
      return "one of ";
    case OptionType::kCount:
      return "an integer, e.g. 8";
    case OptionType::kSize:
      return "bytes or a number with K, M, G (powers of 1024), e.g. 4M";
    case OptionType::kTime:
      return "a number with ns, us, ms, s, m or h, e.g. 500ms";
    case OptionType::kBool:
      return "y or n";
    case OptionType::kList:
      return "names separated by commas, with ^ in front for all but these "
             "and = for exact names, e.g. eth0,ib or ^docker";
    case OptionType::kPorts:
      return "low-high, e.g. 20000-20100";
    case OptionType::kPaths:
      return "interfaces or addresses separated by commas, e.g. p0,p1 or "
             "p0>eth1";
    case OptionType::kRates:
      return "none, a rate with kbit, mbit or gbit (powers of 1000), e.g. "
             "500mbit, or rates of interfaces, e.g. p0=100mbit,p1=1gbit";
    case OptionType::kDscp:
      return "a number or a name, e.g. 46, ef, af41, cs1 or le";
    case OptionType::kCodec:
      return "none, lossless, bf16, f16, int8, int4, e4m3 or e5m2, the last "
             "four with block=32 to 256 and rounding=nearest or stochastic, "
             "int8 and int4 with rotate as well, e.g. int8:block=128; or auto "
             "and an error, e.g. auto:1%";
  }
  return "";
}

}  // namespace

const char* NameOf(OptionType type) noexcept {
  switch (type) {
    case OptionType::kText:
      return "text";
    case OptionType::kPath:
      return "path";
    case OptionType::kAddress:
      return "address";
    case OptionType::kWord:
      return "word";
    case OptionType::kChoice:
      return "choice";
    case OptionType::kCount:
      return "integer";
    case OptionType::kSize:
      return "size";
    case OptionType::kTime:
      return "time";
    case OptionType::kBool:
      return "y/n";
    case OptionType::kList:
      return "list";
    case OptionType::kPorts:
      return "ports";
    case OptionType::kPaths:
      return "paths";
    case OptionType::kRates:
      return "rates";
    case OptionType::kDscp:
      return "DSCP";
    case OptionType::kCodec:
      return "codec";
  }
  return "?";
}

namespace {

// What a value of this type is, with its article.
std::string Kind(OptionType type) {
  switch (type) {
    case OptionType::kAddress:
    case OptionType::kCount:
      return Text("an %s", NameOf(type));
    case OptionType::kBool:
      return "a yes or no";
    case OptionType::kPorts:
      return "a range of ports";
    case OptionType::kPaths:
      return "a list of paths";
    case OptionType::kRates:
      return "a rate or rates of interfaces";
    default:
      return Text("a %s", NameOf(type));
  }
}

}  // namespace

std::string AcceptedForm(const OptionInfo& option) {
  std::string form = FormOf(option.type);
  if (option.type == OptionType::kChoice) {
    return form + ChoiceList(option.range);  // `auto` is among them
  }
  const Bounds bounds = BoundsOf(option);
  if (!bounds.high.empty()) {
    form += Text(", between %s and %s", std::string(bounds.low).c_str(),
                 std::string(bounds.high).c_str());
  } else if (!bounds.low.empty()) {
    form += ", at least " + std::string(bounds.low);
  }
  if (option.takes_auto) form += ", or auto";
  return form;
}

int FindOption(std::string_view name) noexcept {
  const std::span<const OptionInfo> table = Options::Table();
  for (size_t row = 0; row < table.size(); ++row) {
    if (EqualIgnoringCase(name, table[row].environment) ||
        EqualIgnoringCase(name, table[row].key)) {
      return static_cast<int>(row);
    }
  }
  return -1;
}

Status SetOption(int row, std::string_view source, std::string_view value,
                 Options* options) {
  const OptionInfo& option = Options::Table()[static_cast<size_t>(row)];
  const std::string_view text = Trim(value);
  const Reading reading = std::visit(
      [&](auto field) {
        auto read = std::remove_cvref_t<decltype(options->*field)>{};
        const bool is_auto =
            option.takes_auto && EqualIgnoringCase(text, "auto");
        const bool is_unset = option.type == OptionType::kPath && text.empty();
        if (!is_auto && !is_unset) {
          const Reading result = Read(option, text, &read);
          if (result != Reading::kGood) return result;
        }
        options->*field = std::move(read);
        return Reading::kGood;
      },
      OptionFields()[static_cast<size_t>(row)]);
  if (reading == Reading::kGood) return {};
  const std::string what = reading == Reading::kOutOfRange
                               ? "out of range"
                               : "not " + Kind(option.type);
  return {StatusCode::kInvalidArgument,
          Text("%s=%s: %s; write %s", std::string(source).c_str(),
               std::string(value).c_str(), what.c_str(),
               AcceptedForm(option).c_str())};
}

std::string OptionText(int row, const Options& options) {
  const OptionInfo& option = Options::Table()[static_cast<size_t>(row)];
  std::string text =
      std::visit([&](auto field) { return Write(options.*field); },
                 OptionFields()[static_cast<size_t>(row)]);
  return text.empty() && option.takes_auto ? "auto" : text;
}

}  // namespace longhaul
