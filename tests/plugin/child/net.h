// A network plugin for tests of LONGHAUL_SITE_PLUGIN: messages over TCP on
// loopback, counted. It refuses now and then, as a plugin may, and connects in
// several calls. Variables of a test:
//
//   CHILD_NET_DEVICES=n   how many there are; 1 if unset
//   CHILD_NET_PTR=n       which memory is taken (abi::kPtrHost, ...); host
//   CHILD_NET_MUTE=1      connect does nothing
//   CHILD_NET_DEAF=1      accept never gives a connection
//
// The tables (table_v8.cc, table_v11.cc) are libraries of their own.
//
// As NCCL calls.
#pragma once

#include <cstddef>
#include <cstdint>

#include "abi/common.h"
#include "plugin/child/counts.h"

namespace longhaul::child {

using nccl::abi::NetDeviceHandle;
using nccl::abi::ResultCode;

Counts& TheCounts();

/// From a variable of the environment, or `otherwise`.
int Setting(const char* name, int otherwise);

ResultCode Devices(int* count) noexcept;
/// `Properties` of any version.
template <typename Properties>
ResultCode GetProperties(int device, Properties* properties) noexcept {
  *properties = {};
  properties->name = "child0";
  properties->ptr_support = Setting("CHILD_NET_PTR", nccl::abi::kPtrHost);
  properties->speed = 1000;
  properties->port = 1;
  properties->max_comms = 1024;
  properties->max_recvs = 1;
  if constexpr (requires { properties->max_p2p_bytes; }) {
    properties->max_p2p_bytes = nccl::abi::kMaxNetBytes;
  }
  return device == 0 ? ResultCode::kSuccess : ResultCode::kInvalidArgument;
}

ResultCode Listen(void* handle, void** listen_comm) noexcept;
ResultCode Connect(void* handle, void** send_comm) noexcept;
ResultCode Accept(void* listen_comm, void** recv_comm,
                  NetDeviceHandle** device_comm) noexcept;
ResultCode RegMr(void* comm, void* data, size_t size, int type,
                 void** mr) noexcept;
ResultCode RegMrDmabuf(void* comm, void* data, size_t size, int type,
                       uint64_t offset, int fd, void** mr) noexcept;
ResultCode DeregMr(void* comm, void* mr) noexcept;
ResultCode Isend(void* send_comm, void* data, size_t size, void* mr,
                 void** request) noexcept;
ResultCode Irecv(void* recv_comm, void* data, size_t size, void* mr,
                 void** request) noexcept;
ResultCode Iflush(void* recv_comm, int count, void** data, int* sizes,
                  void** mrs, void** request) noexcept;
ResultCode Test(void* request, int* done, int* sizes) noexcept;
/// Either end.
ResultCode Close(void* comm) noexcept;
ResultCode CloseListen(void* listen_comm) noexcept;

}  // namespace longhaul::child
