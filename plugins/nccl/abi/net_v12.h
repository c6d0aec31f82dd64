// ncclNetPlugin_v12, which NCCL 2.30 and later load. As v11, with properties
// v12. The plugin itself implements this one.
//
// A table of functions.
#pragma once

#include <cstddef>
#include <cstdint>

#include "abi/properties.h"

namespace longhaul::nccl::abi {

struct NetV12 {
  const char* name;
  /// Once per communicator; `comm_id` is the same on all its ranks.
  ResultCode (*init)(void** context, uint64_t comm_id, CommConfig* config,
                     LogFn log, ProfilerFn profiler) noexcept;
  ResultCode (*devices)(int* count) noexcept;
  ResultCode (*get_properties)(int device, PropertiesV12* properties) noexcept;
  /// Fills the kHandleBytes at `handle`, which NCCL carries to the peer.
  ResultCode (*listen)(void* context, int device, void* handle,
                       void** listen_comm) noexcept;
  /// Does not block: success with *send_comm null means call again, with the
  /// same `handle`, which may be written to.
  ResultCode (*connect)(void* context, int device, void* handle,
                        void** send_comm,
                        NetDeviceHandle** device_comm) noexcept;
  /// Does not block: success with *recv_comm null means call again.
  ResultCode (*accept)(void* listen_comm, void** recv_comm,
                       NetDeviceHandle** device_comm) noexcept;
  /// `comm` is a send or receive comm; `type` one of kPtrHost, ...
  ResultCode (*reg_mr)(void* comm, void* data, size_t size, int type,
                       void** mr) noexcept;
  ResultCode (*reg_mr_dmabuf)(void* comm, void* data, size_t size, int type,
                              uint64_t offset, int fd, void** mr) noexcept;
  ResultCode (*dereg_mr)(void* comm, void* mr) noexcept;
  /// *request null: not now, the same call will come again.
  ResultCode (*isend)(void* send_comm, void* data, size_t size, int tag,
                      void* mr, void* profiler, void** request) noexcept;
  /// Sizes are upper limits. *request may come in as kOptionalRecvCompletion
  /// and must be overwritten; null as in isend().
  ResultCode (*irecv)(void* recv_comm, int count, void** data, size_t* sizes,
                      int* tags, void** mrs, void** profilers,
                      void** request) noexcept;
  /// *request null: nothing to wait for.
  ResultCode (*iflush)(void* recv_comm, int count, void** data, int* sizes,
                       void** mrs, void** request) noexcept;
  /// `sizes` may be null. A request is gone once it was seen done.
  ResultCode (*test)(void* request, int* done, int* sizes) noexcept;
  ResultCode (*close_send)(void* send_comm) noexcept;
  ResultCode (*close_recv)(void* recv_comm) noexcept;
  ResultCode (*close_listen)(void* listen_comm) noexcept;
  ResultCode (*get_device_mr)(void* comm, void* mr, void** device_mr) noexcept;
  ResultCode (*irecv_consumed)(void* recv_comm, int count,
                               void* request) noexcept;
  ResultCode (*make_virtual_device)(int* device,
                                    VirtualDeviceV12* members) noexcept;
  ResultCode (*finalize)(void* context) noexcept;
  ResultCode (*set_net_attr)(void* context, NetAttributes* attributes) noexcept;
};
static_assert(offsetof(NetV12, init) == 8);
static_assert(offsetof(NetV12, devices) == 16);
static_assert(offsetof(NetV12, get_properties) == 24);
static_assert(offsetof(NetV12, listen) == 32);
static_assert(offsetof(NetV12, connect) == 40);
static_assert(offsetof(NetV12, accept) == 48);
static_assert(offsetof(NetV12, reg_mr) == 56);
static_assert(offsetof(NetV12, reg_mr_dmabuf) == 64);
static_assert(offsetof(NetV12, dereg_mr) == 72);
static_assert(offsetof(NetV12, isend) == 80);
static_assert(offsetof(NetV12, irecv) == 88);
static_assert(offsetof(NetV12, iflush) == 96);
static_assert(offsetof(NetV12, test) == 104);
static_assert(offsetof(NetV12, close_send) == 112);
static_assert(offsetof(NetV12, close_recv) == 120);
static_assert(offsetof(NetV12, close_listen) == 128);
static_assert(offsetof(NetV12, get_device_mr) == 136);
static_assert(offsetof(NetV12, irecv_consumed) == 144);
static_assert(offsetof(NetV12, make_virtual_device) == 152);
static_assert(offsetof(NetV12, finalize) == 160);
static_assert(offsetof(NetV12, set_net_attr) == 168);
static_assert(sizeof(NetV12) == 176);

}  // namespace longhaul::nccl::abi
