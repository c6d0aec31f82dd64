// What each subcommand does once its command line is read: prints to stdout,
// says faults on stderr, and returns the exit code.
//
// One thread at a time.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/time.h"
#include "nccl/advice/advice.h"
#include "plan/plan.h"

namespace longhaul::command {

inline constexpr int kExitOk = 0;
inline constexpr int kExitFindings = 1;  ///< something needs to be done
inline constexpr int kExitUsage = 2;     ///< what was asked for cannot be done

struct NcclConfRequest {
  std::string topology;  ///< file
  std::string output;    ///< file; empty: stdout
  nccl::Job job;
  bool force = false;  ///< replace `output`
};
int RunNcclConf(const NcclConfRequest& request);

struct DoctorRequest {
  std::optional<double> rate;          ///< bits/s, above 0
  std::optional<Duration> round_trip;  ///< above 0
  std::string topology;                ///< file; empty: LONGHAUL_TOPOLOGY's
  bool json = false;
};
int RunDoctor(const DoctorRequest& request, const char* const* environment);

struct PlanRequest {
  std::string topology;         ///< file
  std::vector<uint64_t> sizes;  ///< bytes per rank
  plan::Job job;                ///< but for what the environment says
  bool json = false;
};
int RunPlan(const PlanRequest& request, const char* const* environment);

struct InfoRequest {
  bool full = false;  ///< with help
};
int RunInfo(const InfoRequest& request, const char* const* environment);

}  // namespace longhaul::command
