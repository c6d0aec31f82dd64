// Text to value and back for what people write in options, topology files and
// command lines: sizes, times, rates, counts, booleans; and the nearest known
// name for a misspelt one.
//
// A reader returns std::nullopt for what it does not accept; the caller knows
// the variable or the line and says so. Pure functions; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"

namespace longhaul {

/// `inf`, as a size.
inline constexpr uint64_t kUnlimited = UINT64_MAX;

/// Bytes: "4096", "64K", "4M", "1.5G", "4MiB", "4MB", "inf". K, M, G, T are
/// powers of 1024 whatever follows them. Case does not matter.
std::optional<uint64_t> ParseSize(std::string_view text);
/// The shortest exact form: "64K", "4M", "100", "inf".
std::string SizeText(uint64_t bytes);

/// Nanoseconds: "20ms", "1.5s", "100us", "10ns", "2m", "1h", "0". A number
/// other than 0 needs its unit.
std::optional<Duration> ParseTime(std::string_view text);
/// The shortest exact form: "20ms", "60s", "1500ms", "0".
std::string TimeText(Duration time);

/// Bits per second: "500mbit", "1.5gbit", "64kbit", "800bit", also with
/// "/s" or "ps" behind. Powers of 1000.
std::optional<double> ParseRate(std::string_view text);
/// "500mbit", "1.5gbit".
std::string RateText(double bits_per_second);

/// A decimal integer, a sign allowed.
std::optional<int64_t> ParseInteger(std::string_view text);
/// A decimal number, "0.001" or "1e-3".
std::optional<double> ParseNumber(std::string_view text);
/// y/n, yes/no, on/off, true/false, 1/0.
std::optional<bool> ParseBool(std::string_view text);

/// The parts between separators, blanks around them removed.
std::vector<std::string_view> Split(std::string_view text, char separator);
/// Without blanks at both ends.
std::string_view Trim(std::string_view text);
/// Equal but for the case of ASCII letters.
bool EqualIgnoringCase(std::string_view a, std::string_view b);
/// Whether `text` fits `pattern`, in which * stands for any characters and ?
/// for one.
bool MatchesGlob(std::string_view pattern, std::string_view text);

/// The known name nearest to `name` by edit distance (a swap of neighbours
/// counts one), case ignored; empty if none is near enough to be meant.
std::string_view NearestName(std::string_view name,
                             std::span<const std::string_view> known);

}  // namespace longhaul
