#include "base/parse.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <limits>

#include "base/text.h"

namespace longhaul {
namespace {

char Lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

std::string LowerText(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(), Lower);
  return lower;
}

// "1.5gb" in "1.5" and "gb". Neither sign nor exponent: those quantities have
// neither.
struct Quantity {
  std::string_view number;
  std::string unit;
};

Quantity SplitQuantity(std::string_view text) {
  size_t end = text.find_first_not_of("0123456789.");
  if (end == std::string_view::npos) end = text.size();
  return {text.substr(0, end), LowerText(Trim(text.substr(end)))};
}

// number * scale as an integer: exactly where the number is one, else to the
// nearest.
std::optional<uint64_t> Scale(std::string_view number, uint64_t scale) {
  if (number.find('.') == std::string_view::npos) {
    uint64_t value = 0;
    const char* end = number.data() + number.size();
    const auto [stop, error] = std::from_chars(number.data(), end, value);
    if (error != std::errc() || stop != end || number.empty()) return {};
    if (value > std::numeric_limits<uint64_t>::max() / scale) return {};
    return value * scale;
  }
  const std::optional<double> value = ParseNumber(number);
  if (!value) return {};
  const double scaled = std::round(*value * static_cast<double>(scale));
  if (scaled >= 0x1p63) return {};
  return static_cast<uint64_t>(scaled);
}

struct Unit {
  std::string_view name;
  uint64_t scale;
};

const Unit* FindUnit(std::span<const Unit> units, std::string_view name) {
  for (const Unit& unit : units) {
    if (unit.name == name) return &unit;
  }
  return nullptr;
}

constexpr std::array<Unit, 4> kSizeUnits = {{
    {"t", uint64_t{1} << 40},
    {"g", uint64_t{1} << 30},
    {"m", uint64_t{1} << 20},
    {"k", uint64_t{1} << 10},
}};
constexpr std::array<Unit, 6> kTimeUnits = {{
    {"s", 1'000'000'000},
    {"ms", 1'000'000},
    {"us", 1'000},
    {"ns", 1},
    {"m", 60'000'000'000},
    {"h", 3'600'000'000'000},
}};
constexpr std::array<Unit, 4> kRateUnits = {{
    {"gbit", 1'000'000'000},
    {"mbit", 1'000'000},
    {"kbit", 1'000},
    {"bit", 1},
}};

}  // namespace

std::optional<uint64_t> ParseSize(std::string_view text) {
  text = Trim(text);
  if (EqualIgnoringCase(text, "inf")) return kUnlimited;
  auto [number, unit] = SplitQuantity(text);
  if (unit.empty() || unit == "b") return Scale(number, 1);
  // "kib", "kb" and "k" are one.
  if (unit.size() == 3 && unit.ends_with("ib")) unit.resize(1);
  if (unit.size() == 2 && unit.ends_with("b")) unit.resize(1);
  const Unit* known = FindUnit(kSizeUnits, unit);
  return known ? Scale(number, known->scale) : std::nullopt;
}

std::string SizeText(uint64_t bytes) {
  if (bytes == kUnlimited) return "inf";
  for (const Unit& unit : kSizeUnits) {
    if (bytes != 0 && bytes % unit.scale == 0) {
      return std::to_string(bytes / unit.scale) +
             static_cast<char>(unit.name[0] - 'a' + 'A');
    }
  }
  return std::to_string(bytes);
}

std::optional<Duration> ParseTime(std::string_view text) {
  const auto [number, unit] = SplitQuantity(Trim(text));
  if (unit.empty()) {
    return number == "0" ? std::optional<Duration>(0) : std::nullopt;
  }
  const Unit* known = FindUnit(kTimeUnits, unit);
  if (!known) return {};
  const std::optional<uint64_t> time = Scale(number, known->scale);
  if (!time || *time > static_cast<uint64_t>(kNever)) return {};
  return static_cast<Duration>(*time);
}

std::string TimeText(Duration time) {
  if (time == 0) return "0";
  for (const Unit& unit : kTimeUnits) {
    const auto scale = static_cast<Duration>(unit.scale);
    if (time % scale == 0) {
      return std::to_string(time / scale) + std::string(unit.name);
    }
  }
  return std::to_string(time) + "ns";
}

std::optional<double> ParseRate(std::string_view text) {
  auto [number, unit] = SplitQuantity(Trim(text));
  for (const std::string_view per : {"/s", "ps"}) {
    if (unit.ends_with(per)) {
      unit.resize(unit.size() - per.size());
      break;
    }
  }
  // "mbps" and "mb/s" mean bits to network people and bytes to others.
  const Unit* known = FindUnit(kRateUnits, unit);
  const std::optional<double> value = ParseNumber(number);
  if (!known || !value) return {};
  return *value * static_cast<double>(known->scale);
}

std::string RateText(double bits_per_second) {
  for (const Unit& unit : kRateUnits) {
    const auto scale = static_cast<double>(unit.scale);
    if (bits_per_second >= scale || unit.scale == 1) {
      return Text("%.6g%s", bits_per_second / scale,
                  std::string(unit.name).c_str());
    }
  }
  return {};
}

std::optional<int64_t> ParseInteger(std::string_view text) {
  text = Trim(text);
  if (text.starts_with('+')) text.remove_prefix(1);
  int64_t value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (text.empty() || error != std::errc() || stop != end) return {};
  return value;
}

std::optional<double> ParseNumber(std::string_view text) {
  text = Trim(text);
  double value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (text.empty() || error != std::errc() || stop != end) return {};
  return std::isfinite(value) ? std::optional(value) : std::nullopt;
}

std::optional<bool> ParseBool(std::string_view text) {
  text = Trim(text);
  for (const char* yes : {"y", "yes", "on", "true", "1"}) {
    if (EqualIgnoringCase(text, yes)) return true;
  }
  for (const char* no : {"n", "no", "off", "false", "0"}) {
    if (EqualIgnoringCase(text, no)) return false;
  }
  return {};
}

std::vector<std::string_view> Split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (true) {
    const size_t end = text.find(separator);
    parts.push_back(Trim(text.substr(0, end)));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

std::string_view Trim(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t\r\n");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t\r\n") + 1 - begin);
}

bool EqualIgnoringCase(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](char x, char y) { return Lower(x) == Lower(y); });
}

bool MatchesGlob(std::string_view pattern, std::string_view text) {
  // On a mismatch the last * takes one character more; earlier ones need not
  // be tried again, so the cost is bounded by the product of the lengths.
  size_t p = 0;
  size_t t = 0;
  size_t star = std::string_view::npos;
  size_t star_text = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      star_text = t;
    } else if (p < pattern.size() &&
               (pattern[p] == '?' || pattern[p] == text[t])) {
      ++p;
      ++t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++star_text;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

namespace {

// Insertions, deletions, substitutions and swaps of neighbours.
size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<size_t> two_back(b.size() + 1);
  std::vector<size_t> back(b.size() + 1);
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    std::swap(two_back, back);
    std::swap(back, row);
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t change = a[i - 1] == b[j - 1] ? 0 : 1;
      row[j] = std::min({back[j] + 1, row[j - 1] + 1, back[j - 1] + change});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        row[j] = std::min(row[j], two_back[j - 2] + 1);
      }
    }
  }
  return row[b.size()];
}

}  // namespace

std::string_view NearestName(std::string_view name,
                             std::span<const std::string_view> known) {
  const std::string lower = LowerText(name);
  std::string_view nearest;
  size_t least = 2 + name.size() / 4;  // from here on it is another word
  for (const std::string_view candidate : known) {
    const size_t distance = EditDistance(lower, LowerText(candidate));
    if (distance < least) {
      least = distance;
      nearest = candidate;
    }
  }
  return nearest;
}

}  // namespace longhaul
