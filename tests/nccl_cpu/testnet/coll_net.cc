// testnet's other half: in-network reduction, with an exchange among all ranks
// in place of a switch. A worker thread runs a communicator's operations in
// order.
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "testnet/common.h"
#include "testnet/plugin_abi.h"

namespace testnet {
namespace {

struct Piece {
  char* data = nullptr;
  size_t size = 0;
};

// A piece under way.
struct Transfer {
  Piece piece;
  size_t done = 0;

  bool pending() const { return done < piece.size; }

  // False when the connection is broken.
  bool Advance(int fd, bool sends) {
    char* at = piece.data + done;
    const size_t left = piece.size - done;
    const ssize_t moved = sends
                              ? send(fd, at, left, MSG_NOSIGNAL | MSG_DONTWAIT)
                              : recv(fd, at, left, MSG_DONTWAIT);
    if (moved > 0) done += static_cast<size_t>(moved);
    return moved > 0 || (moved < 0 && (errno == EAGAIN || errno == EINTR));
  }
};

struct Request {
  std::atomic<bool> done{false}, failed{false};
  size_t size = 0;
};

constexpr int kPatienceMs = 10'000;

class Mesh {
 public:
  // fds[r]: the connection with rank r.
  Mesh(int rank, std::vector<int> fds)
      : rank_(rank), fds_(std::move(fds)), worker_([this] { Work(); }) {}
  Mesh(const Mesh&) = delete;
  Mesh& operator=(const Mesh&) = delete;
  ~Mesh() {
    Enqueue(nullptr);
    worker_.join();
    for (int fd : fds_) {
      if (fd >= 0) close(fd);
    }
  }

  size_t rank() const { return static_cast<size_t>(rank_); }
  size_t size() const { return fds_.size(); }

  // The worker calls `job`; null ends it.
  void Enqueue(std::function<void()> job) {
    const std::lock_guard lock(mutex_);
    jobs_.push_back(std::move(job));
    wake_.notify_one();
  }

  // Sends out[r] to, and fills in[r] from, every other rank, at once. For the
  // worker. False when a connection is broken or nothing has come for long.
  bool Exchange(const std::vector<Piece>& out, const std::vector<Piece>& in) {
    std::vector<Transfer> sends(size()), receives(size());
    for (size_t r = 0; r < size(); ++r) {
      if (r == rank()) continue;
      sends[r].piece = out[r];
      receives[r].piece = in[r];
    }
    for (;;) {
      std::vector<pollfd> polls;
      bool any = false;
      for (size_t r = 0; r < size(); ++r) {
        const int events = (sends[r].pending() ? POLLOUT : 0) |
                           (receives[r].pending() ? POLLIN : 0);
        any = any || events != 0;
        // Negative descriptors are passed over.
        polls.push_back(
            {events != 0 ? fds_[r] : -1, static_cast<short>(events), 0});
      }
      if (!any) return true;
      if (poll(polls.data(), polls.size(), kPatienceMs) <= 0) return false;
      for (size_t r = 0; r < size(); ++r) {
        const int events = polls[r].revents;
        if ((events & POLLOUT) != 0 && !sends[r].Advance(fds_[r], true)) {
          return false;
        }
        if ((events & (POLLIN | POLLHUP)) != 0 &&
            !receives[r].Advance(fds_[r], false)) {
          return false;
        }
      }
    }
  }

 private:
  void Work() {
    for (;;) {
      std::function<void()> job;
      {
        std::unique_lock lock(mutex_);
        wake_.wait(lock, [this] { return !jobs_.empty(); });
        job = std::move(jobs_.front());
        jobs_.pop_front();
      }
      if (job == nullptr) return;
      job();
    }
  }

