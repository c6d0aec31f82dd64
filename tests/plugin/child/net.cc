#include "plugin/child/net.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <utility>

#include "base/unique_fd.h"
#include "border/export.h"

extern "C" {
LH_NCCL_EXPORT longhaul::child::Counts child_net_counts;
longhaul::child::Counts child_net_counts;
}

namespace longhaul::child {
namespace {

constexpr size_t kRequests = 32;
constexpr size_t kHeader = sizeof(uint64_t);
/// Every so many calls of isend and irecv one is refused.
constexpr unsigned kRefuseEvery = 3;

/// What a handle holds.
struct Way {
  sockaddr_in address;
  int connecting;  ///< the socket of a connect under way; 0: none
};
static_assert(sizeof(Way) <= nccl::abi::kHandleBytes);

struct Listening {
  UniqueFd fd;
};

/// A piece of registered memory.
struct Piece {
  const char* data;
  size_t size;
};

class Comm;

struct Request {
  Comm* comm = nullptr;  ///< null: free
  char* data = nullptr;
  uint64_t size = 0;  ///< of the message, or room for one
  std::array<char, kHeader> header{};
  size_t moved = 0;  ///< header included
  bool done = false;
};

class Comm {
 public:
  Comm(UniqueFd fd, bool sends) : fd_(std::move(fd)), sends_(sends) {
    ++TheCounts().comms;
  }
  ~Comm() { --TheCounts().comms; }
  Comm(const Comm&) = delete;
  Comm& operator=(const Comm&) = delete;

  /// Null: not now.
  Request* Post(void* data, size_t size) {
    Request& next = requests_[posted_ % kRequests];
    if (++calls_ % kRefuseEvery == 0 || next.comm != nullptr) {
      ++TheCounts().refusals;
      return nullptr;
    }
    ++posted_;
    next = {this, static_cast<char*>(data), size, {}, 0, false};
    if (sends_) std::memcpy(next.header.data(), &next.size, kHeader);
    return &next;
  }

  /// Moves what can be moved now. False: the peer is gone.
  bool Move() {
    while (moving_ != posted_) {
      Request& request = requests_[moving_ % kRequests];
      if (!MoveOne(&request)) return false;
      if (!request.done) return true;
      ++moving_;
    }
    return true;
  }

 private:
  bool MoveOne(Request* request) {
    while (request->moved < kHeader) {
      if (!MoveSome(request, request->header.data() + request->moved,
                    kHeader - request->moved)) {
        return errno == EAGAIN;
      }
    }
    uint64_t size = 0;
    std::memcpy(&size, request->header.data(), kHeader);
    if (size > request->size) return false;
    while (request->moved < kHeader + size) {
      const size_t at = request->moved - kHeader;
      if (!MoveSome(request, request->data + at, size - at)) {
        return errno == EAGAIN;
      }
    }
    request->size = size;
    request->done = true;
    return true;
  }

  // False: errno says why.
  bool MoveSome(Request* request, char* bytes, size_t size) {
    const ssize_t n =
        sends_ ? send(fd_.get(), bytes, size, MSG_NOSIGNAL | MSG_DONTWAIT)
               : recv(fd_.get(), bytes, size, MSG_DONTWAIT);
    if (n == 0) errno = ECONNRESET;
    if (n > 0) request->moved += static_cast<size_t>(n);
    return n > 0;
  }

