#include "collnet.h"

#include <arpa/inet.h>
#include <longhaul/options.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "base/unique_fd.h"
#include "compute/reduce.h"
#include "net.h"

namespace longhaul::nccl {
namespace {

using abi::ResultCode;
using Clock = std::chrono::steady_clock;

struct Listen {
  UniqueFd fd;
};
struct Request {
  std::atomic<int> state = 0;
  size_t size = 0;
};
struct Coll {
  int rank, size;
  std::vector<UniqueFd> peers;  // root: by rank; others: [0]
  std::deque<std::function<void()>> work;
  std::vector<std::shared_ptr<Request>> live;
  std::mutex mutex;
  std::condition_variable wake;
  bool stop = false;
  std::atomic<bool> failed = false;
  std::thread thread;
};

bool All(int fd, bool out, void* data, size_t size) {
  auto* at = static_cast<char*>(data);
  while (size > 0) {
    const ssize_t n = out ? send(fd, at, size, MSG_NOSIGNAL)
                          : recv(fd, at, size, MSG_WAITALL);
    if (n <= 0) return false;
    at += n;
    size -= static_cast<size_t>(n);
  }
  return true;
}

ResultCode Init(void** ctx, uint64_t, abi::LogFn) noexcept {
  *ctx = new int(0);
  return ResultCode::kSuccess;
}
ResultCode Devices(int* n) noexcept { return Net().devices(n); }
ResultCode Properties(int d, abi::PropertiesV12* p) noexcept {
  return Net().get_properties(d, p);
}
ResultCode ListenOn(void*, int, void* handle, void** out) noexcept {
  auto* l = new Listen;
  l->fd.Reset(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in a{};
  a.sin_family = AF_INET;
  a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t len = sizeof a;
  bind(l->fd.get(), reinterpret_cast<sockaddr*>(&a), len);
  listen(l->fd.get(), 128);
  getsockname(l->fd.get(), reinterpret_cast<sockaddr*>(&a), &len);
  memset(handle, 0, abi::kHandleBytes);
  memcpy(handle, &a.sin_port, 2);
  *out = l;
  return ResultCode::kSuccess;
}
void Deadline(int fd, bool on, Clock::time_point end) {
  timeval tv{};
  if (on) {
    auto us = std::chrono::duration_cast<std::chrono::microseconds>(
                  end - Clock::now())
                  .count();
    if (us < 1) us = 1;
    tv = {us / 1000000, us % 1000000};
  }
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv);
}
ResultCode Connect(void** handles, int ranks, int rank, void* lc,
                   void** out) noexcept {
  *out = nullptr;
  auto end = Clock::now() + Options::FromEnvironment()->connect_timeout;
  auto c = std::make_unique<Coll>();
  c->rank = rank;
  c->size = ranks;
  char ok = 1;
  const int one = 1;
  if (rank == 0) {
    c->peers.resize(static_cast<size_t>(ranks));
    for (int i = 1; i < ranks; ++i) {
      pollfd p{static_cast<Listen*>(lc)->fd.get(), POLLIN, 0};
      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
                            end - Clock::now())
                            .count();
      if (left <= 0 || poll(&p, 1, static_cast<int>(left)) != 1) {
        ok = 0;
        break;
      }
      UniqueFd fd(accept4(p.fd, nullptr, nullptr, SOCK_CLOEXEC));
      int r;
      All(fd.get(), false, &r, 4);
      c->peers[static_cast<size_t>(r)] = std::move(fd);
    }
    for (auto& p : c->peers) {
      if (p.valid()) {
        setsockopt(p.get(), IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        All(p.get(), true, &ok, 1);
      }
    }
  } else {
    UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in a{};
    a.sin_family = AF_INET;
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    memcpy(&a.sin_port, handles[0], 2);
    connect(fd.get(), reinterpret_cast<sockaddr*>(&a), sizeof a);
    setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    int r = rank;
    Deadline(fd.get(), true, end + std::chrono::seconds(1));
    if (!All(fd.get(), true, &r, 4) || !All(fd.get(), false, &ok, 1)) ok = 0;
    Deadline(fd.get(), false, end);
    c->peers.push_back(std::move(fd));
  }
  if (!ok) return ResultCode::kRemoteError;
  Coll* p = c.release();
  p->thread = std::thread([p] {
    std::unique_lock lock(p->mutex);
    for (;;) {
      p->wake.wait(lock, [&] { return p->stop || !p->work.empty(); });
      if (p->stop) return;
      auto job = std::move(p->work.front());
      p->work.pop_front();
      lock.unlock();
      job();
      lock.lock();
    }
  });
  *out = p;
  return ResultCode::kSuccess;
}
ResultCode Support(abi::TypeCode t, abi::OpCode o, int* yes) noexcept {
  *yes = static_cast<int>(t) < kDataTypeCount && static_cast<int>(o) < 4;
  return ResultCode::kSuccess;
}
ResultCode RegMr(void*, void*, size_t, int type, void** mr) noexcept {
  *mr = nullptr;
  return type == abi::kPtrHost ? ResultCode::kSuccess
                               : ResultCode::kInvalidArgument;
}
ResultCode RegMrDmabuf(void*, void*, size_t, int, uint64_t, int,
                       void**) noexcept {
  return ResultCode::kInternalError;
}
ResultCode DeregMr(void*, void*) noexcept { return ResultCode::kSuccess; }

// Every rank's `bytes` gathered on the root; root runs `combine`; result to
// all.
bool Star(Coll* c, const void* mine, size_t bytes, void* result,
          size_t result_bytes,
          const std::function<void(std::vector<std::vector<char>>&,
                                   std::vector<char>&)>& combine) {
  if (c->rank == 0) {
    std::vector<std::vector<char>> in(static_cast<size_t>(c->size));
    for (int r = 0; r < c->size; ++r) {
      auto& v = in[static_cast<size_t>(r)];
      v.resize(bytes);
      if (r == 0) {
        if (bytes) memcpy(v.data(), mine, bytes);
      } else if (!All(c->peers[static_cast<size_t>(r)].get(), false, v.data(),
                      bytes)) {
        return false;
      }
    }
    std::vector<char> total(result_bytes);
    combine(in, total);
    for (int r = 1; r < c->size; ++r) {
      if (!All(c->peers[static_cast<size_t>(r)].get(), true, total.data(),
               result_bytes)) {
        return false;
      }
    }
    if (result_bytes) memcpy(result, total.data(), result_bytes);
    return true;
  }
  return All(c->peers[0].get(), true, const_cast<void*>(mine), bytes) &&
         All(c->peers[0].get(), false, result, result_bytes);
}

ResultCode Enqueue(Coll* c, size_t size, std::function<bool()> job,
                   void** request) {
  *request = nullptr;
  if (c->failed) return ResultCode::kRemoteError;
  const std::lock_guard lock(c->mutex);
  if (c->live.size() >= 128) return ResultCode::kSuccess;
  auto r = std::make_shared<Request>();
  r->size = size;
  c->live.push_back(r);
  c->work.push_back([c, r, job] {
    const bool good = !c->failed && job();
    if (!good) {
      c->failed = true;
      for (auto& p : c->peers) {
        if (p.valid()) shutdown(p.get(), SHUT_RDWR);
      }
    }
    r->state = good ? 1 : 2;
  });
  c->wake.notify_one();
  *request = new std::pair<Coll*, std::shared_ptr<Request>>(c, r);
  return ResultCode::kSuccess;
}

void Sum(abi::TypeCode t, abi::OpCode o, std::vector<std::vector<char>>& in,
         void* out, size_t bytes) {
  std::vector<const void*> from;
  for (auto& v : in) from.push_back(v.data());
  const auto type = static_cast<DataType>(t);
  Reduce({type, static_cast<ReduceOp>(o), 1}, out, from, bytes / SizeOf(type));
}

ResultCode AllReduce(void* cc, void* send, void* recv, size_t count,
                     abi::TypeCode t, abi::OpCode o, void*, void*,
                     void** request) noexcept {
  auto* c = static_cast<Coll*>(cc);
  const size_t bytes = count * SizeOf(static_cast<DataType>(t));
  return Enqueue(
      c, bytes,
      [=] {
        return Star(c, send, bytes, recv, bytes, [=](auto& in, auto& out) {
          Sum(t, o, in, out.data(), bytes);
        });
      },
      request);
}
ResultCode AllGather(void* cc, void* send, int parts, abi::PieceV12* piece,
                     size_t per, size_t offset, size_t window, void*,
                     void** request) noexcept {
  auto* c = static_cast<Coll*>(cc);
  if (parts != 1) return ResultCode::kInvalidArgument;
  void* to = piece->address;
  auto overlap = [=](int r) {
    const size_t lo = std::max(offset, per * static_cast<size_t>(r));
    const size_t hi =
        std::min(offset + window, per * static_cast<size_t>(r + 1));
    return std::pair(lo - offset, hi > lo ? hi - lo : 0);
  };
  return Enqueue(
      c, window,
      [=] {
        std::vector<char> mine(window);
        const auto [at, n] = overlap(c->rank);
        if (n) memcpy(mine.data() + at, send, n);
        return Star(c, mine.data(), window, to, window,
                    [=](auto& in, auto& out) {
                      for (int r = 0; r < c->size; ++r) {
                        const auto [a, m] = overlap(r);
                        if (m)
                          memcpy(out.data() + a,
                                 in[static_cast<size_t>(r)].data() + a, m);
                      }
                    });
      },
      request);
}
ResultCode ReduceScatter(void* cc, int parts, abi::PieceV12* piece, void* recv,
                         size_t per, size_t offset, size_t window,
                         abi::TypeCode t, abi::OpCode o, void*,
                         void** request) noexcept {
  auto* c = static_cast<Coll*>(cc);
  if (parts != 1) return ResultCode::kInvalidArgument;
  const void* from = piece->address;
  const size_t lo = std::max(offset, per * static_cast<size_t>(c->rank));
  const size_t hi =
      std::min(offset + window, per * static_cast<size_t>(c->rank + 1));
  return Enqueue(
      c, hi > lo ? hi - lo : 0,
      [=] {
        std::vector<char> total(window);
        if (!Star(c, from, window, total.data(), window,
                  [=](auto& in, auto& out) {
                    Sum(t, o, in, out.data(), window);
                  })) {
          return false;
        }
        if (hi > lo) memcpy(recv, total.data() + lo - offset, hi - lo);
        return true;
      },
      request);
}
ResultCode Iflush(void*, void*, int, void*, void** request) noexcept {
  *request = nullptr;
  return ResultCode::kSuccess;
}
ResultCode Test(void* request, int* done, int* size) noexcept {
  auto* p = static_cast<std::pair<Coll*, std::shared_ptr<Request>>*>(request);
  *done = 0;
  if (p->second->state == 2) return ResultCode::kRemoteError;
  if (p->second->state != 1) return ResultCode::kSuccess;
  *done = 1;
  if (size) *size = static_cast<int>(p->second->size);
  {
    const std::lock_guard lock(p->first->mutex);
    std::erase(p->first->live, p->second);
  }
  delete p;
  return ResultCode::kSuccess;
}
ResultCode Close(void* coll) noexcept {
  auto* c = static_cast<Coll*>(coll);
  {
    const std::lock_guard lock(c->mutex);
    c->stop = true;
  }
  c->wake.notify_one();
  for (auto& p : c->peers) {
    if (p.valid()) shutdown(p.get(), SHUT_RDWR);
  }
  c->thread.join();
  delete c;
  return ResultCode::kSuccess;
}
ResultCode CloseListen(void* l) noexcept {
  delete static_cast<Listen*>(l);
  return ResultCode::kSuccess;
}
ResultCode MakeVirtualDevice(int*, abi::VirtualDeviceV12*) noexcept {
  return ResultCode::kInternalError;
}
ResultCode Finalize(void* ctx) noexcept {
  delete static_cast<int*>(ctx);
  return ResultCode::kSuccess;
}

constexpr abi::CollNetV12 kCollNet = {
    kNetName,      Init,        Devices,
    Properties,    ListenOn,    Connect,
    Support,       RegMr,       RegMrDmabuf,
    DeregMr,       AllReduce,   AllGather,
    ReduceScatter, Iflush,      Test,
    Close,         CloseListen, MakeVirtualDevice,
    Finalize};

}  // namespace

const abi::CollNetV12& CollNet() { return kCollNet; }

}  // namespace longhaul::nccl
