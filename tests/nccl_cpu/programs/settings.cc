#include "programs/settings.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>
#include <iterator>

#include "base/parse.h"
#include "programs/cases.h"

namespace nccl_cpu {
namespace {

constexpr const char* kAbout = R"(
NCCL's collectives on the CPU, every element of every result checked.

Forks its ranks, -n of them. Or is one rank of a job that was started from
outside, when -r is given or RANK and WORLD_SIZE are set; the ranks then meet
at NCCL_COMM_ID, else LONGHAUL_RENDEZVOUS, else MASTER_ADDR:MASTER_PORT.
)";

bool IsCase(const std::string& name) {
  return std::any_of(std::begin(kCases), std::end(kCases),
                     [&](const Case& known) { return known.name == name; });
}

std::string CaseNames() {
  std::string names;
  for (const Case& known : kCases) names += std::string(" ") + known.name;
  return names;
}

std::string Fault(const Settings& settings, const std::string& bytes) {
  if (settings.ranks < 1) return "-n: at least 1";
  if (settings.per_node < 1) return "-g: at least 1";
  if (settings.rank >= settings.ranks) return "-r: less than -n";
  for (const std::string& name : settings.cases) {
    if (!IsCase(name)) return "-t: no " + name;
  }
  if (!settings.time) return "";
  if (!longhaul::ParseSize(bytes)) return "--bytes: no size: " + bytes;
  return FaultOf(settings.timing, settings.ranks);
}

}  // namespace

Settings ReadSettings(int argc, char** argv) {
  Settings s;
  std::string bytes = "64M";
  CLI::App app(kAbout, "nccl_collectives");
  app.add_option("-n,--ranks", s.ranks, "ranks of the job")
      ->envname("WORLD_SIZE")
      ->capture_default_str();
  app.add_option("-r,--rank", s.rank, "this process's rank")->envname("RANK");
  app.add_option("-g,--per-node", s.per_node, "ranks per node")
      ->capture_default_str();
  app.add_option("-t,--cases", s.cases, "of:" + CaseNames())->delimiter(',');
  app.add_option("-i,--repeat", s.iterations, "times to run the cases")
      ->capture_default_str();
  app.add_option("-m,--max-count", s.max_count,
                 "elements of the largest vector")
      ->capture_default_str();
  app.add_option("-T,--timeout", s.timeout, "seconds for ranks that are forked")
      ->capture_default_str();
  app.add_flag("-q,--quiet", s.quiet, "print nothing on success");
  app.add_flag("--time", s.time, "time one collective; prints a line of JSON");
  app.add_option("--op", s.timing.op,
                 "allreduce allgather reducescatter broadcast sendrecv")
      ->capture_default_str();
  app.add_option("--type", s.timing.type,
                 "f16 bf16 f32 f64 i8 u8 i32 u32 i64 u64")
      ->capture_default_str();
  app.add_option("--bytes", bytes, "of the whole vector; 64K, 1M")
      ->capture_default_str();
  app.add_option("--iters", s.timing.iterations, "iterations timed")
      ->capture_default_str();
  app.add_option("--warmup", s.timing.warmup, "iterations before these")
      ->capture_default_str();
  try {
    app.parse(argc, argv);
    s.timing.bytes = longhaul::ParseSize(bytes).value_or(0);
    const std::string fault = Fault(s, bytes);
    if (!fault.empty()) throw CLI::ValidationError(fault);
  } catch (const CLI::ParseError& error) {
    exit(app.exit(error) == 0 ? 0 : 2);
  }
  return s;
}

}  // namespace nccl_cpu
