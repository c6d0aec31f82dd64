// ncclNetPlugin_v8, which NCCL 2.20 to 2.23 load. No context, no finalize;
// 32-bit message sizes.
//
// A table of functions.
#pragma once

#include <cstddef>
#include <cstdint>

#include "abi/properties.h"

namespace longhaul::nccl::abi {

struct NetV8 {
  const char* name;
  ResultCode (*init)(LogFn log) noexcept;
  ResultCode (*devices)(int* count) noexcept;
  ResultCode (*get_properties)(int device, PropertiesV8* properties) noexcept;
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
  ResultCode (*isend)(void* send_comm, void* data, int size, int tag, void* mr,
                      void** request) noexcept;
  ResultCode (*irecv)(void* recv_comm, int count, void** data, int* sizes,
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
};
static_assert(offsetof(NetV8, init) == 8);
static_assert(offsetof(NetV8, devices) == 16);
static_assert(offsetof(NetV8, get_properties) == 24);
static_assert(offsetof(NetV8, listen) == 32);
static_assert(offsetof(NetV8, connect) == 40);
static_assert(offsetof(NetV8, accept) == 48);
static_assert(offsetof(NetV8, reg_mr) == 56);
static_assert(offsetof(NetV8, reg_mr_dmabuf) == 64);
static_assert(offsetof(NetV8, dereg_mr) == 72);
static_assert(offsetof(NetV8, isend) == 80);
static_assert(offsetof(NetV8, irecv) == 88);
static_assert(offsetof(NetV8, iflush) == 96);
static_assert(offsetof(NetV8, test) == 104);
static_assert(offsetof(NetV8, close_send) == 112);
static_assert(offsetof(NetV8, close_recv) == 120);
static_assert(offsetof(NetV8, close_listen) == 128);
static_assert(offsetof(NetV8, get_device_mr) == 136);
static_assert(offsetof(NetV8, irecv_consumed) == 144);
static_assert(sizeof(NetV8) == 152);

}  // namespace longhaul::nccl::abi