  const int rank_;
  const std::vector<int> fds_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> jobs_;
  std::thread worker_;
};

template <typename T>
void CombineAs(char* sum, const char* more, size_t count, ncclRedOp_t op) {
  T* a = reinterpret_cast<T*>(sum);
  const T* b = reinterpret_cast<const T*>(more);
  for (size_t i = 0; i < count; ++i) {
    if (op == ncclSum) a[i] = static_cast<T>(a[i] + b[i]);
    if (op == ncclProd) a[i] = static_cast<T>(a[i] * b[i]);
    if (op == ncclMax) a[i] = std::max(a[i], b[i]);
    if (op == ncclMin) a[i] = std::min(a[i], b[i]);
  }
}

bool IsSupported(ncclDataType_t type, ncclRedOp_t op) {
  return op <= ncclMin &&
         (type <= ncclUint64 || type == ncclFloat32 || type == ncclFloat64);
}

size_t SizeOf(ncclDataType_t type) {
  if (type <= ncclUint8) return 1;
  return type == ncclInt32 || type == ncclUint32 || type == ncclFloat32 ? 4 : 8;
}

void Combine(ncclDataType_t type, char* sum, const char* more, size_t count,
             ncclRedOp_t op) {
  switch (type) {
    case ncclInt8:
      return CombineAs<int8_t>(sum, more, count, op);
    case ncclUint8:
      return CombineAs<uint8_t>(sum, more, count, op);
    case ncclInt32:
      return CombineAs<int32_t>(sum, more, count, op);
    case ncclUint32:
      return CombineAs<uint32_t>(sum, more, count, op);
    case ncclInt64:
      return CombineAs<int64_t>(sum, more, count, op);
    case ncclUint64:
      return CombineAs<uint64_t>(sum, more, count, op);
    case ncclFloat32:
      return CombineAs<float>(sum, more, count, op);
    default:
      return CombineAs<double>(sum, more, count, op);
  }
}

// Exchanges `out`, then combines what has come for this rank into `result`.
bool ExchangeAndReduce(Mesh& mesh, const std::vector<Piece>& out, char* result,
                       ncclDataType_t type, ncclRedOp_t op) {
  const size_t bytes = out[mesh.rank()].size;
  std::vector<std::vector<char>> memory(mesh.size(), std::vector<char>(bytes));
  std::vector<Piece> in;
  for (std::vector<char>& part : memory) in.push_back({part.data(), bytes});
  if (!mesh.Exchange(out, in)) return false;
  if (bytes == 0) return true;
  memcpy(memory[mesh.rank()].data(), out[mesh.rank()].data, bytes);
  for (size_t r = 1; r < mesh.size(); ++r) {
    Combine(type, memory[0].data(), memory[r].data(), bytes / SizeOf(type), op);
  }
  memcpy(result, memory[0].data(), bytes);
  return true;
}

// The ranks' parts, of `per_rank` bytes each, form a global range; an operation
// is about a window of it.
struct Window {
  size_t per_rank, offset, bytes;

