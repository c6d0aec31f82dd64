// The training of one rank among others: its part of every batch, the
// all-reduce of gradients, and what all ranks agree on.
//
// Thread-compatible. Every rank calls the same functions in the same order.
#pragma once

#include <longhaul/communicator.h>
#include <longhaul/status.h>

#include <chrono>
#include <csignal>
#include <cstdint>
#include <vector>

#include "adam.h"
#include "curve.h"
#include "model.h"
#include "settings.h"
#include "text.h"

namespace train {

class Trainer {
 public:
  /// All three are borrowed. `stop` is looked at once per step: where it is not
  /// 0 on one rank, training ends on all of them.
  Trainer(longhaul::Communicator& world, const Settings& settings,
          const Text& text, const volatile std::sig_atomic_t& stop);

  /// Trains to the end; `curve` is null except in rank 0.
  longhaul::Status Run(Curve* curve);

  size_t parameter_count() const { return model_.parameter_count(); }

 private:
  /// Summed over the ranks, beside the gradient; f64, which no codec takes.
  struct Tally {
    double loss = 0;
    double stop = 0;
  };

  longhaul::Status CheckFits() const;
  /// kInvalidArgument, with `what`, unless all ranks have the same number.
  longhaul::Status Agree(uint64_t number, const char* what);
  longhaul::Status Step(uint64_t step);
  longhaul::Status Dump(uint64_t step) const;
  longhaul::Status Validate(uint64_t step, Curve* curve);
  double Rate(uint64_t step) const;
  uint64_t WanBytes() const;

  longhaul::Communicator& world_;
  const Settings& settings_;
  const Text& text_;
  const volatile std::sig_atomic_t& stop_;
  Model model_;
  std::vector<float> parameters_;
  std::vector<float> gradient_;  ///< at one address: error feedback knows it
  Adam adam_;
  Tally tally_;
  std::chrono::duration<double> trained_{0};
  double loss_sum_ = 0;  ///< since the last validation
  uint64_t loss_steps_ = 0;
  uint64_t wan_bytes_before_ = 0;
};

}  // namespace train
