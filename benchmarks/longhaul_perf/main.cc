// longhaul_perf, also installed as all_reduce_perf: nccl-tests' benchmark of an
// all-reduce, for longhaul.
#include <longhaul/longhaul.h>

#include <string>

#include "harness/program.h"
#include "longhaul_perf/longhaul_subject.h"

namespace {

constexpr const char* kDescription =
    R"(Times an all-reduce, or a barrier, over a range of sizes, checks every element
on every rank, and prints nccl-tests' table. Rank 0 prints.

Ranks are started by --ranks, on this machine, or from outside: a process per
rank with LONGHAUL_RENDEZVOUS, LONGHAUL_RANK, LONGHAUL_WORLD_SIZE and
LONGHAUL_SITE set, as torchrun or `lab spread` do.

time is the mean over the iterations of the slowest rank's time, from a common
start to the end of the wait. algbw = size / time, busbw = algbw x 2(n-1)/n,
GB = 1e9 bytes.)";

constexpr const char* kEpilogue =
    R"(Environment:
  LONGHAUL_*            options of the library; see docs/tuning.md
  NCCL_TESTS_MIN_BW     GB/s; a lower average bus bandwidth exits with 4

Exit code: 0 all is well; 1 a fault; 2 wrong usage; 3 wrong elements;
4 slower than NCCL_TESTS_MIN_BW.

Examples:
  longhaul_perf --ranks 4 --sites 2 -b 8 -e 64M -f 8
  longhaul_perf --ranks 2 -d all -o all -b 1M -e 1M
  lab run --hosts 2 --path rate=500mbit,delay=25ms -- \
      lab spread -- longhaul_perf -b 1K -e 64M -f 4 -n 5 \
      --bound 500mbit,25ms --wan)";

}  // namespace

int main(int argc, char** argv) {
  const longhaul::bench::Program program{.name = "longhaul_perf",
                                         .description = kDescription,
                                         .epilogue = kEpilogue};
  return longhaul::bench::RunProgram(
      program, std::string("longhaul version ") + longhaul::kVersion, argc,
      argv, longhaul::bench::JoinLonghaul);
}
