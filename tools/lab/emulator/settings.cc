#include "lab/emulator/settings.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cmath>
#include <stdexcept>
#include <system_error>

namespace longhaul::lab {
namespace {

struct Unit {
  std::string_view name;
  double scale;
};
constexpr std::array kRates = std::to_array<Unit>(
    {{"", 1}, {"bit", 1}, {"kbit", 1e3}, {"mbit", 1e6}, {"gbit", 1e9}});
constexpr std::array kTimes =
    std::to_array<Unit>({{"ns", 1}, {"us", 1e3}, {"ms", 1e6}, {"s", 1e9}});
constexpr std::array kSizes = std::to_array<Unit>({{"", 1},
                                                   {"b", 1},
                                                   {"kb", 1e3},
                                                   {"mb", 1e6},
                                                   {"gb", 1e9},
                                                   {"kib", 1024},
                                                   {"mib", 1024.0 * 1024},
                                                   {"gib", 1073741824}});
constexpr std::array kParts = std::to_array<Unit>({{"", 1}, {"%", 0.01}});

[[noreturn]] void Refuse(const char* why, std::string_view text) {
  throw std::invalid_argument(std::string(why) + ": " + std::string(text));
}

// A number, and what follows it in lower case.
double ParseNumber(std::string_view text, std::string& rest) {
  double value = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc{} || !std::isfinite(value) || value < 0) {
    Refuse("not a number from 0 up", text);
  }
  rest.assign(stop, end);
  std::transform(rest.begin(), rest.end(), rest.begin(), [](char c) {
    return static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  });
  return value;
}

double ParseScaled(std::string_view text, std::span<const Unit> units) {
  std::string name;
  const double value = ParseNumber(text, name);
  for (const Unit& unit : units) {
    if (unit.name == name) return value * unit.scale;
  }
  Refuse("unknown unit", text);
}

}  // namespace

double ParseRate(std::string_view text) { return ParseScaled(text, kRates); }
double ParseTime(std::string_view text) { return ParseScaled(text, kTimes); }
double ParseSize(std::string_view text) { return ParseScaled(text, kSizes); }

double ParsePart(std::string_view text) {
  const double part = ParseScaled(text, kParts);
  if (part > 1) Refuse("more than all", text);
  return part;
}

QueueLength QueueLength::Parse(std::string_view text) {
  if (text == "bdp") return {Unit::kBdp, 1};
  if (text.ends_with("bdp")) {
    return {Unit::kBdp, ParseSize(text.substr(0, text.size() - 3))};
  }
  if (text.ends_with('s')) return {Unit::kTime, ParseTime(text)};
  return {Unit::kBytes, ParseSize(text)};
}

double QueueLength::Bytes(double rate, double delay) const {
  constexpr double kLeast = 150e3;
  switch (unit) {
    case Unit::kBytes:
      return value;
    case Unit::kTime:
      return rate / 8e9 * value;
    case Unit::kBdp:
      break;
  }
  return std::max(kLeast, value * rate / 8e9 * 2 * delay);
}

void Settings::Apply(std::string_view token) {
  const size_t equals = token.find('=');
  if (equals == std::string_view::npos && (token == "up" || token == "down")) {
    up = token == "up";
    return;
  }
  const std::string_view key = token.substr(0, equals);
  const std::string_view value =
      equals == std::string_view::npos ? "" : token.substr(equals + 1);
  if (!ApplyShape(key, value) && !ApplyFaults(key, value)) {
    Refuse("unknown setting", token);
  }
}

bool Settings::ApplyShape(std::string_view key, std::string_view value) {
  if (key == "rate") {
    rate = value == "none" ? 0 : ParseRate(value);
  } else if (key == "overhead") {
    overhead = ParseSize(value);
  } else if (key == "delay") {
    delay = ParseTime(value);
  } else if (key == "jitter") {
    jitter = ParseTime(value);
  } else if (key == "quantum") {
    quantum = ParseTime(value);
  } else if (key == "queue") {
    queue = QueueLength::Parse(value);
  } else if (key == "ecn") {
    ecn = value != "off";
    if (ecn) ecn_above = QueueLength::Parse(value);
  } else {
    return false;
  }
  return true;
}

bool Settings::ApplyFaults(std::string_view key, std::string_view value) {
  if (key == "loss") {
    loss = ParsePart(value);
    SetLoss();
  } else if (key == "burst") {
    burst = ParseSize(value);
    SetLoss();
  } else if (key == "ge") {
    SetGilbertElliott(value);
  } else if (key == "reorder") {
    reorder = ParsePart(value);
  } else if (key == "late") {
    late = ParseTime(value);
  } else if (key == "dup") {
    duplicate = ParsePart(value);
  } else {
    return false;
  }
  return true;
}

// Loss alone is independent; with bursts longer than one segment the two states
// of the chain give bursts of that mean length which add up to the loss.
void Settings::SetLoss() {
  loss_bad = 1;
  if (burst <= 1 || loss >= 1) {
    go_good = 1;
    go_bad = 0;
    loss_good = loss;
    return;
  }
  go_good = 1 / burst;
  go_bad = loss * go_good / (1 - loss);
  loss_good = 0;
  if (go_bad > 1) {
    throw std::invalid_argument("so much loss needs longer bursts");
  }
}

void Settings::SetGilbertElliott(std::string_view value) {
  for (double* const part : {&go_bad, &go_good, &loss_bad, &loss_good}) {
    const size_t slash = value.find('/');
    *part = ParsePart(value.substr(0, slash));
    if (slash == std::string_view::npos) return;
    value.remove_prefix(slash + 1);
  }
}

void ApplyWords(std::span<const std::string> words, Settings& ab,
                Settings& ba) {
  Settings next_ab = ab;
  Settings next_ba = ba;
  for (const std::string& word : words) {
    std::string_view rest = word;
    while (!rest.empty()) {
      const size_t comma = std::min(rest.find(','), rest.size());
      std::string_view token = rest.substr(0, comma);
      rest.remove_prefix(std::min(comma + 1, rest.size()));
      if (token.empty()) continue;
      const bool only_ab = token.starts_with("ab.");
      const bool only_ba = token.starts_with("ba.");
      if (only_ab || only_ba) token.remove_prefix(3);
      if (!only_ba) next_ab.Apply(token);
      if (!only_ab) next_ba.Apply(token);
    }
  }
  ab = next_ab;
  ba = next_ba;
}

}  // namespace longhaul::lab
