#include "net.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <deque>
#include <mutex>
#include <vector>

#include "base/unique_fd.h"

namespace longhaul::nccl {
namespace {

using abi::ResultCode;

constexpr uint64_t kMagic = 0x6c6f6e676861756c;

struct Handle {
  uint64_t magic;
  uint64_t nonce;
  void* stage;
  uint16_t port;
};

struct Request {
  char* data = nullptr;
  uint64_t room = 0;
  uint64_t size = 0;  // on the wire
  uint64_t moved = 0;
  bool header = false;
  bool failed = false;
  bool orphan = false;
  struct Comm* comm = nullptr;
  bool done = false;
};

struct Comm {
  UniqueFd fd;
  bool sending = false;
  bool connected = false;
  uint64_t hello[2] = {kMagic, 0};
  size_t hello_moved = 0;
  std::deque<Request*> queue;
  uint64_t header = 0;
  size_t header_moved = 0;
  bool failed = false;
  std::vector<Request*> all;
};

struct Waiting {
  UniqueFd fd;
  uint64_t hello[2];
  size_t moved = 0;
};

struct Listen {
  UniqueFd fd;
  uint64_t nonce;
  std::vector<Waiting> waiting;
};

bool Move(int fd, bool out, void* data, size_t size, size_t* moved,
          bool* failed) {
  while (*moved < size) {
    char* at = static_cast<char*>(data) + *moved;
    const ssize_t n = out ? send(fd, at, size - *moved, MSG_NOSIGNAL)
                          : recv(fd, at, size - *moved, 0);
    if (n > 0) {
      *moved += static_cast<size_t>(n);
    } else if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
      return false;
    } else {
      *failed = true;
      return false;
    }
  }
  return true;
}

void Progress(Comm* comm) {
  while (!comm->queue.empty() && !comm->failed) {
    Request* request = comm->queue.front();
    if (!request->header) {
      if (comm->sending) comm->header = request->size;
      if (!Move(comm->fd.get(), comm->sending, &comm->header, 8,
                &comm->header_moved, &comm->failed)) {
        break;
      }
      comm->header_moved = 0;
      request->header = true;
      request->size = comm->header;
      if (request->size > request->room) comm->failed = true;
    }
    if (comm->failed) break;
    if (!Move(comm->fd.get(), comm->sending, request->data, request->size,
              &request->moved, &comm->failed)) {
      break;
    }
    request->done = true;
    comm->queue.pop_front();
  }
}

ResultCode Init(void** ctx, uint64_t, abi::CommConfig*, abi::LogFn,
                abi::ProfilerFn) noexcept {
  *ctx = new int(0);
  return ResultCode::kSuccess;
}
ResultCode Devices(int* n) noexcept {
  *n = 1;
  return ResultCode::kSuccess;
}
ResultCode GetProperties(int dev, abi::PropertiesV12* p) noexcept {
  if (dev != 0) return ResultCode::kInvalidArgument;
  *p = {};
  p->name = "lh0";
  p->guid = 1;
  p->ptr_support = abi::kPtrHost;
  p->speed = 10000;
  p->max_comms = 65536;
  p->max_recvs = 1;
  p->virtual_device.count = 1;
  p->max_p2p_bytes = p->max_coll_bytes = size_t{1} << 30;
  p->rail_id = p->plane_id = -1;
  return ResultCode::kSuccess;
}
ResultCode ListenOn(void* ctx, int, void* handle, void** out) noexcept {
  if (!ctx) return ResultCode::kInternalError;
  auto* l = new Listen;
  l->fd.Reset(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  sockaddr_in a{};
  a.sin_family = AF_INET;
  a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t len = sizeof a;
  bind(l->fd.get(), reinterpret_cast<sockaddr*>(&a), len);
  listen(l->fd.get(), 128);
  getsockname(l->fd.get(), reinterpret_cast<sockaddr*>(&a), &len);
  l->nonce = reinterpret_cast<uint64_t>(l) ^ static_cast<uint64_t>(getpid());
  Handle h{kMagic, l->nonce, nullptr, a.sin_port};
  memset(handle, 0, abi::kHandleBytes);
  memcpy(handle, &h, sizeof h);
  *out = l;
  return ResultCode::kSuccess;
}
ResultCode Connect(void*, int, void* handle, void** out,
                   abi::NetDeviceHandle**) noexcept {
  *out = nullptr;
  Handle h;
  memcpy(&h, handle, sizeof h);
  if (h.magic != kMagic) return ResultCode::kInvalidArgument;
  auto* c = static_cast<Comm*>(h.stage);
  if (!c) {
    c = new Comm;
    c->sending = true;
    c->hello[1] = h.nonce;
    c->fd.Reset(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    const int one = 1;
    setsockopt(c->fd.get(), IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    sockaddr_in a{};
    a.sin_family = AF_INET;
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    a.sin_port = h.port;
    connect(c->fd.get(), reinterpret_cast<sockaddr*>(&a), sizeof a);
    h.stage = c;
    memcpy(handle, &h, sizeof h);
  }
  bool failed = false;
  if (!Move(c->fd.get(), true, c->hello, 16, &c->hello_moved, &failed)) {
    if (!failed) return ResultCode::kSuccess;
    delete c;
    return ResultCode::kRemoteError;
  }
  *out = c;
  return ResultCode::kSuccess;
}
ResultCode Accept(void* lc, void** out, abi::NetDeviceHandle**) noexcept {
  *out = nullptr;
  auto* l = static_cast<Listen*>(lc);
  for (;;) {
    const int fd =
        accept4(l->fd.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) break;
    l->waiting.push_back({});
    l->waiting.back().fd.Reset(fd);
  }
  for (size_t i = 0; i < l->waiting.size();) {
    Waiting& w = l->waiting[i];
    bool failed = false;
    const bool whole = Move(w.fd.get(), false, w.hello, 16, &w.moved, &failed);
    if (whole && w.hello[0] == kMagic && w.hello[1] == l->nonce) {
      auto* c = new Comm;
      c->fd.Reset(w.fd.Release());
      l->waiting.erase(l->waiting.begin() + static_cast<long>(i));
      *out = c;
      return ResultCode::kSuccess;
    }
    if (whole || failed) {
      l->waiting.erase(l->waiting.begin() + static_cast<long>(i));
    } else {
      ++i;
    }
  }
  return ResultCode::kSuccess;
}
ResultCode RegMr(void*, void*, size_t, int type, void** mr) noexcept {
  if (type != abi::kPtrHost) return ResultCode::kInvalidArgument;
  *mr = nullptr;
  return ResultCode::kSuccess;
}
ResultCode RegMrDmabuf(void*, void*, size_t, int, uint64_t, int,
                       void**) noexcept {
  return ResultCode::kInternalError;
}
ResultCode DeregMr(void*, void*) noexcept { return ResultCode::kSuccess; }
ResultCode Post(Comm* c, void* data, size_t size, void** request) {
  *request = nullptr;
  if (c->failed) return ResultCode::kRemoteError;
  if (c->all.size() >= 32) return ResultCode::kSuccess;
  auto* r = new Request;
  r->data = static_cast<char*>(data);
  r->room = r->size = size;
  r->comm = c;
  c->queue.push_back(r);
  c->all.push_back(r);
  Progress(c);
  *request = r;
  return ResultCode::kSuccess;
}
ResultCode Isend(void* c, void* data, size_t size, int, void*, void*,
                 void** request) noexcept {
  return Post(static_cast<Comm*>(c), data, size, request);
}
ResultCode Irecv(void* c, int n, void** data, size_t* sizes, int*, void**,
                 void**, void** request) noexcept {
  *request = nullptr;
  if (n != 1) return ResultCode::kInvalidArgument;
  return Post(static_cast<Comm*>(c), data[0], sizes[0], request);
}
ResultCode Iflush(void*, int, void**, int*, void**, void** request) noexcept {
  *request = nullptr;
  return ResultCode::kSuccess;
}
ResultCode Test(void* request, int* done, int* sizes) noexcept {
  auto* r = static_cast<Request*>(request);
  *done = 0;
  Progress(r->comm);
  if (r->done) {
    *done = 1;
    if (sizes) *sizes = static_cast<int>(r->size);
    std::erase(r->comm->all, r);
    delete r;
    return ResultCode::kSuccess;
  }
  return r->comm->failed ? ResultCode::kRemoteError : ResultCode::kSuccess;
}
ResultCode CloseComm(void* comm) noexcept {
  auto* c = static_cast<Comm*>(comm);
  for (Request* r : c->all) delete r;
  delete c;
  return ResultCode::kSuccess;
}
ResultCode CloseListen(void* l) noexcept {
  delete static_cast<Listen*>(l);
  return ResultCode::kSuccess;
}
ResultCode GetDeviceMr(void*, void*, void**) noexcept {
  return ResultCode::kInternalError;
}
ResultCode IrecvConsumed(void*, int, void*) noexcept {
  return ResultCode::kSuccess;
}
ResultCode MakeVirtualDevice(int*, abi::VirtualDeviceV12*) noexcept {
  return ResultCode::kInternalError;
}
ResultCode Finalize(void* ctx) noexcept {
  delete static_cast<int*>(ctx);
  return ResultCode::kSuccess;
}
ResultCode SetNetAttr(void*, abi::NetAttributes*) noexcept {
  return ResultCode::kSuccess;
}

constexpr abi::NetV12 kNet = {
    kNetName,  Init,        Devices,     GetProperties, ListenOn,
    Connect,   Accept,      RegMr,       RegMrDmabuf,   DeregMr,
    Isend,     Irecv,       Iflush,      Test,          CloseComm,
    CloseComm, CloseListen, GetDeviceMr, IrecvConsumed, MakeVirtualDevice,
    Finalize,  SetNetAttr};

}  // namespace

const abi::NetV12& Net() { return kNet; }

}  // namespace longhaul::nccl
