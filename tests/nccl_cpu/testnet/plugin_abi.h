// NCCL's interfaces for network plugins, version 11 (NCCL 2.28), as far as a
// plugin that is only a test needs names for them. The layout is NCCL's, the
// declarations are our own.
//
// NCCL calls a communicator's functions from one proxy thread; different
// communicators from different threads.
#pragma once

#include <nccl.h>

#include <cstddef>
#include <cstdint>

namespace testnet {

constexpr int kPointerHost = 1;
constexpr int kPointerCuda = 2;

using LogFunction = void (*)(int level, unsigned long flags, const char* file,
                             int line, const char* format, ...);
using ProfilerFunction = ncclResult_t (*)(void** event, int type, void* parent,
                                          int64_t plugin_id, void* data);

struct VirtualDevice {
  int n_devices;
  int devices[4];
};
struct CommConfig {
  int traffic_class;
};

struct Properties {
  const char* name;
  const char* pci_path;
  uint64_t guid;
  int pointer_support, registration_is_global, force_flush;
  int speed;  ///< Mbit/s
  int port;
  float latency;
  int max_comms, max_recvs, net_device_type, net_device_version;
  VirtualDevice virtual_device;
  size_t max_p2p_bytes, max_coll_bytes;
  int max_multi_request_size;
};

struct NetPlugin {
  const char* name;
  ncclResult_t (*init)(void** context, uint64_t comm_id, CommConfig*,
                       LogFunction, ProfilerFunction);
  ncclResult_t (*devices)(int* count);
  ncclResult_t (*get_properties)(int device, Properties*);
  ncclResult_t (*listen)(void* context, int device, void* handle,
                         void** listener);
  ncclResult_t (*connect)(void* context, int device, void* handle, void** comm,
                          void** device_comm);
  ncclResult_t (*accept)(void* listener, void** comm, void** device_comm);
  ncclResult_t (*reg_mr)(void* comm, void* data, size_t size, int type,
                         void** region);
  ncclResult_t (*reg_mr_dma_buf)(void* comm, void* data, size_t size, int type,
                                 uint64_t offset, int fd, void** region);
  ncclResult_t (*dereg_mr)(void* comm, void* region);
  ncclResult_t (*isend)(void* comm, void* data, size_t size, int tag,
                        void* region, void* profiler, void** request);
  ncclResult_t (*irecv)(void* comm, int count, void** data, size_t* sizes,
                        int* tags, void** regions, void** profilers,
                        void** request);
  ncclResult_t (*iflush)(void* comm, int count, void** data, int* sizes,
                         void** regions, void** request);
  ncclResult_t (*test)(void* request, int* done, int* sizes);
  ncclResult_t (*close_send)(void* comm);
  ncclResult_t (*close_recv)(void* comm);
  ncclResult_t (*close_listen)(void* listener);
  ncclResult_t (*get_device_mr)(void* comm, void* region, void** out);
  ncclResult_t (*irecv_consumed)(void* comm, int count, void* request);
  ncclResult_t (*make_virtual_device)(int* device, VirtualDevice*);
  ncclResult_t (*finalize)(void* context);
  ncclResult_t (*set_net_attributes)(void* context, void* attributes);
};

struct ScatterGather {
  void* region;
  void* address;
  size_t size;
};

struct CollNetPlugin {
  const char* name;
  ncclResult_t (*init)(void** context, uint64_t comm_id, LogFunction);
  ncclResult_t (*devices)(int* count);
  ncclResult_t (*get_properties)(int device, Properties*);
  ncclResult_t (*listen)(void* context, int device, void* handle,
                         void** listener);
  ncclResult_t (*connect)(void* handles[], int n_ranks, int rank,
                          void* listener, void** comm);
  ncclResult_t (*reduce_support)(ncclDataType_t, ncclRedOp_t, int* supported);
  ncclResult_t (*reg_mr)(void* comm, void* data, size_t size, int type,
                         void** region);
  ncclResult_t (*reg_mr_dma_buf)(void* comm, void* data, size_t size, int type,
                                 uint64_t offset, int fd, void** region);
  ncclResult_t (*dereg_mr)(void* comm, void* region);
  ncclResult_t (*iallreduce)(void* comm, void* send, void* recv, size_t count,
                             ncclDataType_t, ncclRedOp_t, void* send_region,
                             void* recv_region, void** request);
  ncclResult_t (*iallgather)(void* comm, void* send, int n_parts,
                             ScatterGather* parts, size_t bytes_per_rank,
                             size_t window_offset, size_t window_bytes,
                             void* send_region, void** request);
  ncclResult_t (*ireducescatter)(void* comm, int n_parts, ScatterGather* parts,
                                 void* recv, size_t bytes_per_rank,
                                 size_t window_offset, size_t window_bytes,
                                 ncclDataType_t, ncclRedOp_t, void* recv_region,
                                 void** request);
  ncclResult_t (*iflush)(void* comm, void* data, int size, void* region,
                         void** request);
  ncclResult_t (*test)(void* request, int* done, int* size);
  ncclResult_t (*close_coll)(void* comm);
  ncclResult_t (*close_listen)(void* listener);
  ncclResult_t (*make_virtual_device)(int* device, VirtualDevice*);
  ncclResult_t (*finalize)(void* context);
};

}  // namespace testnet
