// What a run of a benchmark program does, as one plain value, and the command
// line it is read from: nccl-tests' flags, and a few of longhaul's own.
//
// Plain values; thread-compatible.
#pragma once

#include <longhaul/options.h>
#include <longhaul/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "harness/bound.h"

namespace longhaul::bench {

enum class Collective : uint8_t { kAllReduce, kBarrier };

/// "all_reduce", "barrier".
const char* NameOf(Collective collective);

/// How an iteration's times on the ranks become one, as -a counts them.
enum class Across : uint8_t { kRank0 = 0, kAverage = 1, kMin = 2, kMax = 3 };

/// When an operation is waited for, as -z counts the modes.
enum class Blocking : uint8_t {
  kNone = 0,          ///< as kInner: the operations share their memory
  kInnerBarrier = 1,  ///< wait and barrier after each, both timed
  kInner = 2,         ///< wait after each, no barrier
  kOuterBarrier = 3,  ///< each iteration starts together and is waited for
};

struct Settings {
  // nccl-tests' flags. Sizes in bytes.
  uint64_t min_bytes = uint64_t{32} << 20;
  uint64_t max_bytes = uint64_t{32} << 20;
  uint64_t step_bytes = uint64_t{1} << 20;
  uint64_t step_factor = 0;     ///< 0 or 1: steps of step_bytes
  std::vector<uint64_t> sizes;  ///< these instead, if any
  int iterations = 20;
  int warm_up = 1;
  int aggregate = 1;  ///< operations per iteration
  int cycles = 1;     ///< 0: for ever
  int checks = 1;     ///< rounds of verification; 0: none
  Blocking blocking = Blocking::kOuterBarrier;
  Across across = Across::kMax;
  bool per_iteration = false;
  int skip = 0;  ///< leading samples left out of per_iteration's columns
  bool timestamps = false;
  bool issue_time = false;  ///< -C: time to issue, not to complete
  bool memory = false;
  uint64_t unalign = 0;     ///< elements
  int timeout_seconds = 0;  ///< per row; 0: none
  std::string report_file;  ///< JSON; empty: none
  std::vector<DataType> types{DataType::kFloat32};
  std::vector<ReduceOp> ops{ReduceOp::kSum};

  // longhaul's own.
  Collective collective = Collective::kAllReduce;
  int ranks = 0;  ///< started by the program itself; 0: started from outside
  int sites = 1;
  std::optional<Algorithm> algorithm;
  std::optional<CodecSpec> compress;
  bool wan = false;
  bool each = false;  ///< tell when each iteration begins and ends
  int64_t rest = 0;   ///< ns the lines are idle before each iteration, at least
  std::optional<Link> bound;

  /// NCCL_TESTS_MIN_BW, GB/s; negative: not checked.
  double min_bandwidth = -1;
};

/// The sizes of a run, in bytes.
std::vector<uint64_t> Sizes(const Settings& settings);

/// Text in front of the flags in --help, and what is not offered.
struct Program {
  std::string name;         ///< "longhaul_perf"
  std::string description;  ///< what it measures, how ranks are started
  std::string epilogue;     ///< environment, exit codes, examples
  bool starts_ranks = true;
  bool has_algorithms = true;  ///< --algo, --compress, --wan
  bool verifies = true;        ///< -c, types, operators
};

struct CommandLine {
  Settings settings;
  /// Set if there is nothing to run: --help, or a mistake told on stderr.
  std::optional<int> exit_code;
};

/// Reads the command line. Help goes to stdout, mistakes with the accepted form
/// to stderr. Options of a program's own are read by `extra`, if given.
struct TextOption {
  std::string flag;  ///< "--address"
  std::string value_name;
  std::string help;
  std::string* value;
};
CommandLine ReadCommandLine(const Program& program, int argc,
                            const char* const* argv,
                            const std::vector<TextOption>& extra = {});

/// nccl-tests' name of a type: "float", "half", "bfloat16", ...
const char* TableName(DataType type);

}  // namespace longhaul::bench
