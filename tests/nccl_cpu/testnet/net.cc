// testnet: a small network plugin over loopback TCP, to show that NCCL loads a
// plugin and sends all its traffic through it, and that faults in it are
// noticed. For tests only: one machine, no recovery. This is its point-to-point
// half, coll_net.cc the other.
//
//   TESTNET_CORRUPT=n    flip a bit of the n-th message received
//   TESTNET_FAIL=n       let the n-th send fail
//   TESTNET_PTR_CUDA=1   claim support for device pointers; with NCCL_CPU_GDR=1
//                        NCCL then skips staging
//
// Per message an 8-byte length, then the data; the requests of a connection run
// in order.
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <deque>

#include "testnet/common.h"
#include "testnet/plugin_abi.h"

namespace testnet {
namespace {

class Connection;

struct Request {
  Connection* connection;
  char* data;
  uint64_t size;    // to send, or room to receive; then what was moved
  uint64_t header;  // the message's length
  size_t header_done = 0, data_done = 0;
  bool finished = false;
};

class Connection {
 public:
  Connection(int fd, bool sends) : fd_(fd), sends_(sends) {}
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection() {
    close(fd_);
    for (const Request* request : queue_) delete request;
  }

  bool broken() const { return broken_; }

  Request* Post(void* data, size_t size) {
    auto* request = new Request{this, static_cast<char*>(data), size, size};
    queue_.push_back(request);
    Progress();
    return request;
  }

  // Moves what can be moved now.
  void Progress() {
    while (!queue_.empty() && !broken_ && Advance(*queue_.front())) {
      queue_.front()->finished = true;
      queue_.pop_front();
    }
  }

 private:
  // True when all of it has moved.
  bool Advance(Request& request) {
    auto* header = reinterpret_cast<char*>(&request.header);
    if (!Move(header, sizeof request.header, &request.header_done)) {
      return false;
    }
    if (!sends_ && request.header > request.size) {
      fprintf(stderr, "testnet: a message of %lu bytes, and room for %lu\n",
              request.header, request.size);
      broken_ = true;
      return false;
    }
    if (!Move(request.data, request.header, &request.data_done)) return false;
    request.size = request.header;
    if (!sends_) MaybeCorrupt(request);
    return true;
  }

  static void MaybeCorrupt(const Request& request) {
    static const uint64_t chosen = EnvironmentNumber("TESTNET_CORRUPT");
    static std::atomic<uint64_t> received{0};
    if (request.size > 0 && ++received == chosen) {
      request.data[request.size / 2] ^= 0x10;
    }
  }

  bool Move(char* data, size_t size, size_t* done) {
    while (*done < size) {
      const size_t left = size - *done;
      const ssize_t moved =
          sends_ ? send(fd_, data + *done, left, MSG_NOSIGNAL | MSG_DONTWAIT)
                 : recv(fd_, data + *done, left, MSG_DONTWAIT);
      if (moved <= 0) {
        broken_ = moved == 0 || (errno != EAGAIN && errno != EINTR);
        return false;
      }
      *done += static_cast<size_t>(moved);
    }
    return true;
  }

  const int fd_;
  const bool sends_;
  bool broken_ = false;
  std::deque<Request*> queue_;
};

ncclResult_t Init(void** context, uint64_t, CommConfig*, LogFunction,
                  ProfilerFunction) {
  *context = nullptr;
  return ncclSuccess;
}

ncclResult_t Listen(void*, int, void* handle, void** listener) {
  const int fd = ListenOn(static_cast<Handle*>(handle));
  if (fd < 0) return ncclSystemError;
  fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
  *listener = new int(fd);
  return ncclSuccess;
}

ncclResult_t Connect(void*, int, void* handle, void** comm, void**) {
  const int fd = ConnectTo(*static_cast<Handle*>(handle));
  if (fd < 0) return ncclSystemError;
  *comm = new Connection(fd, true);
  return ncclSuccess;
}

ncclResult_t Accept(void* listener, void** comm, void**) {
  *comm = nullptr;
  const int fd = AcceptOn(*static_cast<int*>(listener));
  if (fd < 0) {
    return errno == EAGAIN || errno == EINTR ? ncclSuccess : ncclSystemError;
  }
  *comm = new Connection(fd, false);
  return ncclSuccess;
}

ncclResult_t Post(void* comm, void* data, size_t size, void* region,
                  void** request) {
  if (!Covers(region, data, size)) return ncclInternalError;
  *request = static_cast<Connection*>(comm)->Post(data, size);
  return ncclSuccess;
}

ncclResult_t Isend(void* comm, void* data, size_t size, int, void* region,
                   void*, void** request) {
  static const uint64_t fail_at = EnvironmentNumber("TESTNET_FAIL");
  static std::atomic<uint64_t> sends{0};
  if (++sends == fail_at) return ncclSystemError;
  return Post(comm, data, size, region, request);
}

ncclResult_t Irecv(void* comm, int count, void** data, size_t* sizes, int*,
                   void** regions, void**, void** request) {
  if (count != 1) return ncclInternalError;
  return Post(comm, data[0], sizes[0], regions[0], request);
}

ncclResult_t Iflush(void*, int, void**, int*, void**, void** request) {
  *request = nullptr;
  return ncclSuccess;
}

ncclResult_t Test(void* handle, int* done, int* size) {
  auto* request = static_cast<Request*>(handle);
  if (!request->finished) request->connection->Progress();
  *done = request->finished ? 1 : 0;
  if (!request->finished) {
    return request->connection->broken() ? ncclRemoteError : ncclSuccess;
  }
  if (size != nullptr) *size = static_cast<int>(request->size);
  delete request;
  return ncclSuccess;
}

ncclResult_t CloseConnection(void* comm) {
  delete static_cast<Connection*>(comm);
  return ncclSuccess;
}

ncclResult_t Finalize(void*) { return ncclSuccess; }

}  // namespace
}  // namespace testnet

extern "C" {
__attribute__((visibility("default"))) testnet::NetPlugin ncclNetPlugin_v11 = {
    .name = "testnet",
    .init = testnet::Init,
    .devices = testnet::Devices,
    .get_properties = testnet::GetProperties,
    .listen = testnet::Listen,
    .connect = testnet::Connect,
    .accept = testnet::Accept,
    .reg_mr = testnet::RegMr,
    .reg_mr_dma_buf = testnet::RegMrDmaBuf,
    .dereg_mr = testnet::DeregMr,
    .isend = testnet::Isend,
    .irecv = testnet::Irecv,
    .iflush = testnet::Iflush,
    .test = testnet::Test,
    .close_send = testnet::CloseConnection,
    .close_recv = testnet::CloseConnection,
    .close_listen = testnet::CloseListen,
    .get_device_mr = nullptr,
    .irecv_consumed = nullptr,
    .make_virtual_device = nullptr,
    .finalize = testnet::Finalize,
    .set_net_attributes = nullptr,
};
}
