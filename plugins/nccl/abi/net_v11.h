// ncclNetPlugin_v11, which NCCL 2.28 and 2.29 load. A context per communicator,
// finalize, and hints.
//
// A table of functions.
#pragma once

#include <cstddef>
#include <cstdint>

#include "abi/properties.h"

namespace longhaul::nccl::abi {

struct NetV11 {
  const char* name;
  ResultCode (*init)(void** context, uint64_t comm_id, CommConfig* config,
                     LogFn log, ProfilerFn profiler) noexcept;
  ResultCode (*devices)(int* count) noexcept;
  ResultCode (*get_properties)(int device, PropertiesV11* properties) noexcept;
  ResultCode (*listen)(void* context, int device, void* handle,
                       void** listen_comm) noexcept;
  ResultCode (*connect)(void* context, int device, void* handle,
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
                                    VirtualDeviceV11* members) noexcept;
  ResultCode (*finalize)(void* context) noexcept;
  ResultCode (*set_net_attr)(void* context, NetAttributes* attributes) noexcept;
};
static_assert(offsetof(NetV11, init) == 8);
static_assert(offsetof(NetV11, devices) == 16);
static_assert(offsetof(NetV11, get_properties) == 24);
static_assert(offsetof(NetV11, listen) == 32);
static_assert(offsetof(NetV11, connect) == 40);
static_assert(offsetof(NetV11, accept) == 48);
static_assert(offsetof(NetV11, reg_mr) == 56);
static_assert(offsetof(NetV11, reg_mr_dmabuf) == 64);
static_assert(offsetof(NetV11, dereg_mr) == 72);
static_assert(offsetof(NetV11, isend) == 80);
static_assert(offsetof(NetV11, irecv) == 88);
static_assert(offsetof(NetV11, iflush) == 96);
static_assert(offsetof(NetV11, test) == 104);
static_assert(offsetof(NetV11, close_send) == 112);
static_assert(offsetof(NetV11, close_recv) == 120);
static_assert(offsetof(NetV11, close_listen) == 128);
static_assert(offsetof(NetV11, get_device_mr) == 136);
static_assert(offsetof(NetV11, irecv_consumed) == 144);
static_assert(offsetof(NetV11, make_virtual_device) == 152);
static_assert(offsetof(NetV11, finalize) == 160);
static_assert(offsetof(NetV11, set_net_attr) == 168);
static_assert(sizeof(NetV11) == 176);

}  // namespace longhaul::nccl::abi
