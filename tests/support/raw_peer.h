// A blocking TCP client for tests: it says what nobody should and hears what
// comes back. Waits at most a minute, then the test fails.
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <span>

#include "base/address.h"
#include "base/log.h"
#include "base/unique_fd.h"
#include "support/pch.h"

namespace longhaul::test {

inline constexpr auto kPatience = std::chrono::seconds(60);

class RawPeer {
 public:
  explicit RawPeer(const Address& to)
      : fd_(::socket(to.SocketFamily(), SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const timeval patience{60, 0};
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &patience,
                 sizeof patience);
    sockaddr_storage address;
    const socklen_t size = to.ToSockaddr(&address);
    EXPECT_EQ(::connect(fd_.get(), reinterpret_cast<sockaddr*>(&address), size),
              0);
  }

  int fd() const { return fd_.get(); }
  bool Send(std::span<const uint8_t> bytes) const {
    return ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
           static_cast<ssize_t>(bytes.size());
  }
  bool Send(std::string_view text) const {
    return Send({reinterpret_cast<const uint8_t*>(text.data()), text.size()});
  }
  /// What arrives, up to `limit` bytes or the end.
  std::vector<uint8_t> Receive(size_t limit) const {
    std::vector<uint8_t> all(limit);
    size_t have = 0;
    while (have < limit) {
      const ssize_t got = ::recv(fd_.get(), all.data() + have, limit - have, 0);
      if (got <= 0) {
        EXPECT_FALSE(got < 0 && errno == EAGAIN) << "nothing came in time";
        break;
      }
      have += static_cast<size_t>(got);
    }
    all.resize(have);
    return all;
  }
  /// True once the other side has closed, and said nothing before.
  bool ClosedSilently() const { return Receive(1).empty(); }
  void Close() { fd_.Reset(); }

 private:
  UniqueFd fd_;
};

/// A bound socket on whose port nobody listens, as long as it lives.
inline UniqueFd ClosedPort(AddressFamily family) {
  const Address at = Address::Loopback(family, 0);
  UniqueFd fd(::socket(at.SocketFamily(), SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_storage address;
  const socklen_t size = at.ToSockaddr(&address);
  EXPECT_EQ(::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
  return fd;
}

/// A value that one thread changes and another waits for.
template <typename T>
class Watched {
 public:
  template <typename Change>
  void Update(Change change) {
    const std::lock_guard lock(mutex_);
    change(value_);
    changed_.notify_all();
  }
  /// Waits until `enough(value)`; false after the patience is over.
  template <typename Enough>
  bool WaitFor(Enough enough) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, kPatience, [&] { return enough(value_); });
  }
  template <typename Read>
  auto Look(Read read) {
    const std::lock_guard lock(mutex_);
    return read(value_);
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  T value_{};
};

/// A logger whose lines can be waited for.
class LogTrap {
 public:
  LogTrap()
      : log_(LogLevel::kTrace,
             [this](LogLevel, std::string_view, std::string_view text) {
               lines_.Update([&](auto& lines) { lines.emplace_back(text); });
             }) {}
  Logger& log() { return log_; }
  bool WaitFor(std::string_view part, size_t times = 1) {
    return lines_.WaitFor(
        [&](const auto& lines) { return Count(lines, part) >= times; });
  }
  size_t Count(std::string_view part) {
    return lines_.Look([&](const auto& lines) { return Count(lines, part); });
  }

 private:
  static size_t Count(const std::vector<std::string>& lines,
                      std::string_view part) {
    size_t count = 0;
    for (const std::string& line : lines) {
      if (line.find(part) != std::string::npos) ++count;
    }
    return count;
  }
  Watched<std::vector<std::string>> lines_;
  Logger log_;
};

/// Descriptors this process has open.
inline size_t OpenDescriptors() {
  size_t count = 0;
  for (int fd = 0; fd < 4096; ++fd) {
    if (::fcntl(fd, F_GETFD) >= 0) ++count;
  }
  return count;
}

}  // namespace longhaul::test
