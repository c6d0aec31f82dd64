// ncclCollNetPlugin_vN of any version behind one interface, that of the newest.
//
// Any thread, as the plugin permits.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "abi/collnet_v12.h"
#include "tables/library.h"

namespace longhaul::nccl {

class CollNetTable {
 public:
  /// What this rank gives or gets of a window.
  struct Window {
    size_t bytes_per_rank;
    size_t offset;
    size_t bytes;
  };

  virtual ~CollNetTable() = default;

  virtual int version() const = 0;
  virtual const char* name() const = 0;
  virtual bool whole() const = 0;

  virtual abi::ResultCode Init(void** context, uint64_t comm_id,
                               abi::LogFn log) = 0;
  virtual abi::ResultCode Devices(int* count) = 0;
  virtual abi::ResultCode GetProperties(int device,
                                        abi::PropertiesV12* properties) = 0;
  virtual abi::ResultCode Listen(void* context, int device, void* handle,
                                 void** listen_comm) = 0;
  virtual abi::ResultCode Connect(std::span<void*> handles, int rank,
                                  void* listen_comm, void** coll_comm) = 0;
  virtual abi::ResultCode ReduceSupport(abi::TypeCode type, abi::OpCode op,
                                        int* supported) = 0;
  virtual abi::ResultCode RegMr(void* coll_comm, void* data, size_t size,
                                int type, void** mr) = 0;
  virtual abi::ResultCode DeregMr(void* coll_comm, void* mr) = 0;
  virtual abi::ResultCode Iallreduce(void* coll_comm, void* send, void* recv,
                                     size_t count, abi::TypeCode type,
                                     abi::OpCode op, void* send_mr,
                                     void* recv_mr, void** request) = 0;
  virtual abi::ResultCode Iallgather(void* coll_comm, void* send, void* recv,
                                     const Window& window, void* send_mr,
                                     void* recv_mr, void** request) = 0;
  virtual abi::ResultCode Ireducescatter(void* coll_comm, void* send,
                                         void* recv, const Window& window,
                                         abi::TypeCode type, abi::OpCode op,
                                         void* send_mr, void* recv_mr,
                                         void** request) = 0;
  virtual abi::ResultCode Iflush(void* coll_comm, void* data, int size,
                                 void* mr, void** request) = 0;
  virtual abi::ResultCode Test(void* request, int* done, int* size) = 0;
  virtual abi::ResultCode CloseColl(void* coll_comm) = 0;
  virtual abi::ResultCode CloseListen(void* listen_comm) = 0;
  virtual abi::ResultCode Finalize(void* context) = 0;
};

/// Null if the library has no such version.
std::unique_ptr<CollNetTable> FindCollNet(const Library& library, int version);

}  // namespace longhaul::nccl
