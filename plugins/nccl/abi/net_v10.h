// ncclNetPlugin_v10, which NCCL 2.26 and 2.27 load. As v9, with a profiler and
// a configuration per connection.
//
// A table of functions.
#pragma once

#include <cstddef>
#include <cstdint>

#include "abi/properties.h"

namespace longhaul::nccl::abi {

struct NetV10 {
  const char* name;
  ResultCode (*init)(LogFn log, ProfilerFn profiler) noexcept;
  ResultCode (*devices)(int* count) noexcept;
  ResultCode (*get_properties)(int device, PropertiesV10* properties) noexcept;
  ResultCode (*listen)(int device, void* handle, void** listen_comm) noexcept;
  ResultCode (*connect)(int device, CommConfig* config, void* handle,
                        void** send_comm,
                        NetDeviceHandle** device_comm) noexcept;
  ResultCode (*accept)(void* listen_comm, void** recv_comm,
                       NetDeviceHandle** device_comm) noexcept;
  ResultCode (*reg_mr)(void* comm, void* data, size_t size, int type,
                       void** mr) noexcept;
  ResultCode (*reg_mr_dmabuf)(void* comm, void* data, size_t size, int type,
                              uint64_t offset, int fd, void** mr) noexcept;
  ResultCode (*dereg_mr)(void* comm, void* mr) noexcept;
  ResultCode (*isend)(void* send_comm, void* data, size_t size, int tag,
                      void* mr, void* profiler, void** request) noexcept;
  ResultCode (*irecv)(void* recv_comm, int count, void** data, size_t* sizes,
                      int* tags, void** mrs, void** profilers,
                      void** request) noexcept;
  ResultCode (*iflush)(void* recv_comm, int count, void** data, int* sizes,
                       void** mrs, void** request) noexcept;
  ResultCode (*test)(void* request, int* done, int* sizes) noexcept;
  ResultCode (*close_send)(void* send_comm) noexcept;
  ResultCode (*close_recv)(void* recv_comm) noexcept;
  ResultCode (*close_listen)(void* listen_comm) noexcept;
  ResultCode (*get_device_mr)(void* comm, void* mr, void** device_mr) noexcept;
  ResultCode (*irecv_consumed)(void* recv_comm, int count,
                               void* request) noexcept;
  ResultCode (*make_virtual_device)(int* device,
                                    VirtualDeviceV9* members) noexcept;
};
static_assert(offsetof(NetV10, init) == 8);
static_assert(offsetof(NetV10, devices) == 16);
static_assert(offsetof(NetV10, get_properties) == 24);
static_assert(offsetof(NetV10, listen) == 32);
static_assert(offsetof(NetV10, connect) == 40);
static_assert(offsetof(NetV10, accept) == 48);
static_assert(offsetof(NetV10, reg_mr) == 56);
static_assert(offsetof(NetV10, reg_mr_dmabuf) == 64);
static_assert(offsetof(NetV10, dereg_mr) == 72);
static_assert(offsetof(NetV10, isend) == 80);
static_assert(offsetof(NetV10, irecv) == 88);
static_assert(offsetof(NetV10, iflush) == 96);
static_assert(offsetof(NetV10, test) == 104);
static_assert(offsetof(NetV10, close_send) == 112);
static_assert(offsetof(NetV10, close_recv) == 120);
static_assert(offsetof(NetV10, close_listen) == 128);
static_assert(offsetof(NetV10, get_device_mr) == 136);
static_assert(offsetof(NetV10, irecv_consumed) == 144);
static_assert(offsetof(NetV10, make_virtual_device) == 152);
static_assert(sizeof(NetV10) == 160);

}  // namespace longhaul::nccl::abi
