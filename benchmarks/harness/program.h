// The main of a benchmark program: command line, ranks, rows, table, report,
// exit code. What differs between programs is the subject.
//
// One call per process.
#pragma once

#include <longhaul/status.h>

#include <functional>
#include <memory>
#include <string>

#include "harness/settings.h"
#include "harness/subject.h"

namespace longhaul::bench {

/// Joins this rank; called in the process that is the rank.
using MakeSubject =
    std::function<Result<std::unique_ptr<Subject>>(const Settings&)>;

/// Exit codes of every benchmark program.
inline constexpr int kExitFault = 1;    ///< an operation or the start failed
inline constexpr int kExitUsage = 2;    ///< the command line
inline constexpr int kExitWrong = 3;    ///< wrong elements
inline constexpr int kExitTooSlow = 4;  ///< NCCL_TESTS_MIN_BW not met

/// `headline` is the table's first comment: "longhaul version 0.1.0".
int RunProgram(const Program& program, const std::string& headline, int argc,
               const char* const* argv, const MakeSubject& make,
               const std::vector<TextOption>& extra = {});

}  // namespace longhaul::bench
