// How the ranks of a plugin benchmark meet: rank 0 and a TCP connection to each
// other rank, which carries handles and small numbers. What NCCL's bootstrap is
// to the plugin; not what is measured.
//
// Thread-compatible.
#pragma once

#include <longhaul/options.h>
#include <longhaul/status.h>

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "abi/common.h"
#include "floor/star.h"
#include "harness/subject.h"

namespace longhaul::bench {

/// Enough of a subject for the harness's gate: it cannot reduce large vectors.
class Meeting : public Subject {
 public:
  Meeting(Star star, std::string site);

  /// Meets at LONGHAUL_RENDEZVOUS, or torchrun's MASTER_ADDR and MASTER_PORT
  /// plus one.
  static Result<Star> Join(const Options& options);

  int rank() const override { return star_.rank(); }
  int size() const override { return star_.size(); }
  int site_count() const override { return sites_; }
  std::string Describe() const override { return "site " + site_; }

  Status Start(const void* input, void* output, size_t count, DataType type,
               ReduceOp op) override;
  Status StartBarrier() override;
  Status Finish() override { return {}; }
  Status Combine(void* data, size_t count, DataType type, ReduceOp op) override;

  /// What each rank gave, by rank: as many bytes as this one gives.
  Result<std::vector<std::vector<std::byte>>> Gather(
      std::span<const std::byte> own);

 private:
  Star star_;
  std::string site_;
  int sites_ = 1;
};

/// kInternal with the code in words, unless it is kSuccess. `what` failed.
Status StatusOf(nccl::abi::ResultCode code, const char* what);

/// Prints what the plugin warns of to stderr.
void PrintWarnings(nccl::abi::LogLevel level, uint64_t flags, const char* file,
                   int line, const char* format, ...)
    __attribute__((format(printf, 5, 6)));

}  // namespace longhaul::bench
