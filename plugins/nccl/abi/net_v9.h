// ncclNetPlugin_v9, which NCCL 2.24 and 2.25 load. As v8, with 64-bit sizes and
// virtual devices.
//
// A table of functions.
#pragma once

#include <cstddef>
#include <cstdint>

#include "abi/properties.h"

namespace longhaul::nccl::abi {

struct NetV9 {
  const char* name;
  ResultCode (*init)(LogFn log) noexcept;
  ResultCode (*devices)(int* count) noexcept;
  ResultCode (*get_properties)(int device, PropertiesV9* properties) noexcept;
  ResultCode (*listen)(int device, void* handle, void** listen_comm) noexcept;
  ResultCode (*connect)(int device, void* handle, void** send_comm,
                        NetDeviceHandle** device_comm) noexcept;
  ResultCode (*accept)(void* listen_comm, void** recv_comm,
                       NetDeviceHandle** device_comm) noexcept;
  ResultCode (*reg_mr)(void* comm, void* data, size_t size, int type,
                       void** mr) noexcept;
  ResultCode (*reg_mr_dmabuf)(void* comm, void* data, size_t size, int type,
                              uint64_t offset, int fd, void** mr) noexcept;
  ResultCode (*dereg_mr)(void* comm, void* mr) noexcept;
  ResultCode (*isend)(void* send_comm, void* data, size_t size, int tag,
                      void* mr, void** request) noexcept;
  ResultCode (*irecv)(void* recv_comm, int count, void** data, size_t* sizes,
                      int* tags, void** mrs, void** request) noexcept;
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
static_assert(offsetof(NetV9, init) == 8);
static_assert(offsetof(NetV9, devices) == 16);
static_assert(offsetof(NetV9, get_properties) == 24);
static_assert(offsetof(NetV9, listen) == 32);
static_assert(offsetof(NetV9, connect) == 40);
static_assert(offsetof(NetV9, accept) == 48);
static_assert(offsetof(NetV9, reg_mr) == 56);
static_assert(offsetof(NetV9, reg_mr_dmabuf) == 64);
static_assert(offsetof(NetV9, dereg_mr) == 72);
static_assert(offsetof(NetV9, isend) == 80);
static_assert(offsetof(NetV9, irecv) == 88);
static_assert(offsetof(NetV9, iflush) == 96);
static_assert(offsetof(NetV9, test) == 104);
static_assert(offsetof(NetV9, close_send) == 112);
static_assert(offsetof(NetV9, close_recv) == 120);
static_assert(offsetof(NetV9, close_listen) == 128);
static_assert(offsetof(NetV9, get_device_mr) == 136);
static_assert(offsetof(NetV9, irecv_consumed) == 144);
static_assert(offsetof(NetV9, make_virtual_device) == 152);
static_assert(sizeof(NetV9) == 160);

}  // namespace longhaul::nccl::abi