  UniqueFd fd_;
  bool sends_;
  unsigned calls_ = 0;
  size_t posted_ = 0;
  size_t moving_ = 0;
  std::array<Request, kRequests> requests_;
};

// Whether a piece, if there is one, holds the message.
bool Holds(const void* mr, const void* data, size_t size) {
  if (mr == nullptr) return true;
  const auto& piece = *static_cast<const Piece*>(mr);
  const auto* const from = static_cast<const char*>(data);
  return from >= piece.data && from + size <= piece.data + piece.size;
}

ResultCode Post(void* comm, void* data, size_t size, const void* mr,
                std::atomic<int>* count, void** request) {
  *request = nullptr;
  if (!Holds(mr, data, size)) return ResultCode::kInvalidArgument;
  *request = static_cast<Comm*>(comm)->Post(data, size);
  if (*request == nullptr) return ResultCode::kSuccess;
  ++*count;
  if (mr != nullptr) ++TheCounts().mr_uses;
  return ResultCode::kSuccess;
}

UniqueFd OpenSocket() {
  return UniqueFd(
      socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
}

}  // namespace

Counts& TheCounts() { return child_net_counts; }

int Setting(const char* name, int otherwise) {
  const char* const text = std::getenv(name);
  return text == nullptr ? otherwise : std::atoi(text);
}

ResultCode Devices(int* count) noexcept {
  *count = Setting("CHILD_NET_DEVICES", 1);
  return ResultCode::kSuccess;
}

ResultCode Listen(void* handle, void** listen_comm) noexcept {
  UniqueFd fd = OpenSocket();
  Way way{};
  way.address.sin_family = AF_INET;
  way.address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof way.address;
  auto* const address = reinterpret_cast<sockaddr*>(&way.address);
  if (bind(fd.get(), address, size) != 0 || listen(fd.get(), 8) != 0 ||
      getsockname(fd.get(), address, &size) != 0) {
    return ResultCode::kSystemError;
  }
  std::memcpy(handle, &way, sizeof way);
  *listen_comm =
      std::make_unique<Listening>(Listening{std::move(fd)}).release();
  ++TheCounts().listeners;
  return ResultCode::kSuccess;
}

// The first call begins, and never ends it.
ResultCode Connect(void* handle, void** send_comm) noexcept {
  *send_comm = nullptr;
  if (Setting("CHILD_NET_MUTE", 0) != 0) return ResultCode::kSuccess;
  Way way;
  std::memcpy(&way, handle, sizeof way);
  if (way.connecting == 0) {
    UniqueFd fd = OpenSocket();
    const auto* const to = reinterpret_cast<const sockaddr*>(&way.address);
    if (connect(fd.get(), to, sizeof way.address) != 0 &&
        errno != EINPROGRESS) {
      return ResultCode::kRemoteError;
    }
    way.connecting = fd.Release();
    std::memcpy(handle, &way, sizeof way);
    return ResultCode::kSuccess;
  }
  pollfd ready{way.connecting, POLLOUT, 0};
  if (poll(&ready, 1, 0) == 0) return ResultCode::kSuccess;
  UniqueFd fd(way.connecting);
  if ((ready.revents & (POLLERR | POLLHUP)) != 0) {
    return ResultCode::kRemoteError;
  }
  *send_comm = std::make_unique<Comm>(std::move(fd), true).release();
  return ResultCode::kSuccess;
}

ResultCode Accept(void* listen_comm, void** recv_comm,
                  NetDeviceHandle** /*device_comm*/) noexcept {
  *recv_comm = nullptr;
  ++TheCounts().accepts;
  if (Setting("CHILD_NET_DEAF", 0) != 0) return ResultCode::kSuccess;
  UniqueFd fd(accept4(static_cast<Listening*>(listen_comm)->fd.get(), nullptr,
                      nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (fd.valid()) {
    *recv_comm = std::make_unique<Comm>(std::move(fd), false).release();
    return ResultCode::kSuccess;
  }
  return errno == EAGAIN ? ResultCode::kSuccess : ResultCode::kSystemError;
}

ResultCode RegMr(void* /*comm*/, void* data, size_t size, int type,
                 void** mr) noexcept {
  if (type != nccl::abi::kPtrHost) return ResultCode::kInvalidUsage;
  *mr = std::make_unique<Piece>(Piece{static_cast<const char*>(data), size})
            .release();
  ++TheCounts().registered;
  return ResultCode::kSuccess;
}

ResultCode RegMrDmabuf(void* /*comm*/, void* /*data*/, size_t /*size*/,
                       int /*type*/, uint64_t /*offset*/, int /*fd*/,
                       void** /*mr*/) noexcept {
  return ResultCode::kInvalidUsage;
}

ResultCode DeregMr(void* /*comm*/, void* mr) noexcept {
  delete static_cast<Piece*>(mr);
  --TheCounts().registered;
  return ResultCode::kSuccess;
}

ResultCode Isend(void* send_comm, void* data, size_t size, void* mr,
                 void** request) noexcept {
  return Post(send_comm, data, size, mr, &TheCounts().sends, request);
}

ResultCode Irecv(void* recv_comm, void* data, size_t size, void* mr,
                 void** request) noexcept {
  if (reinterpret_cast<uintptr_t>(*request) ==
      nccl::abi::kOptionalRecvCompletion) {
    ++TheCounts().hints;
  }
  return Post(recv_comm, data, size, mr, &TheCounts().recvs, request);
}

ResultCode Iflush(void* /*recv_comm*/, int /*count*/, void** /*data*/,
                  int* /*sizes*/, void** /*mrs*/, void** request) noexcept {
  ++TheCounts().flushes;
  *request = nullptr;
  return ResultCode::kSuccess;
}

ResultCode Test(void* request, int* done, int* sizes) noexcept {
  auto& asked = *static_cast<Request*>(request);
  *done = 0;
  if (!asked.done && !asked.comm->Move()) return ResultCode::kRemoteError;
  if (!asked.done) return ResultCode::kSuccess;
  *done = 1;
  if (sizes != nullptr) sizes[0] = static_cast<int>(asked.size);
  asked.comm = nullptr;
  return ResultCode::kSuccess;
}

ResultCode Close(void* comm) noexcept {
  delete static_cast<Comm*>(comm);
  return ResultCode::kSuccess;
}

ResultCode CloseListen(void* listen_comm) noexcept {
  delete static_cast<Listening*>(listen_comm);
  --TheCounts().listeners;
  return ResultCode::kSuccess;
}

}  // namespace longhaul::child
