#include "harness/launcher.h"

#include <netinet/in.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "base/address.h"
#include "base/clock.h"
#include "base/text.h"
#include "base/unique_fd.h"

namespace longhaul::bench {
namespace {

constexpr Duration kGrace = 5 * kSecond;
constexpr Duration kTermination = 3 * kSecond;

// A port nobody listens on now.
uint16_t FreePort() {
  const UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_storage storage{};
  socklen_t size =
      Address::Loopback(AddressFamily::kIpv4, 0).ToSockaddr(&storage);
  auto* address = reinterpret_cast<sockaddr*>(&storage);
  if (!fd.valid() || bind(fd.get(), address, size) != 0) return 0;
  size = sizeof storage;
  if (getsockname(fd.get(), address, &size) != 0) return 0;
  const auto bound = Address::FromSockaddr(address, size);
  return bound ? bound->port : 0;
}

class Crew {
 public:
  Crew() {
    sigemptyset(&watched_);
    for (int number : {SIGCHLD, SIGINT, SIGTERM, SIGHUP}) {
      sigaddset(&watched_, number);
    }
    sigprocmask(SIG_BLOCK, &watched_, &before_);
  }
  ~Crew() { sigprocmask(SIG_SETMASK, &before_, nullptr); }
  Crew(const Crew&) = delete;
  Crew& operator=(const Crew&) = delete;

  // False if the process cannot be made.
  bool Start(const std::vector<std::string>& environment,
             const std::function<int()>& rank_main) {
    std::fflush(nullptr);
    const pid_t parent = getpid();
    const pid_t pid = fork();
    if (pid < 0) return false;
    if (pid > 0) {
      running_.push_back(pid);
      return true;
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(1);  // it died before the line above
    sigprocmask(SIG_SETMASK, &before_, nullptr);
    for (const std::string& entry : environment) {
      const size_t equals = entry.find('=');
      setenv(entry.substr(0, equals).c_str(), entry.c_str() + equals + 1, 1);
    }
    std::exit(rank_main());
  }

  // Ends those that run; Wait will answer 1.
  void GiveUp() {
    first_ = 1;
    Signal(SIGKILL);
  }

  // Until all have ended.
  int Wait() {
    TimePoint term_at = kNever;
    TimePoint kill_at = kNever;
    while (!running_.empty()) {
      const TimePoint now = Now();
      if (now >= kill_at) {
        Signal(SIGKILL);
        kill_at = kNever;
      } else if (now >= term_at) {
        Signal(SIGTERM);
        term_at = kNever;
        kill_at = now + kTermination;
      }
      const int number = NextSignal();
      if (number > 0 && number != SIGCHLD) {
        Signal(number);
        if (first_ == 0) first_ = 128 + number;
        kill_at = Now() + kTermination;
      }
      const bool fine = first_ == 0;
      Reap();
      if (fine && first_ != 0) term_at = Now() + kGrace;
    }
    return first_;
  }

 private:
  int NextSignal() const {
    constexpr timespec kTick{0, 100'000'000};
    return sigtimedwait(&watched_, nullptr, &kTick);
  }

  void Signal(int number) const {
    for (pid_t pid : running_) kill(pid, number);
  }

  // Of those that have ended since the last time, one that was killed may be
  // why others gave up.
  void Reap() {
    int exited = 0;
    int killed = 0;
    for (size_t i = 0; i < running_.size();) {
      int state = 0;
      if (waitpid(running_[i], &state, WNOHANG) <= 0) {
        ++i;
        continue;
      }
      if (WIFSIGNALED(state)) killed = 128 + WTERMSIG(state);
      if (WIFEXITED(state) && exited == 0) exited = WEXITSTATUS(state);
      running_.erase(running_.begin() + static_cast<ptrdiff_t>(i));
    }
    if (first_ == 0) first_ = killed != 0 ? killed : exited;
  }

  sigset_t watched_;
  sigset_t before_;
  std::vector<pid_t> running_;
  int first_ = 0;
};

}  // namespace

int RunRanks(int ranks, int sites, const std::function<int()>& rank_main) {
  const uint16_t port = FreePort();
  if (port == 0) {
    std::fprintf(stderr, "no free port on 127.0.0.1: %s\n",
                 std::strerror(errno));
    return 1;
  }
  const char* const interfaces = std::getenv("LONGHAUL_INTERFACES");
  Crew crew;
  for (int rank = 0; rank < ranks; ++rank) {
    const int site = static_cast<int>(int64_t{rank} * sites / ranks);
    const std::vector<std::string> environment{
        Text("LONGHAUL_RANK=%d", rank), Text("LONGHAUL_WORLD_SIZE=%d", ranks),
        Text("LONGHAUL_SITE=s%d", site),
        Text("LONGHAUL_RENDEZVOUS=127.0.0.1:%u", static_cast<unsigned>(port)),
        Text("LONGHAUL_INTERFACES=%s",
             interfaces != nullptr ? interfaces : "=lo")};
    if (!crew.Start(environment, rank_main)) {
      std::fprintf(stderr, "cannot start rank %d: %s\n", rank,
                   std::strerror(errno));
      crew.GiveUp();
      break;
    }
  }
  return crew.Wait();
}

}  // namespace longhaul::bench
