// The doctor's judgement: what is good, what could be better, what is in the
// way, and the exact commands that change it.
//
// Pure functions; any thread.
#pragma once

#include <string>
#include <vector>

#include "doctor/host_facts.h"

namespace longhaul::doctor {

enum class Verdict : uint8_t {
  kOk,       ///< nothing to do
  kAdvice,   ///< works; would be better otherwise
  kProblem,  ///< does not work, or far below what the line could do
};

/// "ok", "advice", "problem".
const char* NameOf(Verdict verdict) noexcept;

struct Finding {
  std::string check;  ///< "tcp receive buffer"
  Verdict verdict = Verdict::kOk;
  std::string found{};   ///< what there is
  std::string change{};  ///< what to do and why; empty if kOk
  std::vector<std::string>
      commands{};  ///< that do it, for a shell; may be empty
};

/// All findings, in a fixed order.
std::vector<Finding> Examine(const HostFacts& facts, const WanNeed& need);

/// How TCP is set up, for flows that hold `need`.
std::vector<Finding> ExamineTcp(const HostFacts& facts, const WanNeed& need);
/// Interfaces, addresses, MTUs and ports.
std::vector<Finding> ExamineNetwork(const HostFacts& facts);
/// Options, limits, kernel, clock.
std::vector<Finding> ExamineProcess(const HostFacts& facts,
                                    const WanNeed& need);
/// NCCL, its settings, the plugin.
std::vector<Finding> ExamineNccl(const HostFacts& facts);

/// The worst of them; kOk if there is none.
Verdict Worst(const std::vector<Finding>& findings);

/// "6.1.0-18-amd64" is at least 5.11.
bool KernelIsAtLeast(const std::string& release, int major, int minor);

}  // namespace longhaul::doctor
