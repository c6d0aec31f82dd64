// Times and verifies one row of the table on one rank: all ranks run it
// together, and all get the same numbers.
//
// Thread-compatible.
#pragma once

#include <longhaul/status.h>
#include <longhaul/types.h>

#include <cstdint>
#include <cstdlib>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "harness/gate.h"
#include "harness/pattern.h"
#include "harness/settings.h"
#include "harness/subject.h"

namespace longhaul::bench {

/// One half of a row: out of place, or in place.
struct Measurement {
  std::vector<double> times_us;  ///< per operation; one per iteration
  double time_us = 0;            ///< the mean, as the table shows it
  uint64_t checked = 0;          ///< elements, on all ranks
  uint64_t wrong = 0;
};

/// What the row moved between sites, per operation, all ranks together.
struct WanPerOperation {
  double sent = 0;
  double resent = 0;
  double retransmits = 0;
  double flows = 0;  ///< per connection
  double credit_waits = 0;
  std::vector<double> path_sent;  ///< bytes by place of the path
};

struct RowResult {
  uint64_t bytes = 0;
  uint64_t count = 0;
  Measurement out_of_place;
  Measurement in_place;
  std::optional<WanPerOperation> wan;
  std::string algorithm;
};

/// Memory of the largest row, and what is done with it.
class Meter {
 public:
  /// Told of each iteration done, for those who watch.
  using Progress = std::function<void(uint64_t bytes, int done, int of)>;

  Meter(const Settings& settings, Subject& subject, Progress progress);

  /// Allocates, and finds out how iterations start. All ranks at once.
  Status SetUp();
  /// Bytes allocated for inputs and results.
  uint64_t memory() const { return 2 * room_; }
  const Gate& gate() const { return gate_; }

  /// All ranks at once, with the same arguments.
  Result<RowResult> Run(uint64_t bytes, DataType type, ReduceOp op);

 private:
  struct Free {
    void operator()(void* memory) const { std::free(memory); }
  };
  struct Case {
    size_t count;
    DataType type;
    ReduceOp op;
    bool in_place;
  };

  Status Half(const Case& what, Measurement* out);
  Status WarmUp(const Case& what);
  Status TimeIterations(const Case& what, Measurement* out);
  Status Wan(const WanTraffic& before, RowResult* row);
  Status TellEnd(const Case& what, Measurement* out);
  Status Iteration(const Case& what, double* time);
  Status Issue(const Case& what);
  void Prepare(const Case& what);
  Status Agree(std::vector<double>* times);
  Status Check(const Case& what, Measurement* out);
  Status CountWrong(const Case& what, Measurement* out);
  Status CountDifferent(const Case& what, Measurement* out);
  Pattern PatternOf(const Case& what) const;
  void FillInput(const Case& what);
  void* input(const Case& what) const;
  void* output(const Case& what) const;

  const Settings& settings_;
  Subject& subject_;
  Progress progress_;
  Gate gate_;
  uint64_t room_ = 0;  ///< bytes of each
  std::unique_ptr<void, Free> source_;
  std::unique_ptr<void, Free> target_;
  uint32_t round_ = 0;
  int told_ = 0;  ///< iterations whose end was told
};

}  // namespace longhaul::bench