  // Where rank r's part meets the window, which is at `at` in memory.
  Piece In(char* at, size_t r) const {
    const size_t from = std::max(offset, r * per_rank);
    const size_t to = std::min(offset + bytes, (r + 1) * per_rank);
    return from < to ? Piece{at + (from - offset), to - from} : Piece{at, 0};
  }
  std::vector<Piece> AllIn(char* at, size_t n_ranks) const {
    std::vector<Piece> pieces;
    for (size_t r = 0; r < n_ranks; ++r) pieces.push_back(In(at, r));
    return pieces;
  }
};

// Has the worker run `job`, which is true on success.
ncclResult_t Start(Mesh& mesh, size_t bytes, void** out,
                   std::function<bool()> job) {
  auto* request = new Request;
  request->size = bytes;
  mesh.Enqueue([request, job = std::move(job)] {
    (job() ? request->done : request->failed) = true;
  });
  *out = request;
  return ncclSuccess;
}

ncclResult_t Init(void** context, uint64_t, LogFunction) {
  *context = nullptr;
  return ncclSuccess;
}

ncclResult_t Listen(void*, int, void* handle, void** listener) {
  const int fd = ListenOn(static_cast<Handle*>(handle));
  if (fd < 0) return ncclSystemError;
  *listener = new int(fd);
  return ncclSuccess;
}

// Every rank calls those before it and is called by those after it.
ncclResult_t Connect(void* handles[], int n_ranks, int rank, void* listener,
                     void** comm) {
  std::vector<int> fds(static_cast<size_t>(n_ranks), -1);
  for (int r = 0; r < rank; ++r) {
    const int fd = ConnectTo(*static_cast<Handle*>(handles[r]));
    if (fd < 0 || write(fd, &rank, sizeof rank) != sizeof rank) {
      return ncclSystemError;
    }
    fds[static_cast<size_t>(r)] = fd;
  }
  for (int r = rank + 1; r < n_ranks; ++r) {
    const int fd = AcceptOn(*static_cast<int*>(listener));
    int who = -1;
    if (fd < 0 || recv(fd, &who, sizeof who, MSG_WAITALL) != sizeof who) {
      return ncclSystemError;
    }
    fds[static_cast<size_t>(who)] = fd;
  }
  *comm = new Mesh(rank, std::move(fds));
  return ncclSuccess;
}

ncclResult_t ReduceSupport(ncclDataType_t type, ncclRedOp_t op,
                           int* supported) {
  *supported = IsSupported(type, op) ? 1 : 0;
  return ncclSuccess;
}

ncclResult_t Iallreduce(void* comm, void* send, void* recv, size_t count,
                        ncclDataType_t type, ncclRedOp_t op, void* send_region,
                        void* recv_region, void** request) {
  auto& mesh = *static_cast<Mesh*>(comm);
  const size_t bytes = count * SizeOf(type);
  if (!Covers(send_region, send, bytes) || !Covers(recv_region, recv, bytes)) {
    return ncclInternalError;
  }
  return Start(mesh, bytes, request, [=, &mesh] {
    const std::vector<Piece> out(mesh.size(),
                                 {static_cast<char*>(send), bytes});
    return ExchangeAndReduce(mesh, out, static_cast<char*>(recv), type, op);
  });
}

ncclResult_t Iallgather(void* comm, void* send, int n_parts,
                        ScatterGather* parts, size_t bytes_per_rank,
                        size_t window_offset, size_t window_bytes,
                        void* send_region, void** request) {
  auto& mesh = *static_cast<Mesh*>(comm);
  const Window window{bytes_per_rank, window_offset, window_bytes};
  auto* out = static_cast<char*>(parts[0].address);
  const Piece mine{static_cast<char*>(send), window.In(out, mesh.rank()).size};
  if (n_parts != 1 || !Covers(send_region, send, mine.size) ||
      !Covers(parts[0].region, out, window_bytes)) {
    return ncclInternalError;
  }
  return Start(mesh, window_bytes, request, [=, &mesh] {
    const std::vector<Piece> sends(mesh.size(), mine);
    if (!mesh.Exchange(sends, window.AllIn(out, mesh.size()))) return false;
    if (mine.size > 0) {
      memmove(window.In(out, mesh.rank()).data, mine.data, mine.size);
    }
    return true;
  });
}

ncclResult_t Ireducescatter(void* comm, int n_parts, ScatterGather* parts,
                            void* recv, size_t bytes_per_rank,
                            size_t window_offset, size_t window_bytes,
                            ncclDataType_t type, ncclRedOp_t op,
                            void* recv_region, void** request) {
  auto& mesh = *static_cast<Mesh*>(comm);
  const Window window{bytes_per_rank, window_offset, window_bytes};
  auto* in = static_cast<char*>(parts[0].address);
  const size_t mine = window.In(in, mesh.rank()).size;
  if (n_parts != 1 || !Covers(parts[0].region, in, window_bytes) ||
      !Covers(recv_region, recv, mine)) {
    return ncclInternalError;
  }
  return Start(mesh, mine, request, [=, &mesh] {
    return ExchangeAndReduce(mesh, window.AllIn(in, mesh.size()),
                             static_cast<char*>(recv), type, op);
  });
}

ncclResult_t Iflush(void*, void*, int, void*, void** request) {
  *request = nullptr;
  return ncclSuccess;
}

ncclResult_t Test(void* handle, int* done, int* size) {
  auto* request = static_cast<Request*>(handle);
  *done = request->done ? 1 : 0;
  if (request->failed) return ncclRemoteError;
  if (!request->done) return ncclSuccess;
  if (size != nullptr) *size = static_cast<int>(request->size);
  delete request;
  return ncclSuccess;
}

ncclResult_t CloseColl(void* comm) {
  delete static_cast<Mesh*>(comm);
  return ncclSuccess;
}

ncclResult_t Finalize(void*) { return ncclSuccess; }

}  // namespace
}  // namespace testnet

extern "C" {
__attribute__((visibility("default")))
testnet::CollNetPlugin ncclCollNetPlugin_v11 = {
    .name = "testnet",
    .init = testnet::Init,
    .devices = testnet::Devices,
    .get_properties = testnet::GetProperties,
    .listen = testnet::Listen,
    .connect = testnet::Connect,
    .reduce_support = testnet::ReduceSupport,
    .reg_mr = testnet::RegMr,
    .reg_mr_dma_buf = testnet::RegMrDmaBuf,
    .dereg_mr = testnet::DeregMr,
    .iallreduce = testnet::Iallreduce,
    .iallgather = testnet::Iallgather,
    .ireducescatter = testnet::Ireducescatter,
    .iflush = testnet::Iflush,
    .test = testnet::Test,
    .close_coll = testnet::CloseColl,
    .close_listen = testnet::CloseListen,
    .make_virtual_device = nullptr,
    .finalize = testnet::Finalize,
};
}
