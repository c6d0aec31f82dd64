// What a run does, as one plain value, and the command line it is read from.
//
// Plain values; thread-compatible.
#pragma once

#include <longhaul/status.h>

#include <cstdint>
#include <string>
#include <vector>

namespace train {

struct Settings {
  std::string data = "/usr/share/common-licenses";
  uint64_t seed = 1;
  uint64_t steps = 600;
  uint64_t batch = 256;           ///< places of the text per step, of all ranks
  uint64_t hidden = 448;          ///< width of the model
  double rate = 0.002;            ///< of learning, at its highest
  uint64_t every = 20;            ///< steps between validations
  uint64_t validation = 4096;     ///< places of the text per validation
  std::string csv = "-";          ///< where rank 0 writes; "-": standard output
  std::string dump;               ///< folder for gradients; empty: none
  std::vector<uint64_t> dump_at;  ///< steps, the first being 1
  bool help = false;
};

/// kInvalidArgument names the argument and what is accepted.
longhaul::Result<Settings> Parse(int argc, const char* const* argv);

/// What --help prints.
std::string Usage();

}  // namespace train
