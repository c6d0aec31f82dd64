#include "plugin/driver/processes.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <utility>

namespace longhaul::nccl {
namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kMaxMessage = size_t{64} << 10;
constexpr auto kHang = std::chrono::minutes(2);

[[noreturn]] void PeerIsGone(int rank) {
  std::fprintf(stderr, "rank %d is gone\n", rank);
  std::_Exit(1);
}

// ends[a][b] is a's end of the channel to b.
std::vector<std::vector<UniqueFd>> Mesh(size_t size) {
  std::vector<std::vector<UniqueFd>> ends(size);
  for (std::vector<UniqueFd>& row : ends) row.resize(size);
  for (size_t a = 0; a < size; ++a) {
    for (size_t b = a + 1; b < size; ++b) {
      int pair[2] = {-1, -1};
      if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
        std::perror("socketpair");
        std::exit(1);
      }
      ends[a][b].Reset(pair[0]);
      ends[b][a].Reset(pair[1]);
    }
  }
  return ends;
}

// Exits as a program does that NCCL lived in, so that what runs at exit runs.
[[noreturn]] void RunOne(int rank, std::vector<UniqueFd> peers,
                         const Environment& environment,
                         const std::function<void(Process&)>& body) {
  for (const auto& [name, value] : environment) {
    setenv(name.c_str(), value.c_str(), 1);
  }
  Process process(rank, std::move(peers));
  body(process);
  std::exit(testing::Test::HasFailure() ? 1 : 0);
}

// False if it had to be killed.
bool WaitFor(pid_t pid, Clock::time_point deadline, int* status) {
  // glibc 2.36 declares pidfd_open() for C only.
  const UniqueFd fd(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  pollfd ended{fd.get(), POLLIN, 0};
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
      deadline - Clock::now());
  const bool in_time =
      poll(&ended, 1, std::max(0, static_cast<int>(left.count()))) == 1;
  if (!in_time) kill(pid, SIGKILL);
  waitpid(pid, status, 0);
  return in_time;
}

}  // namespace

Process::Process(int rank, std::vector<UniqueFd> peers)
    : rank_(rank), peers_(std::move(peers)) {}

void Process::Send(int rank, std::span<const std::byte> bytes) {
  const int fd = peers_[static_cast<size_t>(rank)].get();
  const ssize_t sent = send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  if (sent != static_cast<ssize_t>(bytes.size())) PeerIsGone(rank);
}

std::vector<std::byte> Process::Recv(int rank) {
  std::vector<std::byte> bytes(kMaxMessage);
  const int fd = peers_[static_cast<size_t>(rank)].get();
  const ssize_t got = recv(fd, bytes.data(), bytes.size(), 0);
  if (got <= 0) PeerIsGone(rank);
  bytes.resize(static_cast<size_t>(got));
  return bytes;
}

std::vector<std::vector<std::byte>> Process::AllGather(
    std::span<const std::byte> bytes) {
  for (int rank = 0; rank < size(); ++rank) {
    if (rank != rank_) Send(rank, bytes);
  }
  std::vector<std::vector<std::byte>> all(peers_.size());
  for (int rank = 0; rank < size(); ++rank) {
    all[static_cast<size_t>(rank)] =
        rank == rank_ ? std::vector(bytes.begin(), bytes.end()) : Recv(rank);
  }
  return all;
}

void Process::Barrier() {
  const std::byte token{1};
  AllGather({&token, 1});
}

bool Process::Agree(uint64_t value) {
  bool same = true;
  for (const std::vector<std::byte>& theirs :
       AllGather(std::as_bytes(std::span(&value, 1)))) {
    same = same && std::memcmp(theirs.data(), &value, sizeof value) == 0;
  }
  return same;
}

void RunProcesses(const std::vector<Rank>& ranks,
                  const std::function<void(Process&)>& body) {
  std::fflush(nullptr);
  std::vector<std::vector<UniqueFd>> ends = Mesh(ranks.size());
  std::vector<pid_t> pids;
  for (size_t rank = 0; rank < ranks.size(); ++rank) {
    const pid_t pid = fork();
    if (pid == 0) {
      std::vector<UniqueFd> own = std::move(ends[rank]);
      ends.clear();  // or nobody would see a channel end
      RunOne(static_cast<int>(rank), std::move(own), ranks[rank].environment,
             body);
    }
    pids.push_back(pid);
  }
  ends.clear();
  const Clock::time_point deadline = Clock::now() + kHang;
  for (size_t rank = 0; rank < ranks.size(); ++rank) {
    int status = 0;
    EXPECT_TRUE(WaitFor(pids[rank], deadline, &status))
        << "rank " << rank << " hangs";
    if (ranks[rank].ending == Ending::kReturns) {
      EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0)
          << "rank " << rank << " failed; status " << status;
    }
  }
}

std::vector<Rank> InSites(const std::vector<std::string>& sites) {
  std::vector<Rank> ranks;
  for (const std::string& site : sites) {
    ranks.push_back({{{"LONGHAUL_SITE", site},
                      {"LONGHAUL_INTERFACES", "lo"},
                      {"LONGHAUL_WARMUP", "0"}}});
  }
  return ranks;
}

}  // namespace longhaul::nccl
