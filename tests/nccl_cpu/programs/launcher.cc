#include "programs/launcher.h"

#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>

namespace nccl_cpu {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

void KillAll(const std::vector<pid_t>& processes) {
  for (pid_t process : processes) kill(process, SIGKILL);
  for (pid_t process : processes) waitpid(process, nullptr, 0);
}

void Say(int status) {
  if (WIFSIGNALED(status)) {
    fprintf(stderr, "a rank was ended by signal %d\n", WTERMSIG(status));
  } else {
    fprintf(stderr, "a rank ended with exit code %d\n", WEXITSTATUS(status));
  }
}

}  // namespace

bool RunRanks(int ranks, int timeout, const std::function<int(int rank)>& run) {
  const auto deadline = steady_clock::now() + std::chrono::seconds(timeout);
  std::vector<pid_t> running;
  for (int rank = 0; rank < ranks; ++rank) {
    fflush(nullptr);
    const pid_t process = fork();
    if (process < 0) {
      perror("fork");
      KillAll(running);
      return false;
    }
    if (process == 0) exit(run(rank));
    running.push_back(process);
  }
  bool failed = false;
  while (!running.empty() && !failed) {
    int status = 0;
    const pid_t process = waitpid(-1, &status, WNOHANG);
    if (process > 0) {
      std::erase(running, process);
      failed = status != 0;
      if (failed) Say(status);
    } else if (steady_clock::now() > deadline) {
      fprintf(stderr, "not done after %d s\n", timeout);
      failed = true;
    } else {
      std::this_thread::sleep_for(milliseconds(5));
    }
  }
  if (failed) {
    // Others that fail for the same reason are to say so, too.
    std::this_thread::sleep_for(milliseconds(200));
    KillAll(running);
  }
  return !failed;
}

}  // namespace nccl_cpu
