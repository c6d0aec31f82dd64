// Runs NCCL's collectives on several ranks and checks, or times, them. Its help
// says how.
#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>

#include "programs/cases.h"
#include "programs/launcher.h"
#include "programs/settings.h"
#include "programs/timing.h"
#include "programs/world.h"

namespace nccl_cpu {
namespace {

using std::chrono::steady_clock;

// How forked ranks learn of NCCL's id: in memory they share.
struct SharedId {
  ncclUniqueId id;
  std::atomic<bool> ready;
};

bool Wanted(const Settings& settings, const Case& candidate) {
  const auto& names = settings.cases;
  if (names.empty()) return candidate.by_default;
  return std::find(names.begin(), names.end(), candidate.name) != names.end();
}

void Say(const World& world, const char* what, steady_clock::time_point since) {
  if (world.rank != 0 || world.quiet) return;
  const std::chrono::duration<double> took = steady_clock::now() - since;
  printf("  %-14s %6.2f s\n", what, took.count());
  fflush(stdout);
}

// True if a case has ended the communicator.
bool RunCases(const World& world, const Settings& settings) {
  for (int i = 0; i < settings.iterations; ++i) {
    for (const Case& candidate : kCases) {
      if (!Wanted(settings, candidate)) continue;
      const auto start = steady_clock::now();
      candidate.run(world, settings.max_count);
      Say(world, candidate.name, start);
      if (candidate.aborts) return true;
    }
  }
  return false;
}

// Each node is a host to NCCL: it then uses the network between them.
void BecomeNode(const World& world, int per_node) {
  const std::string host = "node-" + std::to_string(world.rank / per_node);
  setenv("NCCL_HOSTID", host.c_str(), 1);
  setenv("NCCL_CPU_DEVICES", std::to_string(per_node).c_str(), 1);
  MUST(cudaSetDevice(world.rank % per_node));
}

int RunRank(World world, const Settings& settings, const ncclUniqueId& id) {
  const auto start = steady_clock::now();
  MUST(ncclCommInitRank(&world.comm, world.n_ranks, id, world.rank));
  MUST(cudaStreamCreateWithFlags(&world.stream, cudaStreamNonBlocking));
  bool aborted = false;
  if (settings.time) {
    Time(world, settings.timing);
  } else {
    Say(world, "init", start);
    aborted = RunCases(world, settings);
  }
  if (!aborted) {
    MUST(cudaStreamSynchronize(world.stream));
    MUST(ncclCommFinalize(world.comm));
    MUST(ncclCommDestroy(world.comm));
  }
  MUST(cudaStreamDestroy(world.stream));
  fflush(nullptr);
  return 0;
}

World WorldOf(const Settings& settings, int rank) {
  World world;
  world.rank = rank;
  world.n_ranks = settings.ranks;
  world.quiet = settings.quiet;
  return world;
}

int RunForked(const Settings& settings) {
  void* memory = mmap(nullptr, sizeof(SharedId), PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return 1;
  auto* shared = new (memory) SharedId{};
  const bool passed = RunRanks(settings.ranks, settings.timeout, [&](int rank) {
    const World world = WorldOf(settings, rank);
    BecomeNode(world, settings.per_node);
    if (rank == 0) {
      MUST(ncclGetUniqueId(&shared->id));
      shared->ready = true;
    }
    while (!shared->ready) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return RunRank(world, settings, shared->id);
  });
  if (passed && !settings.quiet && !settings.time) {
    printf("nccl_collectives: %d ranks ok\n", settings.ranks);
  }
  return passed ? 0 : 1;
}

std::string Variable(const char* name) {
  const char* value = getenv(name);
  return value != nullptr ? value : "";
}

// NCCL's own variable, or the launcher's.
std::string MeetingPoint() {
  if (std::string here = Variable("NCCL_COMM_ID"); !here.empty()) return here;
  std::string here = Variable("LONGHAUL_RENDEZVOUS");
  if (here.empty() && !Variable("MASTER_ADDR").empty()) {
    here = Variable("MASTER_ADDR") + ":" + Variable("MASTER_PORT");
  }
  return here;
}

int RunAsOne(const Settings& settings) {
  const World world = WorldOf(settings, settings.rank);
  const std::string meeting = MeetingPoint();
  if (meeting.empty()) {
    Die(world, "nccl_collectives", "NCCL_COMM_ID=host:port is not set");
  }
  // With it set, every rank makes the same id, and rank 0 listens there.
  setenv("NCCL_COMM_ID", meeting.c_str(), 1);
  BecomeNode(world, settings.per_node);
  ncclUniqueId id{};
  MUST(ncclGetUniqueId(&id));
  return RunRank(world, settings, id);
}

}  // namespace
}  // namespace nccl_cpu

int main(int argc, char** argv) {
  const nccl_cpu::Settings settings = nccl_cpu::ReadSettings(argc, argv);
  return settings.rank < 0 ? nccl_cpu::RunForked(settings)
                           : nccl_cpu::RunAsOne(settings);
}
