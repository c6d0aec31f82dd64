// ncclCollNetPlugin_v8, which NCCL 2.20 to 2.23 load. No context, no finalize;
// 32-bit counts.
//
// A table of functions.
#pragma once

#include <cstddef>
#include <cstdint>

#include "abi/properties.h"

namespace longhaul::nccl::abi {

struct CollNetV8 {
  const char* name;
  ResultCode (*init)(LogFn log) noexcept;
  ResultCode (*devices)(int* count) noexcept;
  ResultCode (*get_properties)(int device, PropertiesV8* properties) noexcept;
  ResultCode (*listen)(int device, void* handle, void** listen_comm) noexcept;
  ResultCode (*connect)(void** handles, int ranks, int rank, void* listen_comm,
                        void** coll_comm) noexcept;
  ResultCode (*reduce_support)(TypeCode type, OpCode op,
                               int* supported) noexcept;
  ResultCode (*reg_mr)(void* coll_comm, void* data, size_t size, int type,
                       void** mr) noexcept;
  ResultCode (*reg_mr_dmabuf)(void* coll_comm, void* data, size_t size,
                              int type, uint64_t offset, int fd,
                              void** mr) noexcept;
  ResultCode (*dereg_mr)(void* coll_comm, void* mr) noexcept;
  ResultCode (*iallreduce)(void* coll_comm, void* send, void* recv, int count,
                           TypeCode type, OpCode op, void* send_mr,
                           void* recv_mr, void** request) noexcept;
  ResultCode (*iallgather)(void* coll_comm, void* send, int recv_parts,
                           PieceV8* recv, size_t bytes_per_rank,
                           size_t window_offset, size_t window_bytes,
                           void* send_mr, void** request) noexcept;
  ResultCode (*ireducescatter)(void* coll_comm, int send_parts, PieceV8* send,
                               void* recv, size_t bytes_per_rank,
                               size_t window_offset, size_t window_bytes,
                               TypeCode type, OpCode op, void* recv_mr,
                               void** request) noexcept;
  ResultCode (*iflush)(void* coll_comm, void* data, int size, void* mr,
                       void** request) noexcept;
  ResultCode (*test)(void* request, int* done, int* size) noexcept;
  ResultCode (*close_coll)(void* coll_comm) noexcept;
  ResultCode (*close_listen)(void* listen_comm) noexcept;
};
static_assert(offsetof(CollNetV8, init) == 8);
static_assert(offsetof(CollNetV8, devices) == 16);
static_assert(offsetof(CollNetV8, get_properties) == 24);
static_assert(offsetof(CollNetV8, listen) == 32);
static_assert(offsetof(CollNetV8, connect) == 40);
static_assert(offsetof(CollNetV8, reduce_support) == 48);
static_assert(offsetof(CollNetV8, reg_mr) == 56);
static_assert(offsetof(CollNetV8, reg_mr_dmabuf) == 64);
static_assert(offsetof(CollNetV8, dereg_mr) == 72);
static_assert(offsetof(CollNetV8, iallreduce) == 80);
static_assert(offsetof(CollNetV8, iallgather) == 88);
static_assert(offsetof(CollNetV8, ireducescatter) == 96);
static_assert(offsetof(CollNetV8, iflush) == 104);
static_assert(offsetof(CollNetV8, test) == 112);
static_assert(offsetof(CollNetV8, close_coll) == 120);
static_assert(offsetof(CollNetV8, close_listen) == 128);
static_assert(sizeof(CollNetV8) == 136);

}  // namespace longhaul::nccl::abi
