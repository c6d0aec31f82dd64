// The doctor's findings, for a person and for programs.
//
// Pure functions; any thread.
#pragma once

#include <string>
#include <vector>

#include "doctor/checks.h"

namespace longhaul::doctor {

/// A line per check; below those that are not ok, what to change and how.
std::string ReportText(const std::string& host, const WanNeed& need,
                       const std::vector<Finding>& findings);

/// {"host", "version", "wan": {"rate_bits_per_second", "round_trip_seconds",
/// "bdp_bytes", "origin"}, "verdict", "checks": [{"check", "verdict", "found",
/// "change", "commands": []}]}. Bytes that are not UTF-8 are replaced.
std::string ReportJson(const std::string& host, const WanNeed& need,
                       const std::vector<Finding>& findings);

}  // namespace longhaul::doctor
