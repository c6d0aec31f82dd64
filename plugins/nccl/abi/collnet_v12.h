// ncclCollNetPlugin_v12, which NCCL 2.30 and later load. As v11, with
// properties v12. The plugin itself implements this one.
//
// A table of functions.
#pragma once

#include <cstddef>
#include <cstdint>

#include "abi/properties.h"

namespace longhaul::nccl::abi {

struct CollNetV12 {
  const char* name;
  /// Once per communicator; `comm_id` is the same on all its ranks.
  ResultCode (*init)(void** context, uint64_t comm_id, LogFn log) noexcept;
  ResultCode (*devices)(int* count) noexcept;
  ResultCode (*get_properties)(int device, PropertiesV12* properties) noexcept;
  /// Fills the kHandleBytes at `handle`, which NCCL carries to all members.
  ResultCode (*listen)(void* context, int device, void* handle,
                       void** listen_comm) noexcept;
  /// Blocks until the group of `ranks` members stands or cannot; a null
  /// *coll_comm is a failure.
  ResultCode (*connect)(void** handles, int ranks, int rank, void* listen_comm,
                        void** coll_comm) noexcept;
  /// *supported becomes 0 or 1.
  ResultCode (*reduce_support)(TypeCode type, OpCode op,
                               int* supported) noexcept;
  ResultCode (*reg_mr)(void* coll_comm, void* data, size_t size, int type,
                       void** mr) noexcept;
  ResultCode (*reg_mr_dmabuf)(void* coll_comm, void* data, size_t size,
                              int type, uint64_t offset, int fd,
                              void** mr) noexcept;
  ResultCode (*dereg_mr)(void* coll_comm, void* mr) noexcept;
  /// `count` elements. *request null: not now, the same call will come again.
  ResultCode (*iallreduce)(void* coll_comm, void* send, void* recv,
                           size_t count, TypeCode type, OpCode op,
                           void* send_mr, void* recv_mr,
                           void** request) noexcept;
  /// The group's bytes are ranks x `bytes_per_rank`; this call fills `recv`
  /// with [window_offset, window_offset + window_bytes) of them. `send` is what
  /// this rank has of that window.
  ResultCode (*iallgather)(void* coll_comm, void* send, int recv_parts,
                           PieceV12* recv, size_t bytes_per_rank,
                           size_t window_offset, size_t window_bytes,
                           void* send_mr, void** request) noexcept;
  /// The reverse: `send` is this rank's contribution to the window, `recv` gets
  /// what of the reduced window is this rank's.
  ResultCode (*ireducescatter)(void* coll_comm, int send_parts, PieceV12* send,
                               void* recv, size_t bytes_per_rank,
                               size_t window_offset, size_t window_bytes,
                               TypeCode type, OpCode op, void* recv_mr,
                               void** request) noexcept;
  /// *request null: nothing to wait for.
  ResultCode (*iflush)(void* coll_comm, void* data, int size, void* mr,
                       void** request) noexcept;
  /// `size` may be null. A request is gone once it was seen done.
  ResultCode (*test)(void* request, int* done, int* size) noexcept;
  ResultCode (*close_coll)(void* coll_comm) noexcept;
  ResultCode (*close_listen)(void* listen_comm) noexcept;
  ResultCode (*make_virtual_device)(int* device,
                                    VirtualDeviceV12* members) noexcept;
  ResultCode (*finalize)(void* context) noexcept;
};
static_assert(offsetof(CollNetV12, init) == 8);
static_assert(offsetof(CollNetV12, devices) == 16);
static_assert(offsetof(CollNetV12, get_properties) == 24);
static_assert(offsetof(CollNetV12, listen) == 32);
static_assert(offsetof(CollNetV12, connect) == 40);
static_assert(offsetof(CollNetV12, reduce_support) == 48);
static_assert(offsetof(CollNetV12, reg_mr) == 56);
static_assert(offsetof(CollNetV12, reg_mr_dmabuf) == 64);
static_assert(offsetof(CollNetV12, dereg_mr) == 72);
static_assert(offsetof(CollNetV12, iallreduce) == 80);
static_assert(offsetof(CollNetV12, iallgather) == 88);
static_assert(offsetof(CollNetV12, ireducescatter) == 96);
static_assert(offsetof(CollNetV12, iflush) == 104);
static_assert(offsetof(CollNetV12, test) == 112);
static_assert(offsetof(CollNetV12, close_coll) == 120);
static_assert(offsetof(CollNetV12, close_listen) == 128);
static_assert(offsetof(CollNetV12, make_virtual_device) == 136);
static_assert(offsetof(CollNetV12, finalize) == 144);
static_assert(sizeof(CollNetV12) == 152);

}  // namespace longhaul::nccl::abi
