#include "testnet/common.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

namespace testnet {
namespace {

struct Region {
  char* base;
  size_t size;
};

void SetNoDelay(int fd) {
  const int one = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

sockaddr_in Loopback(uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = port;
  return address;
}

}  // namespace

uint64_t EnvironmentNumber(const char* name) {
  const char* text = getenv(name);
  return text != nullptr ? strtoull(text, nullptr, 10) : 0;
}

int ListenOn(Handle* handle) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = Loopback(0);
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  socklen_t length = sizeof address;
  if (fd < 0 || bind(fd, generic, length) != 0 || listen(fd, 128) != 0 ||
      getsockname(fd, generic, &length) != 0) {
    return -1;
  }
  handle->port = address.sin_port;
  return fd;
}

int ConnectTo(const Handle& handle) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_in address = Loopback(handle.port);
  if (fd < 0 || connect(fd, reinterpret_cast<const sockaddr*>(&address),
                        sizeof address) != 0) {
    return -1;
  }
  SetNoDelay(fd);
  return fd;
}

int AcceptOn(int listener) {
  const int fd = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
  if (fd >= 0) SetNoDelay(fd);
  return fd;
}

ncclResult_t Devices(int* count) {
  *count = 1;
  return ncclSuccess;
}

ncclResult_t GetProperties(int device, Properties* properties) {
  const bool cuda = EnvironmentNumber("TESTNET_PTR_CUDA") != 0;
  *properties = {};
  properties->name = "testnet0";
  properties->guid = 1;
  properties->pointer_support = kPointerHost | (cuda ? kPointerCuda : 0);
  properties->speed = 100'000;
  properties->max_comms = 65536;
  properties->max_recvs = 1;
  properties->virtual_device = {1, {device}};
  properties->max_p2p_bytes = size_t{1} << 40;
  properties->max_coll_bytes = size_t{1} << 30;
  properties->max_multi_request_size = 1;
  return ncclSuccess;
}

ncclResult_t RegMr(void*, void* data, size_t size, int type, void** region) {
  if (type == kPointerCuda && EnvironmentNumber("TESTNET_PTR_CUDA") == 0) {
    return ncclInternalError;
  }
  *region = new Region{static_cast<char*>(data), size};
  return ncclSuccess;
}
ncclResult_t RegMrDmaBuf(void*, void*, size_t, int, uint64_t, int, void**) {
  return ncclInternalError;
}
ncclResult_t DeregMr(void*, void* region) {
  delete static_cast<Region*>(region);
  return ncclSuccess;
}

ncclResult_t CloseListen(void* listener) {
  const int* fd = static_cast<int*>(listener);
  close(*fd);
  delete fd;
  return ncclSuccess;
}

bool Covers(void* region, const void* data, size_t size) {
  const auto* known = static_cast<Region*>(region);
  const auto* begin = static_cast<const char*>(data);
  const bool covers = size == 0 || (known != nullptr && begin >= known->base &&
                                    begin + size <= known->base + known->size);
  if (!covers) fprintf(stderr, "testnet: bytes that are not registered\n");
  return covers;
}

}  // namespace testnet
